"""The demo: two simulated charge points of each transport, which really charge."""

import secrets

from django.db.models import QuerySet

from csms.conf import settings
from csms.models import ChargePoint, IdTag
from csms.models.authorization import fold
from csms.models.charge_points import Registration
from csms.services.authorization import id_tag_add
from csms.services.charge_points import charge_point_add, password_set

PREFIX = "DEMO"
EACH = 2
ID_TAG = "DEMO-TAG"
NAME, SITE = "Simulated", "Demo"
"""By which the demo knows its own: somebody else's charge point may be called DEMO-1."""


def fleet() -> QuerySet[ChargePoint]:
    """The demo's charge points."""
    return ChargePoint.objects.filter(identity__startswith=f"{PREFIX}-", name=NAME, site=SITE)


def demo_password() -> str:
    """A new password for all of them: only who proves his identity may change his callback address,
    and a simulated SOAP charge point has another port each time."""
    password = secrets.token_urlsafe(12)
    for charge_point in fleet():
        password_set(charge_point=charge_point, password=password)
    return password


def _let_in(allowed: bool) -> None:
    fleet().update(registration=Registration.ACCEPTED if allowed else Registration.REJECTED)
    IdTag.objects.filter(key=fold(ID_TAG), name=SITE).update(blocked=not allowed)


def demo_rests() -> None:
    """Without the demo its charge points are Rejected and its idTag is blocked, if they are there:
    anybody could use them."""
    if fleet().exists():
        _let_in(False)


def demo_wanted() -> bool:
    """With CSMS_DEMO, on a new database, which gets the fleet here, or on one that has it."""
    if not settings().demo:
        return False
    if fleet().exists():
        _let_in(True)
        return True
    if ChargePoint.objects.exists() or IdTag.objects.exists():
        return False
    for transport in ("json", "soap"):
        for number in range(1, EACH + 1):
            charge_point_add(
                identity=f"{PREFIX}-{transport.upper()}-{number}",
                transport=transport,
                name=NAME,
                site=SITE,
            )
    id_tag_add(id_tag=ID_TAG, name=SITE, max_transactions=0)
    return True


def demo_arguments(*, http_port: int, json_port: int) -> list[str]:
    """The arguments of `manage.py simulate` for the demo."""
    return [
        *("--json", str(EACH), "--soap", str(EACH), "--connectors", "2"),
        *("--ws", f"ws://127.0.0.1:{json_port}"),
        *("--soap-url", f"http://127.0.0.1:{http_port}/ocpp/soap"),
        *("--prefix", PREFIX, "--id-tag", ID_TAG),
        *("--charge", "45", "--idle", "10", "--interval", "5", "--quiet"),
        "--attached",
    ]
