"""From bytes of a charge point to a signed POST, over both transports."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import ChargePoint, WebhookEvent
from csms.services.commands import command_send, request_of
from csms.services.effects import effects_check
from csms.services.online import soap_presence_check
from tests import factories
from tests.field.test_kinds_soap import envelope, fields
from tests.running import post, wait_for
from tests.webhooks.receiver import Receiver, subscribed

if TYPE_CHECKING:
    from tests.running import System

pytestmark = pytest.mark.django_db(transaction=True)

STARTED_AT = "2026-01-02T03:04:05Z"
HEADERS = (
    "<c:chargeBoxIdentity>CP-1</c:chargeBoxIdentity>"
    "<a:MessageID>urn:uuid:1</a:MessageID><a:To>http://csms/</a:To>"
)
READING = {"value": "1500", "measurand": "Energy.Active.Import.Register"}


@pytest.fixture
def row(system: "System", request: pytest.FixtureRequest) -> ChargePoint:
    factories.id_tag("TAG", max_transactions=0)
    return factories.charge_point(
        identity="CP-1", site="Garage", transport=request.param, last_seen=None
    )


JSON = pytest.mark.parametrize("row", ["json"], indirect=True)
SOAP = pytest.mark.parametrize("row", ["soap"], indirect=True)


def said(kind: str, data: dict[str, Any], received: Any, secret: str) -> None:
    """An event of this kind and data, signed."""
    event = received.event
    assert received.is_signed(secret)
    assert not received.is_signed(secret + "x")
    assert received.headers["csms-event-id"] == event["id"]
    assert received.headers["csms-event-kind"] == event["kind"] == kind
    assert event["charge_point"] == {"identity": "CP-1", "site": "Garage"}
    assert {name: event["data"][name] for name in data} == data


@JSON
def test_a_start_over_json_becomes_a_signed_post(
    delivering: "System", receiver: Receiver, row: ChargePoint
) -> None:
    _, secret = subscribed(receiver.url, "transaction.started")
    with delivering.charger(row) as charger:
        charger.send(
            '[2,"1","StartTransaction",{"connectorId":1,"idTag":"TAG","meterStart":1000,'
            f'"timestamp":"{STARTED_AT}"}}]'
        )
        number = charger.receive()[2]["transactionId"]
    (received,) = receiver.wait(1)
    expected = {
        "transaction_id": number,
        "connector_id": 1,
        "id_tag": "TAG",
        "meter_start": 1000,
        "started_at": STARTED_AT,
    }
    said("transaction.started", expected, received, secret)
    wait_for(lambda: WebhookEvent.objects.get().state == "delivered")


@SOAP
def test_a_start_over_soap_becomes_a_signed_post(
    delivering: "System", receiver: Receiver, row: ChargePoint
) -> None:
    _, secret = subscribed(receiver.url, "transaction.started")
    inner = fields(connectorId=1, idTag="TAG", timestamp=STARTED_AT, meterStart=1000)
    response = post(delivering, envelope("StartTransaction", inner, headers=HEADERS))
    assert response.status_code == 200, response.text
    (received,) = receiver.wait(1)
    expected = {"connector_id": 1, "id_tag": "TAG", "meter_start": 1000, "started_at": STARTED_AT}
    said("transaction.started", expected, received, secret)


@JSON
def test_a_whole_session_is_told_in_order(
    delivering: "System", receiver: Receiver, row: ChargePoint
) -> None:
    """Online, statuses, start, meter values, stop, a security event, a command, offline."""
    _, secret = subscribed(receiver.url)
    delivering.deliver()
    with delivering.charger(row) as charger:
        charger.call("StatusNotification", connectorId=1, errorCode="NoError", status="Preparing")
        charger.call("StatusNotification", connectorId=1, errorCode="NoError", status="Preparing")
        number = charger.call(
            "StartTransaction", connectorId=1, idTag="TAG", meterStart=1000, timestamp=STARTED_AT
        )["transactionId"]
        for _ in range(2):
            charger.call(
                "MeterValues",
                connectorId=1,
                transactionId=number,
                meterValue=[{"timestamp": "2026-01-02T03:05:05Z", "sampledValue": [READING]}],
            )
        charger.call(
            "StopTransaction",
            transactionId=number,
            meterStop=2000,
            timestamp="2026-01-02T03:06:05Z",
            transactionData=[{"timestamp": "2026-01-02T03:06:05Z", "sampledValue": [READING]}],
        )
        charger.call("SecurityEventNotification", type="FirmwareUpdated", timestamp=STARTED_AT)
        command_send(charge_point=row, request=request_of("ClearCache", {}), by="ann")
        asked = charger.receive()
        charger.send(json.dumps([3, asked[1], {"status": "Accepted"}]))
        wait_for(lambda: "command.finished" in receiver.kinds)
    received = receiver.wait(9)
    told: list[tuple[str, dict[str, Any]]] = [
        ("charge_point.online", {"transport": "json"}),
        ("status.changed", {"connector_id": 1, "status": "Preparing", "error_code": "NoError"}),
        ("transaction.started", {"transaction_id": number}),
        ("transaction.updated", {"transaction_id": number, "meter": 1500, "energy_so_far": 500}),
        ("transaction.updated", {"transaction_id": number, "soc": None}),
        ("transaction.stopped", {"transaction_id": number, "energy": 1000, "meter_stop": 2000}),
        ("security.event", {"type": "FirmwareUpdated", "ours": False}),
        ("command.finished", {"action": "ClearCache", "state": "accepted", "requested_by": "ann"}),
        ("charge_point.offline", {"transport": "json"}),
    ]
    for (kind, data), one in zip(told, received, strict=True):
        said(kind, data, one, secret)
    assert len({one.event["id"] for one in received}) == 9


@JSON
def test_a_command_is_told_again_when_its_effect_was_seen(
    delivering: "System", receiver: Receiver, row: ChargePoint
) -> None:
    """A RemoteStartTransaction: accepted, then the transaction that it started."""
    subscribed(receiver.url, "command.finished")
    delivering.deliver()
    with delivering.charger(row) as charger:
        request = request_of("RemoteStartTransaction", {"idTag": "TAG", "connectorId": 1})
        command = command_send(charge_point=row, request=request, by="ann")
        asked = charger.receive()
        charger.send(json.dumps([3, asked[1], {"status": "Accepted"}]))
        (accepted,) = receiver.wait(1)
        number = charger.call(
            "StartTransaction",
            connectorId=1,
            idTag="TAG",
            meterStart=1000,
            timestamp=f"{factories.now():%Y-%m-%dT%H:%M:%SZ}",
        )["transactionId"]
        effects_check(now=factories.now())
        _, seen = receiver.wait(2)
    for told, effect, transaction in ((accepted, "waiting", None), (seen, "seen", number)):
        data = told.event["data"]
        assert data["command_id"] == command.pk
        assert (data["state"], data["effect"]) == ("accepted", effect)
        assert data["transaction_id"] == transaction


@SOAP
def test_a_soap_charge_point_comes_with_its_word_and_goes_with_its_silence(
    delivering: "System", receiver: Receiver, row: ChargePoint
) -> None:
    subscribed(receiver.url, "charge_point.online", "charge_point.offline")
    now = factories.now()
    assert soap_presence_check(now=now) == 0
    assert post(delivering, envelope("Heartbeat", headers=HEADERS)).status_code == 200
    assert soap_presence_check(now=factories.now()) == 1
    assert soap_presence_check(now=factories.now()) == 0
    (came,) = receiver.wait(1)
    assert came.event["data"]["transport"] == "soap"
    later = now + timedelta(days=1)
    assert soap_presence_check(now=later) == 1
    assert soap_presence_check(now=later) == 0
    receiver.wait(2)
    assert receiver.kinds == ["charge_point.online", "charge_point.offline"]


@JSON
def test_only_what_is_wanted_is_told(
    delivering: "System", receiver: Receiver, row: ChargePoint
) -> None:
    """By kind, by site, by charge point; one occurrence has one id for all who are told."""
    other = factories.charge_point(identity="CP-2", site="Yard")
    subscribed(receiver.url + "/all", "status.changed", name="all")
    subscribed(receiver.url + "/site", "status.changed", name="site", site="Garage")
    subscribed(receiver.url + "/other", "status.changed", name="other", charge_points=[other])
    subscribed(receiver.url + "/kind", "transaction.started", name="kind")
    with delivering.charger(row) as charger:
        charger.call("StatusNotification", connectorId=1, errorCode="NoError", status="Available")
    events = [one.event for one in receiver.wait(2)]
    assert events[0] == events[1]
    told = WebhookEvent.objects.values_list("subscription__name", flat=True)
    assert sorted(told) == ["all", "site"]
