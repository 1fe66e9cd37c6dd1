"""N17: what a repeated message id means."""

from typing import Any

import pytest

from csms.models import ChargePoint, IdTag, Message, MeterValue, Transaction
from csms.ocpp import core
from csms.ocpp.errors import SecurityViolation
from csms.services import repeats
from tests.services.harness import House, known_tag, meter_value, sample

pytestmark = pytest.mark.django_db

STOP = {"transactionId": 77, "timestamp": "2026-03-04T12:00:00Z", "meterStop": 5}


def test_n17_stored_answer_is_replayed(house: House) -> None:
    """The answer is the stored one even where deciding again would say something else."""
    known_tag()
    cp = house.charger()
    start = {"connectorId": 1, "idTag": "TAG", "timestamp": "1970-01-01T00:00:00Z", "meterStart": 0}
    pnc = {
        "vendorId": "org.openchargealliance.iso15118pnc",
        "messageId": "Authorize",
        "data": '{"idToken": "TAG"}',
    }
    meter = {"connectorId": 1, "meterValue": [meter_value(house.now, sample(5))]}
    messages: dict[str, Any] = {"StartTransaction": start}
    messages["StopTransaction"] = {**STOP, "idTag": "TAG"}
    messages |= {"DataTransfer": pnc, "MeterValues": meter}
    first = {
        name: cp.send_plain(name, payload, message_id=name) for name, payload in messages.items()
    }
    Transaction.objects.update(state="stopped")
    known = Transaction.objects.get()
    IdTag.objects.all().delete()
    house.later(hours=1)
    for name, payload in messages.items():
        assert cp.send_plain(name, payload, message_id=name) == first[name], name
    assert Transaction.objects.get() == known
    assert MeterValue.objects.count() == 1
    cp.send(core.Heartbeat())  # takes the log along
    notes = [m.notes for m in Message.objects.filter(message_id__in=messages).order_by("id")]
    assert notes[-4:] == [["repeated message: the stored answer"]] * 4


def test_n17_all_others_run_afresh(house: House) -> None:
    cp = house.charger()
    boot = core.BootNotification(charge_point_vendor="V", charge_point_model="M")
    for request in (core.Heartbeat(), boot):
        assert cp.send(request, message_id="boot-id").current_time == house.now
        house.later(minutes=5)
        assert cp.send(request, message_id="boot-id").current_time == house.now
    authorize = core.Authorize(id_tag="TAG")
    assert cp.send(authorize, message_id="7").id_tag_info.status == "Invalid"
    known_tag()
    assert cp.send(authorize, message_id="7").id_tag_info.status == "Accepted"
    for status in ("Available", "Faulted", "Available"):
        payload = {"connectorId": 1, "status": status, "errorCode": "NoError"}
        cp.send_plain("StatusNotification", payload, message_id="8")
        assert cp.row.connectors.get().status == status
    assert not cp.row.deviations.exists()


def test_n17_same_id_with_another_payload_is_processed_and_noted(house: House) -> None:
    """Chargers exist that restart their ids at 1 with each boot."""
    cp = house.charger()
    first = cp.send(cp.start(), message_id="1")
    second = cp.send(cp.start(connector_id=2), message_id="1")
    assert first.transaction_id != second.transaction_id
    assert Transaction.objects.count() == 2
    deviation = cp.row.deviations.get()
    assert (deviation.name, deviation.count) == ("message id used again", 1)


def test_n17_ids_of_two_chargers_do_not_meet(house: House) -> None:
    one, other = house.charger(), house.charger()
    assert one.send(one.start(), message_id="1") != other.send(other.start(), message_id="1")
    assert Transaction.objects.count() == 2


def test_n17_the_memory_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "REMEMBERED", 5)
    cp = house.charger()
    for number in range(12):
        cp.send(cp.stop(number), message_id=str(number))
    assert len(house.inbox.workers[0].answers._kept) == 5
    known_tag()
    late = cp.stop(0, id_tag="TAG")
    assert cp.send(late, message_id="0").id_tag_info.status == "Accepted"


def test_n17_a_refusal_is_not_replayed_once_its_cause_is_gone(house: House) -> None:
    """A start refused before registration must be kept when it is sent again after it."""
    known_tag()
    cp = house.charger(registration="Pending")
    start = {
        "connectorId": 1,
        "idTag": "TAG",
        "timestamp": "2026-03-04T05:06:07Z",
        "meterStart": 0,
    }
    refused = cp.send_plain("StartTransaction", start, message_id="77")
    assert isinstance(refused, SecurityViolation)
    ChargePoint.objects.update(registration="Accepted")
    assert cp.send_plain("StartTransaction", start, message_id="77").transaction_id > 0
    assert Transaction.objects.count() == 1
