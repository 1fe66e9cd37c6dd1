"""Where SOAP charge points are called: who may say so, over the wire and in the admin."""

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.test import Client

from csms.admin import show
from csms.models import ChargePoint, SecurityEvent
from csms.ocpp.core import BootNotification
from csms.services.charge_points import charge_point_change
from tests.security.door import Knock, charge_point

if TYPE_CHECKING:
    from tests.security.door import Door

pytestmark = pytest.mark.django_db(transaction=True)

KEY = b"0123456789abcdef"
PROVEN, BARE = Knock(KEY), Knock()
FIRST, OTHER, THIRD = (f"http://198.51.100.{number}:8080/" for number in (7, 8, 9))
BOOT = BootNotification(charge_point_vendor="V", charge_point_model="M")
FORBIDDEN = [
    "http://127.0.0.1:22/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1:8080/",
    "http://[::1]:8080/",
    "ftp://198.51.100.8/",
    "http://user:pass@198.51.100.8:8080/",
    "http://www.w3.org/2005/08/addressing/anonymous",
]


def addresses() -> tuple[str, str]:
    row = ChargePoint.objects.get()
    return row.callback_url, row.callback_proposed


def admin() -> Client:
    client = Client()
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(User.objects.create_superuser("admin"), backend)
    return client


def soap(profile: int) -> ChargePoint:
    return charge_point(identity="S", transport="soap", security_profile=profile, key=KEY)


def test_a_proven_charge_point_may_move(door: "Door") -> None:
    """Changed only by an authenticated request; a refused one changes nothing."""
    soap(1)
    for sender in (FIRST, OTHER):
        assert door.soap("S", PROVEN, sender=sender, request=BOOT) == (200, "")
        assert addresses() == (sender, "")
    for knock in (BARE, Knock(b"wrong"), Knock(KEY, tls=True), Knock(KEY, user="T")):
        assert door.soap("S", knock, sender=THIRD)[0] in (400, 401, 403)
        assert addresses() == (OTHER, "")


@pytest.mark.parametrize("url", FORBIDDEN)
@pytest.mark.parametrize("profile", [0, 1])
def test_never_beyond_the_allowed_networks(door: "Door", profile: int, url: str) -> None:
    soap(profile)
    knock = PROVEN if profile else BARE
    assert door.soap("S", knock, sender=url) == (200, "")
    assert addresses() == ("", "")
    door.soap("S", knock, sender=FIRST)
    door.soap("S", knock, sender=url)
    assert addresses() == (FIRST, "")


def test_without_a_proof_a_new_address_waits_for_somebody(door: "Door") -> None:
    """Found by the filter, approved or discarded on the page."""
    row = soap(0)
    door.soap("S", sender=FIRST)
    door.soap("S", sender=OTHER)
    assert addresses() == (FIRST, OTHER)
    assert SecurityEvent.objects.get().kind == "CallbackAddressProposed"
    client = admin()
    waiting = client.get("/admin/csms/chargepoint/", {"callback": "proposed"})
    assert [found.pk for found in waiting.context["cl"].result_list] == [row.pk]
    page = show.change_url("chargepoint", row.pk)
    assert OTHER in client.get(page).content.decode()
    decide(client, row, "discard_callback")
    assert addresses() == (FIRST, "")
    door.soap("S", sender=THIRD)
    decide(client, row, "approve_callback")
    assert addresses() == (THIRD, "")
    door.soap("S", sender=THIRD)
    assert addresses() == (THIRD, "")


def decide(client: Client, row: ChargePoint, what: str) -> None:
    row.refresh_from_db()
    names = ("name", "site", "transport", "strictness", "time_zone", "callback_url")
    form = {name: getattr(row, name) for name in (*names, "security_profile", "soap_proof")}
    for inline in ("connectors", "reservations", "installed_profiles", "uploads", "deviations"):
        form |= {f"{inline}-TOTAL_FORMS": 0, f"{inline}-INITIAL_FORMS": 0}
    form[f"csms_chargepoint_{what}"] = "1"
    assert client.post(show.change_url("chargepoint", row.pk), form).status_code == 302


@pytest.mark.parametrize("profile", [0, 1])
def test_an_address_set_by_hand_survives_boots(door: "Door", profile: int) -> None:
    """Pinned unless said otherwise, also against who proves himself."""
    row = soap(profile)
    knock = PROVEN if profile else BARE
    door.soap("S", knock, sender=FIRST)
    charge_point_change(charge_point=row, callback_url=OTHER)
    for _ in range(2):
        door.soap("S", knock, sender=THIRD, request=BOOT)
        assert addresses() == (OTHER, "")
    charge_point_change(charge_point=row, callback_pinned=False)
    door.soap("S", knock, sender=THIRD, request=BOOT)
    assert addresses() == ((THIRD, "") if profile else (OTHER, THIRD))
