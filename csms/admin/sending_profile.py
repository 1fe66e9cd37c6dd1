"""Fills a kept charging profile into the form of RemoteStartTransaction.

§5.11: its chargingProfile is a TxProfile, without transactionId: there is no transaction yet.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.http import HttpRequest, QueryDict

from csms.admin import show
from csms.admin.sending_fields import BROWSER_TIME
from csms.models import ChargingProfileTemplate
from csms.ocpp.types import ChargingProfilePurposeType
from csms.services.profile_templates import profile_id, wire_of

OPERATION = "RemoteStartTransaction"
GROUP = "chargingProfile"
MOST = 200
"""Profiles that are offered."""
MOMENTS = ("validFrom", "validTo", "startSchedule")


def profiles_offered(request: HttpRequest, name: str) -> list[tuple[int, str]]:
    """Keys and names of the profiles that this operation can take; those that may be seen."""
    if name != OPERATION or not request.user.has_perm("csms.view_chargingprofiletemplate"):
        return []
    rows = ChargingProfileTemplate.objects.filter(purpose=ChargingProfilePurposeType.TX_PROFILE)
    return [(pk, show.visible(label)) for pk, label in rows.values_list("pk", "name")[:MOST]]


def filled_in(entered: QueryDict, offered: list[tuple[int, str]]) -> QueryDict:
    """What was entered, with the chosen profile in the place of the one that stood there."""
    chosen = entered.get("charging_profile", "")
    keys = [pk for pk, _ in offered if str(pk) == chosen]
    template = ChargingProfileTemplate.objects.filter(pk__in=keys).first()
    if template is None:
        return entered
    connector = entered.get("connectorId", "")
    number = int(connector) if connector.isascii() and connector.isdecimal() else 0
    plain = wire_of(template) | {"chargingProfileId": profile_id(template, number)}
    filled = entered.copy()
    for field in list(filled):
        if field.startswith(f"{GROUP}."):
            del filled[field]
    for field, value in _fields(GROUP, plain):
        filled[field] = value
    return filled


def _fields(path: str, plain: Any) -> Iterator[tuple[str, str]]:
    """The names of the form's fields, and what stands in them."""
    if isinstance(plain, dict):
        for name, value in plain.items():
            yield from _fields(f"{path}.{name}", value)
    elif isinstance(plain, list):
        for number, value in enumerate(plain):
            yield from _fields(f"{path}[{number}]", value)
    elif path.endswith(MOMENTS):
        yield path, datetime.fromisoformat(plain).strftime(BROWSER_TIME)
    else:
        yield path, str(plain)
