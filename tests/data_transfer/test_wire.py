"""DataTransfer in bytes: installed handlers, unknown ones, and what handlers do wrong."""

import json
import re
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from csms import conf
from csms.models import ChargePoint, UnknownTransfer
from csms.ocpp.plug_and_charge import VENDOR_ID
from csms.services import data_transfer, vendor_messages
from tests import factories
from tests.data_transfer.conftest import Install
from tests.field.test_kinds_soap import answered, envelope, fields
from tests.running import last_message, post, wait_for

if TYPE_CHECKING:
    from django.test import Client

    from tests.running import System

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data-transfer.md").read_text("utf-8")
HEADERS = (
    "<c:chargeBoxIdentity>CP-1</c:chargeBoxIdentity>"
    "<a:MessageID>urn:uuid:1</a:MessageID><a:To>http://csms/</a:To>"
)
BAD = """
import sys, threading, time
from csms.models import ChargePoint
from csms.services.vendor_messages import VendorHandler, VendorMessage, VendorReply

go_on = threading.Event()
seen = []

def handle(message):
    seen.append(message)
    match message.message_id:
        case "Raise":
            raise RuntimeError("a canary of the handler")
        case "Exit":
            sys.exit(1)
        case "Wrong":
            return "Accepted"
        case "Hostile":
            return VendorReply(data="a\\0b")
        case "Slow":
            go_on.wait(30)
        case "Rows":
            return VendorReply(data=str(ChargePoint.objects.count()))
    return VendorReply()

HANDLER = VendorHandler(vendor_id="com.bad", handle=handle)
MINE = VendorReply(data="mine")
NAMED = VendorHandler(vendor_id="com.bad", message_ids=("Mine",), handle=lambda message: MINE)
NOTHING = object()
"""
BAD_ENTRIES = """a = bad_vendor:HANDLER
b = bad_vendor:NAMED
c = bad_vendor:NOTHING
d = bad_vendor:missing"""


def documented() -> tuple[str, str]:
    """The entry point and the module of the page's example."""
    (project,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (module,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    points = tomllib.loads(project)["project"]["entry-points"][vendor_messages.GROUP]
    return "\n".join(f"{name} = {target}" for name, target in points.items()), module


def say(charger: Any, vendor: str, message: str = "", **payload: Any) -> dict[str, Any]:
    named = {"messageId": message} if message else {}
    answer: dict[str, Any] = charger.call("DataTransfer", vendorId=vendor, **named, **payload)
    return answer


def test_the_documented_package_answers_over_both_transports(
    system: "System", charger: ChargePoint, install: Install
) -> None:
    install(*documented())
    with system.charger(charger) as wire:
        cool, hot = '{"celsius": 70}', '{"celsius": 99}'
        answer = say(wire, "com.example", "Temperature", data=cool)
        assert answer == {"status": "Accepted", "data": '{"reduce": true}'}
        assert say(wire, "com.example", "Temperature", data=hot) == {"status": "Rejected"}
        assert say(wire, "com.example", "Humidity") == {"status": "UnknownMessageId"}
        assert say(wire, "com.example") == {"status": "UnknownMessageId"}
        assert say(wire, "com.other", "Temperature") == {"status": "UnknownVendorId"}
        assert say(wire, VENDOR_ID, "Humidity") == {"status": "UnknownMessageId"}
    system.written()
    logged = last_message(charger, request__contains="celsius")
    assert json.loads(logged.answer)[2] == {"status": "Rejected"}
    charger.transport = "soap"
    charger.save()
    inner = fields(vendorId="com.example", messageId="Temperature", data='{"celsius": 20}')
    response = post(system, envelope("DataTransfer", inner, headers=HEADERS))
    assert answered(response) == {"status": "Accepted", "data": '{"reduce": false}'}


def test_what_a_handler_does_wrong_is_rejected_and_said_in_the_log(
    system: "System", charger: ChargePoint, install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(BAD_ENTRIES, BAD)
    with system.charger(charger) as wire:
        for message in ("Raise", "Exit", "Wrong", "Hostile"):
            assert say(wire, "com.bad", message) == {"status": "Rejected"}, message
        assert say(wire, "com.bad", "Any") == {"status": "Accepted"}
        assert say(wire, "com.bad") == {"status": "Accepted"}
        assert say(wire, "com.bad", "Mine") == {"status": "Accepted", "data": "mine"}
        assert say(wire, "com.bad", "Rows") == {"status": "Accepted", "data": "1"}
        wire.lives()
    assert "a canary of the handler" in caplog.text
    assert "Traceback" in caplog.text
    assert "bad_vendor:missing of vendors' messages cannot be loaded" in caplog.text
    assert "is no VendorHandler" in caplog.text


def test_one_that_takes_long_harms_nobody(
    system: "System",
    charger: ChargePoint,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others are answered meanwhile; it is Rejected in time, and once too many are in work."""
    install(BAD_ENTRIES, BAD)
    monkeypatch.setenv("CSMS_DATA_TRANSFER_TIMEOUT", "1")
    conf.settings.cache_clear()
    handler = vendor_messages.handlers()[0]
    go_on = handler.handle.__globals__["go_on"]
    try:
        with system.charger(charger) as slow, system.charger(factories.charge_point()) as other:
            slow.send('[2,"s","DataTransfer",{"vendorId":"com.bad","messageId":"Slow"}]')
            for _ in range(5):
                began = time.monotonic()
                other.lives()
                assert time.monotonic() - began < 0.8
            assert slow.receive() == [3, "s", {"status": "Rejected"}]
            slow.lives()
            for _ in range(vendor_messages.AT_ONCE - 1):
                assert handler._work.acquire(blocking=False)
            assert say(slow, "com.bad", "Any") == {"status": "Rejected"}
            go_on.set()
            wait_for(lambda: handler._work.acquire(blocking=False))
            handler._work.release()
            assert say(slow, "com.bad", "Any") == {"status": "Accepted"}
    finally:
        go_on.set()
        monkeypatch.undo()
        conf.settings.cache_clear()


def test_only_an_accepted_charge_point_reaches_a_handler(
    system: "System", charger: ChargePoint, install: Install
) -> None:
    """N26: what a Pending one sends is refused before."""
    install(BAD_ENTRIES, BAD)
    seen = vendor_messages.handlers()[0].handle.__globals__["seen"]
    row = ChargePoint.objects.filter(pk=charger.pk)
    with system.charger(charger) as wire:
        row.update(registration="Pending")
        answer = wire.ask('[2,"1","DataTransfer",{"vendorId":"com.bad"}]')
        assert answer[:3] == [4, "1", "SecurityError"]
        assert seen == []
        row.update(registration="Accepted")
        assert say(wire, "com.bad", data="x") == {"status": "Accepted"}
    (message,) = seen
    assert (message.charge_point, message.message_id, message.data) == ("CP-1", "", "x")
    assert (message.vendor_id, message.transport) == ("com.bad", "json")


def test_unknown_ones_are_listed_and_counted(
    system: "System", charger: ChargePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written once in a while; a flood of names is bounded."""
    monkeypatch.setattr(data_transfer, "MOST_UNKNOWN", 3)
    with system.charger(charger) as wire:
        for _ in range(3):
            assert say(wire, "com.strange", "M", data="d" * 600)["status"] == "UnknownVendorId"
        row = UnknownTransfer.objects.get()
        assert (row.vendor_id, row.message_id, row.identity) == ("com.strange", "M", "CP-1")
        assert (row.count, row.example) == (1, "d" * 500)
        data_transfer._noted["com.strange", "M"] = (-100.0 + time.monotonic(), 2)
        assert say(wire, "com.strange", "M")["status"] == "UnknownVendorId"
        row.refresh_from_db()
        assert (row.count, row.example) == (4, "")
        for number in range(5):
            assert say(wire, f"com.flood{number}")["status"] == "UnknownVendorId"
    assert UnknownTransfer.objects.count() == 3


def test_the_form_offers_what_handlers_declare(
    charger: ChargePoint, install: Install, admin_client: "Client"
) -> None:
    install(*documented())
    query = {"send_to": str(charger.pk), "operation_name": "DataTransfer"}
    page = admin_client.get("/admin/csms/command/send/", query).content.decode()
    assert "com.example: on or off: switches its fan" in page
    assert '<option value="com.example"' in page
