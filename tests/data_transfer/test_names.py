"""Names of vendors and their messages in any case (N31), and messages to charge points."""

from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from csms.admin import show
from csms.models import ChargePoint, Command, UnknownTransfer
from csms.ocpp.plug_and_charge import VENDOR_ID
from csms.services.commands import CommandRefused, command_send, request_of
from tests import factories
from tests.api.caller import caller
from tests.data_transfer.conftest import Install
from tests.data_transfer.test_wire import HEADERS, documented, say
from tests.field.test_kinds_soap import answered, envelope, fields
from tests.running import post, wait_for
from tests.simulated import simulated

if TYPE_CHECKING:
    from tests.running import System

pytestmark = pytest.mark.django_db(transaction=True)

BOTH = pytest.mark.parametrize("transport", ["json", "soap"])


@BOTH
def test_n31_case_does_not_count(
    system: "System", charger: ChargePoint, install: Install, transport: str
) -> None:
    """§4.3: vendorId is a CiString255Type, messageId a CiString50Type."""
    install(*documented())
    contract = '{"idToken": "DEAAA000000001"}'
    said: list[tuple[str, str, str, str]] = [
        ("COM.Example", "temperature", '{"celsius": 20}', "Accepted"),
        ("COM.Example", "humidity", "", "UnknownMessageId"),
        ("com.other", "temperature", "", "UnknownVendorId"),
        (VENDOR_ID.upper(), "AUTHORIZE", contract, "Accepted"),
        (VENDOR_ID.upper(), "humidity", "", "UnknownMessageId"),
    ]
    if transport == "json":
        with system.charger(charger) as wire:
            for vendor, message, data, status in said:
                assert say(wire, vendor, message, data=data)["status"] == status
        return
    charger.transport = "soap"
    charger.save()
    for vendor, message, data, status in said:
        inner = fields(vendorId=vendor, messageId=message, data=data)
        response = post(system, envelope("DataTransfer", inner, headers=HEADERS))
        assert answered(response)["status"] == status


@BOTH
def test_messages_to_a_charge_point(system: "System", transport: str) -> None:
    """§5.6: what it answers stands with the command."""
    row = factories.charge_point(transport=transport, last_seen=None)
    system.deliver()
    cases: dict[str, dict[str, Any]] = {
        "Accepted": {"vendorId": "SIMULATOR", "messageId": "Echo", "data": "<a & b>\n"},
        "UnknownMessageId": {"vendorId": "Simulator", "messageId": "Other"},
        "UnknownVendorId": {"vendorId": "com.other"},
    }
    with simulated(system, row):
        for status, payload in cases.items():
            sent = command_send(charge_point=row, request=request_of("DataTransfer", payload))
            done = Command.objects.filter(pk=sent.pk).exclude(state__in=["queued", "sent"])
            command = wait_for(done.first)
            assert command.state == ("accepted" if status == "Accepted" else "rejected")
            data = {"data": payload["data"]} if status == "Accepted" else {}
            assert command.answer == {"status": status} | data


def test_ocpp_1_2_has_none(charger: ChargePoint) -> None:
    charger.transport, charger.version = "soap", "1.2"
    charger.save()
    with pytest.raises(CommandRefused, match="has no DataTransfer"):
        command_send(
            charge_point=charger, request=request_of("DataTransfer", {"vendorId": "com.example"})
        )


def test_unknown_ones_are_in_the_admin_and_the_rest_api(
    system: "System", charger: ChargePoint, admin_client: Client
) -> None:
    secret = "canary-4711"
    with system.charger(charger) as wire:
        say(wire, "com.strange", "M", data=f"<b> ftp://me:{secret}@host/")
        say(wire, "com.other")
    page = admin_client.get(show.list_url("unknowntransfer")).content.decode()
    assert "com.strange" in page
    assert "&lt;b&gt;" in page
    row = UnknownTransfer.objects.get(vendor_id="com.strange")
    one = admin_client.get(show.change_url("unknowntransfer", row.pk)).content.decode()
    who = caller("read")
    listed = who.get("unknown-vendor-messages")["items"]
    assert [item["vendor_id"] for item in listed] == ["com.strange", "com.other"]
    assert (listed[0]["message_id"], listed[0]["count"]) == ("M", 1)
    assert listed[0]["charge_point"] == "CP-1"
    assert who.get("unknown-vendor-messages?vendor_id=com.other")["items"] == listed[1:]
    assert who.get("unknown-vendor-messages?charge_point=nobody")["items"] == []
    assert secret not in page + one + str(listed)
    assert Client().get("/api/v1/unknown-vendor-messages").status_code == 401
