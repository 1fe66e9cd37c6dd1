"""Each kind of deviation that real chargers are known for, in frames of our own making."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import (
    ChargePoint,
    Command,
    Connector,
    Message,
    MeterValue,
    QuarantinedMessage,
    SecurityEvent,
    Transaction,
)
from csms.services.commands import command_send, request_of
from tests import factories
from tests.field.bench import deviations, finished
from tests.running import JsonCharger, last_message, noted

if TYPE_CHECKING:
    from tests.running import System

T1, T2 = "2026-01-02T10:00:00Z", "2026-01-02T11:00:00Z"


@pytest.fixture
def charger(system: "System") -> JsonCharger:
    """A connected charge point that is tolerated; TAG may charge."""
    factories.id_tag("TAG", max_transactions=0)
    return system.charger(factories.charge_point())


def start(charger: JsonCharger, **changes: Any) -> int:
    payload = {"connectorId": 1, "idTag": "TAG", "meterStart": 1000, "timestamp": T1}
    number: int = charger.call("StartTransaction", **payload | changes)["transactionId"]
    assert number > 0
    return number


def stop(charger: JsonCharger, number: Any, **changes: Any) -> Transaction:
    payload = {"transactionId": number, "meterStop": 1500, "timestamp": T2}
    charger.call("StopTransaction", **payload | changes)
    return Transaction.objects.latest("id")


def meter(charger: JsonCharger, *samples: Any, **changes: Any) -> list[MeterValue]:
    """All readings after one more."""
    value = {"timestamp": T1, "sampledValue": list(samples) or [{"value": "7"}]}
    charger.call("MeterValues", **{"connectorId": 1, "meterValue": [value]} | changes)
    return list(MeterValue.objects.order_by("id"))


def status(charger: JsonCharger, **changes: Any) -> Connector:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    charger.call("StatusNotification", **payload | changes)
    return Connector.objects.latest("id")


# ------------------------------------------------------------------------ what is written


def test_enumerations(charger: JsonCharger) -> None:
    """Misspelt, in the wrong case, unknown: the nearest value counts, the raw one is kept."""
    connector = status(charger, errorCode="Overheated", status="available")
    assert (connector.status, connector.error_code) == ("Available", "Overheated")
    (reading,) = meter(charger, {"value": "3", "measurand": "current.import", "unit": "Amp"})
    assert reading.samples[0]["measurand"] == "Current.Import"
    transaction = stop(charger, start(charger), reason="PlugRemoved")
    assert (transaction.energy, transaction.stop_reason) == (500, "PlugRemoved")
    assert "unknown_value" in deviations(charger.row)


def test_missing_and_empty(charger: JsonCharger) -> None:
    """A boot without vendor and model, a stop without transactionId, an empty timestamp."""
    assert charger.call("BootNotification")["status"] == "Accepted"
    assert charger.call("BootNotification", chargePointVendor="", chargePointModel="M")
    meter(charger, timestamp="", meterValue=[{"timestamp": "", "sampledValue": [{"value": "1"}]}])
    assert MeterValue.objects.get().received_at is not None
    start(charger)
    answer = charger.call("StopTransaction", meterStop=1500, timestamp=T2)
    assert answer == {}
    assert Transaction.objects.get().energy == 500
    assert "missing_field" in deviations(charger.row)


def test_null_members(charger: JsonCharger) -> None:
    assert status(charger, info=None, vendorId=None).info == ""
    assert "null_field" in deviations(charger.row)


def test_additional_fields_and_actions(charger: JsonCharger) -> None:
    """Dropped and noted; the security extension on a plain link; actions that do not exist."""
    answer = charger.call("Authorize", idTag="tag", connectorId=1)
    assert answer["idTagInfo"]["status"] == "Accepted"
    assert deviations(charger.row) == {"additional_field"}
    charger.call("SecurityEventNotification", type="Odd", timestamp=T1)
    assert SecurityEvent.objects.get().kind == "Odd"
    for action, code in (("Frobnicate", "NotImplemented"), ("Reset", "NotSupported")):
        assert charger.ask(f'[2,"{action}","{action}",{{}}]')[:3] == [4, action, code]
    charger.lives()


def test_empty_lists(charger: JsonCharger) -> None:
    """An empty sample, an empty transactionData: nothing is stored of them, the rest counts."""
    assert meter(charger, meterValue=[{"timestamp": T1, "sampledValue": []}]) == []
    data = [{"timestamp": T1, "sampledValue": []}]
    assert stop(charger, start(charger), transactionData=data).energy == 500
    transaction = stop(charger, start(charger, timestamp=T2), transactionData=[])
    assert transaction.state == "stopped"
    assert not MeterValue.objects.exists()
    assert "entry_set_aside" in deviations(charger.row)


def test_wrong_types(charger: JsonCharger) -> None:
    """Numbers for texts and texts for numbers, an object for a list, meters with a fraction."""
    value = {"timestamp": T1, "sampledValue": {"value": 7.5}}
    (reading,) = meter(charger, meterValue=value)
    assert reading.energy == 7.5
    assert status(charger, connectorId="2").connector_id == 2
    transaction = stop(charger, start(charger, idTag=1234, meterStart="1000"), meterStop=1500.6)
    assert (transaction.id_tag, transaction.meter_stop) == ("1234", 1501)
    charger.call("DataTransfer", vendorId="V", data={"a": 1})
    assert deviations(charger.row) >= {
        "scalar_for_text",
        "one_for_list",
        "text_for_number",
        "fraction_for_whole_number",
        "json_for_text",
    }


def test_frames_that_are_none(system: "System", charger: JsonCharger) -> None:
    """With an id: answered. Without one, of another type, or answers to nothing: logged only."""
    answer = charger.ask('[2,"a","Heartbeat",{"x":}]')
    assert answer[:3] == [4, "a", "FormationViolation"]
    answer = charger.ask('[2,"b","StopTransaction",{"transactionId":}]')
    assert answer == [3, "b", {}]
    silent = ["hello", "[]", '[1,"c","Heartbeat",{}]', '[5,"d",{}]', '[3,"e",{}]', '[4,"f","X"]']
    for frame in silent:
        charger.send(frame)
    charger.lives()
    system.written()
    for frame in silent:
        assert Message.objects.get(charge_point=charger.row, request=frame).error
    assert QuarantinedMessage.objects.get().action == "StopTransaction"
    assert charger.ask('[2,"g","Heartbeat",null]')[0] == 3  # N37


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-01-02T10:00:00", "2026-01-02T10:00:00+00:00"),
        ("2026-01-02T10:00:00+02", "2026-01-02T08:00:00+00:00"),
        ("2026-01-02T10:00:00.123456789Z", "2026-01-02T10:00:00.123457+00:00"),
        ("2026-02-29T10:00:00Z", None),
        ("1970-01-01T00:00:12Z", None),
        ("222222017-01-01T00:00:00Z", None),
        ("yesterday", None),
    ],
)
def test_timestamps(charger: JsonCharger, sent: str, stored: str | None) -> None:
    """Read where it can be; else the time of receipt counts, and the text is kept."""
    start(charger, timestamp=sent)
    transaction = Transaction.objects.get()
    if stored is None:
        assert transaction.started_at == transaction.start_received_at
        assert "the clock of the start is not believable" in transaction.flags
    else:
        difference = transaction.started_at - type(transaction.started_at).fromisoformat(stored)
        assert abs(difference.total_seconds()) < 0.001
    if sent[0] != "2" or not sent.endswith("Z") or stored is None:
        assert transaction.start_timestamp.startswith(sent[:10])
    again = start(charger, timestamp=sent)
    assert again == transaction.transaction_id


def test_over_long_texts(charger: JsonCharger) -> None:
    """Kept whole."""
    serial = "S" * 33
    charger.call(
        "BootNotification",
        chargePointVendor="V" * 40,
        chargePointModel="M",
        chargeBoxSerialNumber=serial,
    )
    charger.row.refresh_from_db()
    assert (charger.row.box_serial_number, len(charger.row.vendor)) == (serial, 40)
    start(charger, idTag="T" * 21)
    assert Transaction.objects.get().id_tag == "T" * 21
    assert deviations(charger.row) == {"over_long_text"}


# --------------------------------------------------------------------- ids and their meaning


def test_message_ids(charger: JsonCharger) -> None:
    """Any text; the same id is no proof of the same message."""
    for message_id in ("36:352", "1", "x" * 60, "ä ö", "c2d6-ac1v"):
        assert "currentTime" in charger.call("Heartbeat", _id=message_id)
    for firmware in ("1.0", "1.1"):
        boot = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": firmware}
        charger.call("BootNotification", _id="1", **boot)
        charger.row.refresh_from_db()
        assert charger.row.firmware_version == firmware
    assert "long_message_id" in deviations(charger.row)


def test_connector_ids(charger: JsonCharger) -> None:
    """0 has no transaction; made on demand up to a sane number; absurd ones make nothing."""
    number = start(charger)
    meter(charger, connectorId=0, transactionId=number)
    assert MeterValue.objects.get().transaction is None
    assert status(charger, connectorId=6).connector_id == 6
    absurd = {"connectorId": 1850027108}
    answer = charger.ask(
        json.dumps(
            [2, "x", "StatusNotification", absurd | {"errorCode": "NoError", "status": "Available"}]
        )
    )
    assert answer[:3] == [4, "x", "PropertyConstraintViolation"]
    meter(charger, **absurd)
    answer = charger.call("StartTransaction", **absurd, idTag="TAG", meterStart=0, timestamp=T1)
    assert answer["idTagInfo"]["status"] == "Invalid"
    assert answer["transactionId"] > 0
    assert {kept.action for kept in QuarantinedMessage.objects.all()} == {
        "MeterValues",
        "StartTransaction",
    }
    assert set(Connector.objects.values_list("connector_id", flat=True)) == {0, 1, 6}


@pytest.mark.parametrize("number", [0, -1, -7, 9223372036854775807, "n/a"])
def test_transaction_ids_that_say_nothing(charger: JsonCharger, number: Any) -> None:
    """Answered; paired with the one transaction that fits, else kept in quarantine."""
    meter(charger, transactionId=number)
    charger.call("StopTransaction", transactionId=number, meterStop=9, timestamp=T1)
    assert QuarantinedMessage.objects.get().action == "StopTransaction"
    start(charger)
    assert stop(charger, number).energy == 500


def test_a_transaction_of_another(system: "System", charger: JsonCharger) -> None:
    """F7: answered, without effect, and told to those who watch."""
    other = system.charger(factories.charge_point())
    number = start(other)
    meter(charger, transactionId=number)
    charger.call("StopTransaction", transactionId=number, meterStop=1500, timestamp=T2)
    transaction = Transaction.objects.get()
    assert (transaction.state, transaction.last_meter) == ("open", None)
    assert {event.kind for event in SecurityEvent.objects.all()} == {"ForeignTransaction"}


def test_meter_values(charger: JsonCharger) -> None:
    """kW and kWh, phases, intervals, signed data, the body of OCPP 1.5."""
    energy = {"measurand": "Energy.Active.Import.Register", "unit": "kWh", "value": "1.5"}
    power = {"measurand": "Power.Active.Import", "unit": "kW", "value": "2.5"}
    interval = {"measurand": "Energy.Active.Import.Interval", "value": "9"}
    signed = {"value": "AB12", "format": "SignedData"}
    phases = [{"value": "5", "phase": f"L{n}"} for n in (1, 2, 3)]
    readings = meter(charger, energy, power, interval, signed, *phases)
    assert (readings[0].energy, readings[0].power, len(readings[0].samples)) == (1500, 2500, 7)
    by_phase = [{**power, "phase": f"L{n}", "value": "1"} for n in (1, 2, 3)]
    assert meter(charger, *by_phase)[-1].power == 3000
    values = [{"timestamp": T2, "value": ["100"]}]
    charger.call("MeterValues", connectorId=1, values=values)
    assert MeterValue.objects.latest("id").energy == 100
    readings = meter(charger, {"value": ""}, {"value": "8", "unit": "kittens"}, {"value": "9"})
    assert [sample["value"] for sample in readings[-1].samples] == ["9"]


# ----------------------------------------------------------------------- again, and in disorder


def test_duplicates(charger: JsonCharger) -> None:
    """F2, F5: one row, the same answer; a stop that contradicts is kept apart."""
    first = start(charger)
    assert start(charger) == first
    for _ in range(2):
        assert len(meter(charger, transactionId=first)) == 1
    for _ in range(2):
        stop(charger, first)
    stop(charger, first, meterStop=1700)
    transaction = Transaction.objects.get()
    assert (transaction.meter_stop, transaction.energy) == (1500, 500)
    assert "1700" in QuarantinedMessage.objects.get().raw


def test_disorder(charger: JsonCharger) -> None:
    """Readings after the stop, a start without a stop before it, the late stop after all."""
    first = start(charger)
    stop(charger, first)
    end = {"value": "1500", "context": "Transaction.End"}
    (reading,) = meter(charger, end, transactionId=first)
    assert reading.transaction == Transaction.objects.get()
    second = start(charger, timestamp="2026-01-02T12:00:00Z")
    third = start(charger, timestamp="2026-01-02T13:00:00Z")
    states = dict(Transaction.objects.values_list("transaction_id", "state"))
    assert (states[second], states[third]) == ("ended", "open")
    charger.call("StopTransaction", transactionId=second, meterStop=1200, timestamp=T2)
    repaired = Transaction.objects.get(transaction_id=second)
    assert (repaired.state, repaired.energy) == ("stopped", 200)


# -------------------------------------------------------------------- configuration's secrets


@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
def test_secrets_are_not_kept(system: "System", charger: JsonCharger, status: str) -> None:
    """Neither what is set nor what a charge point tells; the wire has it."""
    system.deliver()
    canary = "correct horse battery staple"
    settings = {"key": "StationPassword", "value": canary}
    command = command_send(
        charge_point=charger.row, request=request_of("ChangeConfiguration", settings)
    )
    _, message_id, _, payload = charger.receive()
    assert payload["value"] == canary
    charger.send(json.dumps([3, message_id, {"status": status}]))
    assert finished(command).state == status.lower()
    assert not command.followers.exists()  # a secret is not read back
    command = command_send(charge_point=charger.row, request=request_of("GetConfiguration", {}))
    message_id = charger.receive()[1]
    keys = [{"key": "WifiPassword", "readonly": False, "value": canary}]
    charger.send(json.dumps([3, message_id, {"configurationKey": keys}]))
    assert finished(command).state == "accepted"
    system.written()
    kept = [*Command.objects.values(), *Message.objects.values()]
    assert len(kept) == 4
    assert canary not in str(kept)


# -------------------------------------------------------------------------------- strict


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("BootNotification", {"chargePointVendor": "V"}, "OccurenceConstraintViolation"),
        ("Authorize", {"idTag": "T" * 21}, "PropertyConstraintViolation"),
        ("Authorize", {"idTag": 7}, "TypeConstraintViolation"),
        ("Authorize", {"idTag": "T", "connectorId": 1}, "FormationViolation"),
        (
            "StatusNotification",
            {"connectorId": 1, "errorCode": "Error", "status": "Faulted"},
            "PropertyConstraintViolation",
        ),
        (
            "MeterValues",
            {"connectorId": 1, "meterValue": [{"timestamp": T1, "sampledValue": []}]},
            "OccurenceConstraintViolation",
        ),
        (
            "StopTransaction",
            {"transactionId": "1", "meterStop": 1, "timestamp": T1},
            "TypeConstraintViolation",
        ),
    ],
)
def test_strict(system: "System", action: str, payload: dict[str, Any], code: str) -> None:
    """A charge point that is to be certified gets the errors that its deviations are."""
    charger = system.charger(factories.charge_point(strictness="strict"))
    answer = charger.ask(json.dumps([2, "1", action, payload]))
    assert answer[:3] == [4, "1", code]
    assert last_message(charger.row).error
    assert not deviations(charger.row)
    assert not QuarantinedMessage.objects.exists()
    charger.lives()


def test_tolerated_messages_are_noted(charger: JsonCharger) -> None:
    """What the compliance card counts stands on the message as well."""
    status(charger, errorCode="Error")
    assert noted(last_message(charger.row)) == {"unknown_value"}
    assert ChargePoint.objects.get().deviations.get().count == 1
