"""A kept charging profile in the form of RemoteStartTransaction (§5.11)."""

import re
from typing import Any

import pytest
from django.test import Client

from csms.admin import sending
from csms.models import Command
from csms.services.profile_templates import profile_id
from tests import factories
from tests.smart_charging.rows import template

pytestmark = pytest.mark.django_db

SEND = "/admin/csms/command/send/"
NAME = "RemoteStartTransaction"
PERIODS = [(0, 16.5), (3600, 8)]


def fields_of(page: str) -> dict[str, str]:
    """What stands in the form's fields, by their names."""
    inputs = re.findall(r"<input[^>]*>", page)
    found = {}
    for tag in inputs:
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name:
            found[name[1]] = value[1] if value else ""
    for name, options in re.findall(r'<select[^>]*name="([^"]+)".*?>(.*?)</select>', page, re.S):
        chosen = re.search(r'value="([^"]*)"\s+selected', options)
        found[name] = chosen[1] if chosen else ""
    return found


def filled(client: Client, charger: Any, row: Any, **fields: str) -> dict[str, str]:
    entered = {"send_to": str(charger.pk), "operation_name": NAME, "fill_in": "1"}
    response = client.post(SEND, entered | {"charging_profile": str(row.pk)} | fields)
    assert response.status_code == 200
    return fields_of(response.content.decode())


def test_a_kept_profile_is_filled_in_and_sent(admin_client: Client) -> None:
    charger = factories.charge_point()
    factories.id_tag("TAG1")
    row = template(
        "Fast",
        "TxProfile",
        *PERIODS,
        chargingProfileKind="Absolute",
        validTo="2031-02-03T04:05:06Z",
    )
    entered = filled(
        admin_client,
        charger,
        row,
        idTag="TAG1",
        connectorId="2",
        **{"chargingProfile.transactionId": "7", "chargingProfile.recurrencyKind": "Daily"},
    )
    assert (entered["idTag"], entered["connectorId"]) == ("TAG1", "2"), "what was entered stays"
    assert not Command.objects.exists()
    sent = {n: v for n, v in entered.items() if n.startswith("chargingProfile.")}
    response = admin_client.post(
        SEND,
        {"send_to": str(charger.pk), "operation_name": NAME, "send_now": "1"}
        | {"idTag": "TAG1", "connectorId": "2", "expires_minutes": "60"}
        | sent,
    )
    assert response.status_code == 302, fields_of(response.content.decode())
    profile = Command.objects.get().payload["chargingProfile"]
    assert profile["chargingProfileId"] == profile_id(row, 2)
    assert profile["chargingProfilePurpose"] == "TxProfile"
    assert profile["validTo"].startswith("2031-02-03T04:05:06")
    assert not {"transactionId", "recurrencyKind"} & profile.keys()
    periods = profile["chargingSchedule"]["chargingSchedulePeriod"]
    assert [(p["startPeriod"], p["limit"]) for p in periods] == PERIODS


def test_only_profiles_of_transactions_are_offered(admin_client: Client) -> None:
    charger = factories.charge_point()
    template("Night", "TxDefaultProfile")
    url = sending.send_url(str(charger.pk), NAME)
    assert "fill_in" not in admin_client.get(url).content.decode()
    template("Fast", "TxProfile")
    page = admin_client.get(url).content.decode()
    assert ("Fast" in page, "Night" in page, "fill_in" in page) == (True, False, True)
    other = admin_client.get(sending.send_url(str(charger.pk), "Reset")).content.decode()
    assert "fill_in" not in other


@pytest.mark.parametrize("key", ["", "x", "0", "99999999999999999999", "night"])
def test_what_is_not_offered_is_not_filled_in(admin_client: Client, key: str) -> None:
    charger = factories.charge_point()
    night = template("Night", "TxDefaultProfile")
    template("Fast", "TxProfile")
    key = str(night.pk) if key == "night" else key
    entered = filled(admin_client, charger, night, charging_profile=key, idTag="TAG1")
    assert entered["idTag"] == "TAG1"
    assert entered["chargingProfile.chargingProfileId"] == ""
