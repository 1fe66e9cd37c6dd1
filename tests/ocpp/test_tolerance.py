"""The tolerant reading: each named tolerance, and what is never tolerated."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from csms.ocpp.base import Payload
from csms.ocpp.core import (
    Authorize,
    BootNotification,
    DataTransfer,
    GetConfigurationResponse,
    MeterValues,
    StartTransaction,
    StatusNotification,
    StopTransaction,
)
from csms.ocpp.errors import (
    FormationViolation,
    OccurrenceConstraintViolation,
    PropertyConstraintViolation,
    ProtocolError,
    TypeConstraintViolation,
)
from csms.ocpp.smart_charging import GetCompositeScheduleResponse
from csms.ocpp.tolerance import MOST_NOTES, TOLERANCES, Note, Reading, read

RECEIVED = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
T = "2026-01-02T03:04:05Z"
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def tolerant(declaration: type[Payload], plain: Any, **how: Any) -> Reading[Any]:
    return read(declaration, plain, **{"received_at": RECEIVED, "zone": UTC, **how})


def start(**fields: Any) -> dict[str, Any]:
    return {"connectorId": 1, "idTag": "A", "timestamp": T, "meterStart": 5, **fields}


def stop(**fields: Any) -> dict[str, Any]:
    return {"transactionId": 7, "timestamp": T, "meterStop": 5, **fields}


def status(**fields: Any) -> dict[str, Any]:
    return {"connectorId": 1, "status": "Available", "errorCode": "NoError", **fields}


def boot(**fields: Any) -> dict[str, Any]:
    return {"chargePointVendor": "V", "chargePointModel": "M", **fields}


def meter(*samples: Any, **fields: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": T, "sampledValue": samples}], **fields}


def configuration(**fields: Any) -> dict[str, Any]:
    return {"configurationKey": [{"key": "K", "readonly": True, "value": "1", **fields}]}


def composite(period: Any = None, **fields: Any) -> dict[str, Any]:
    periods = [{"startPeriod": 0, "limit": 16}] if period is None else period
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": periods, **fields}
    return {"status": "Accepted", "chargingSchedule": schedule}


def without(plain: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key != name}


# declaration, what was sent, (tolerance, path), how to look at the result, what it is
REPAIRED: list[tuple[Any, Any, tuple[str, str], str, Any]] = [
    # texts
    (BootNotification, boot(meterType="x" * 40), ("over_long_text", "meterType"),
     "meter_type", "x" * 40),
    (BootNotification, boot(meterType="x" * 400), ("over_long_text", "meterType"),
     "meter_type", "x" * 255),
    (Authorize, {"idTag": "x" * 255}, ("over_long_text", "idTag"), "id_tag", "x" * 255),
    (GetConfigurationResponse, configuration(value="x" * 2500),
     ("over_long_text", "configurationKey[0].value"), "configuration_key[0].value", "x" * 2500),
    (GetConfigurationResponse, configuration(value="x" * 9000),
     ("over_long_text", "configurationKey[0].value"), "configuration_key[0].value", "x" * 2500),
    (GetConfigurationResponse, configuration(value=900),
     ("scalar_for_text", "configurationKey[0].value"), "configuration_key[0].value", "900"),
    (GetConfigurationResponse, configuration(value=True),
     ("scalar_for_text", "configurationKey[0].value"), "configuration_key[0].value", "true"),
    (MeterValues, meter({"value": 0.0}),
     ("scalar_for_text", "meterValue[0].sampledValue[0].value"),
     "meter_value[0].sampled_value[0].value", "0.0"),
    (DataTransfer, {"vendorId": "V", "data": {"a": [1, "b"]}}, ("json_for_text", "data"),
     "data", '{"a":[1,"b"]}'),
    (DataTransfer, {"vendorId": "V", "data": 2**70}, ("scalar_for_text", "data"),
     "data", str(2**70)),
    # numbers
    (StartTransaction, start(connectorId="1"), ("text_for_number", "connectorId"),
     "connector_id", 1),
    (StartTransaction, start(connectorId=1.0), ("fraction_for_whole_number", "connectorId"),
     "connector_id", 1),
    (StartTransaction, start(meterStart=5.7), ("fraction_for_whole_number", "meterStart"),
     "meter_start", 6),
    (StopTransaction, stop(meterStop="5.2"), ("fraction_for_whole_number", "meterStop"),
     "meter_stop", 5),
    (StopTransaction, stop(transactionId=2**63 - 1), ("number_out_of_range", "transactionId"),
     "transaction_id", -1),
    (StopTransaction, stop(transactionId=1e60), ("number_out_of_range", "transactionId"),
     "transaction_id", -1),
    (StopTransaction, stop(transactionId=""), ("empty_field", "transactionId"),
     "transaction_id", -1),
    (StopTransaction, stop(transactionId="none"), ("unreadable_field", "transactionId"),
     "transaction_id", -1),
    (MeterValues, meter({"value": "1"}, transactionId=2**63 - 1),
     ("number_out_of_range", "transactionId"), "transaction_id", msgspec.UNSET),
    (StartTransaction, start(reservationId=2**31), ("number_out_of_range", "reservationId"),
     "reservation_id", msgspec.UNSET),
    (StartTransaction, start(reservationId=[1]), ("unreadable_field", "reservationId"),
     "reservation_id", msgspec.UNSET),
    (GetCompositeScheduleResponse, composite([{"startPeriod": 0, "limit": 6.25}]),
     ("further_decimals", "chargingSchedule.chargingSchedulePeriod[0].limit"),
     "charging_schedule.charging_schedule_period[0].limit", Decimal("6.3")),
    (GetCompositeScheduleResponse, composite(minChargingRate="much"),
     ("unreadable_field", "chargingSchedule.minChargingRate"),
     "charging_schedule.min_charging_rate", msgspec.UNSET),
    # booleans
    *((GetConfigurationResponse, configuration(readonly=sent),
       ("scalar_for_boolean", "configurationKey[0].readonly"),
       "configuration_key[0].readonly", meant)
      for sent, meant in [("true", True), ("False", False), (1, True), (0, False), ("0", False)]),
    # enumerations
    (StatusNotification, status(errorCode="Error"), ("unknown_value", "errorCode"),
     "error_code", "OtherError"),
    (StatusNotification, status(status="available "), ("unknown_value", "status"),
     "status", "Available"),
    (StatusNotification, status(status="Occupied"), ("unknown_value", "status"),
     "status", "Charging"),
    (StopTransaction, stop(reason="PlugOut"), ("unknown_value", "reason"), "reason", "Other"),
    (StopTransaction, stop(reason=""), ("empty_field", "reason"), "reason", msgspec.UNSET),
    *((MeterValues, meter({"value": "1", name: sent}),
       ("unknown_value", f"meterValue[0].sampledValue[0].{name}"),
       f"meter_value[0].sampled_value[0].{name}", meant)
      for name, sent, meant in [
          ("context", "CurrentMax", "Other"),
          ("location", "Wall", "Body"),
          ("measurand", "Current.import", "Current.Import"),
          ("phase", "l1", "L1"),
          ("unit", "C", "Celsius"),
          ("unit", "celcius", "Celsius"),
          ("unit", "KWH", "kWh"),
          ("unit", "Amp", "A"),
      ]),
    (MeterValues, meter({"value": "50", "measurand": "Frequency", "unit": "Hz"}),
     ("unknown_value", "meterValue[0].sampledValue[0].unit"),
     "meter_value[0].sampled_value[0].unit", msgspec.UNSET),
    (MeterValues, meter({"value": "50", "unit": "", "phase": ""}),
     ("empty_field", "meterValue[0].sampledValue[0].phase"),
     "meter_value[0].sampled_value[0].phase", msgspec.UNSET),
    (MeterValues, meter({"value": "50", "format": "Cooked"}),
     ("unknown_value", "meterValue[0].sampledValue[0].format"),
     "meter_value[0].sampled_value[0].format", msgspec.UNSET),
    # times
    *((StatusNotification, status(timestamp=sent), ("odd_time", "timestamp"), "timestamp", meant)
      for sent, meant in [
          ("2026-01-02T03:04:05Z:", THEN),
          ("2026-01-02T05:04:05+02", THEN),
          ("2026-01-02T03:04Z", THEN.replace(second=0)),
          ("2026-01-02T24:00:00Z", datetime(2026, 1, 3, tzinfo=UTC)),
          ("2026-01-02T23:59:60Z", datetime(2026, 1, 3, tzinfo=UTC)),
          ("2026-1-2T3:04:05,25Z", THEN.replace(microsecond=250_000)),
      ]),
    *((StatusNotification, status(timestamp=sent), ("impossible_time", "timestamp"),
       "timestamp", msgspec.UNSET)
      for sent in ["", "0", "2022-02-29T07:02:33.000Z", "222222017-01-01T00:00:00Z", 5,
                   "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
                   "2026-01-02T24:00:01Z", "2026-01-02T03:04:05+99:00", "now"]),
    (StartTransaction, start(timestamp="2022-02-29T07:02:33.000Z"),
     ("impossible_time", "timestamp"), "timestamp", RECEIVED),
    (MeterValues, {"connectorId": 1, "meterValue": [
        {"timestamp": "", "sampledValue": [{"value": "1"}]}]},
     ("impossible_time", "meterValue[0].timestamp"), "meter_value[0].timestamp", RECEIVED),
    (StartTransaction, start(timestamp="2026-01-02T03:04:05.5"), ("zoneless_time", "timestamp"),
     "timestamp", THEN.replace(microsecond=500_000)),
    # fields
    (Authorize, {"idTag": "A", "connectorId": 2}, ("additional_field", "connectorId"),
     "id_tag", "A"),
    (StatusNotification, status(info=None), ("null_field", "info"), "info", msgspec.UNSET),
    (StopTransaction, stop(transactionId=None), ("null_field", "transactionId"),
     "transaction_id", -1),
    (StopTransaction, without(stop(), "transactionId"), ("missing_field", "transactionId"),
     "transaction_id", -1),
    (StopTransaction, without(stop(), "timestamp"), ("missing_field", "timestamp"),
     "timestamp", RECEIVED),
    (BootNotification, {}, ("missing_field", "chargePointModel"), "charge_point_model", ""),
    (BootNotification, None, ("missing_field", "chargePointVendor"), "charge_point_vendor", ""),
    (StatusNotification, without(status(), "errorCode"), ("missing_field", "errorCode"),
     "error_code", "NoError"),
    (StatusNotification, status(errorCode=""), ("empty_field", "errorCode"),
     "error_code", "NoError"),
    (MeterValues, {"connectorId": 1}, ("missing_field", "meterValue"), "meter_value", ()),
    # lists
    (MeterValues, {"connectorId": 1, "meterValue": meter({"value": "1"})["meterValue"][0]},
     ("one_for_list", "meterValue"), "meter_value[0].timestamp", THEN),
    (MeterValues, meter(), ("entry_set_aside", "meterValue[0]"), "meter_value", ()),
    (MeterValues, meter({"value": ""}), ("entry_set_aside", "meterValue[0]"), "meter_value", ()),
    *((MeterValues, meter(bad, {"value": "1"}),
       ("entry_set_aside", "meterValue[0].sampledValue[0]"),
       "meter_value[0].sampled_value", ({"value": "1"},))
      for bad in [{"value": "", "unit": "Hz"}, {"value": None}, {}, "5", None, {"value": ["1"]},
                  {"value": "1", "measurand": "Energy"}, {"value": "1", "phase": "L4"},
                  {"value": "1", "unit": "MWh"}, {"value": "1", "measurand": "Power.Offered",
                                                  "unit": "MW"},
                  {"value": "1", "measurand": "", "unit": "A"}]),
    (StopTransaction, stop(transactionData=[{}]), ("entry_set_aside", "transactionData[0]"),
     "transaction_data", ()),
    (GetConfigurationResponse, {"configurationKey": [{"key": "K"}], "unknownKey": []},
     ("entry_set_aside", "configurationKey[0]"), "configuration_key", ()),
    (GetCompositeScheduleResponse, composite([]), ("empty_list", "chargingSchedule"),
     "charging_schedule", msgspec.UNSET),
    (GetCompositeScheduleResponse, composite([{"startPeriod": 0, "limit": 6}, {"limit": 9}]),
     ("unreadable_field", "chargingSchedule"), "charging_schedule", msgspec.UNSET),
    # OCPP 1.5
    (MeterValues, {"connectorId": 1, "values": [{"timestamp": T, "value": ["100"]}]},
     ("ocpp15_values", "values"), "meter_value[0].sampled_value[0].value", "100"),
    (MeterValues, {"connectorId": 1, "values": [
        {"timestamp": T, "value": [{"value": "1", "unit": "Volt", "measurand": "Voltage"}]}]},
     ("ocpp15_values", "values"), "meter_value[0].sampled_value[0].unit", "V"),
]  # fmt: skip


def look(value: Any, where: str) -> Any:
    for step in where.replace("[", ".[").split("."):
        value = value[int(step[1:-1])] if step.startswith("[") else getattr(value, step)
    return value


@pytest.mark.parametrize(("declaration", "plain", "noted", "where", "expected"), REPAIRED)
def test_repaired(
    declaration: type[Payload], plain: Any, noted: tuple[str, str], where: str, expected: Any
) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plain, declaration)
    reading = tolerant(declaration, plain)
    assert type(reading.request) is declaration
    found = look(reading.request, where)
    plainly = msgspec.to_builtins(found, builtin_types=(datetime, Decimal, msgspec.UnsetType))
    assert (found if found is msgspec.UNSET else plainly) == expected
    assert noted in [(note.name, note.path) for note in reading.notes]
    assert all(note.name in TOLERANCES for note in reading.notes)


def test_each_tolerance_is_documented_and_tested() -> None:
    assert all(TOLERANCES.values())
    noted = {case[2][0] for case in REPAIRED}
    assert noted == set(TOLERANCES)


METER_STOP_MISSING = without(stop(), "meterStop")
REFUSED: list[tuple[Any, Any, type[ProtocolError], str]] = [
    # no meaning can be had safely
    (StopTransaction, METER_STOP_MISSING, OccurrenceConstraintViolation, "meterStop"),
    (StopTransaction, stop(meterStop=None), OccurrenceConstraintViolation, "meterStop"),
    (StopTransaction, stop(meterStop=""), TypeConstraintViolation, "meterStop"),
    (StartTransaction, start(meterStart=2**32), PropertyConstraintViolation, "meterStart"),
    (StartTransaction, without(start(), "connectorId"), OccurrenceConstraintViolation,
     "connectorId"),
    (StartTransaction, without(start(), "idTag"), OccurrenceConstraintViolation, "idTag"),
    (StartTransaction, start(idTag=["A"]), TypeConstraintViolation, "idTag"),
    (StartTransaction, start(connectorId=1.5), TypeConstraintViolation, "connectorId"),
    (StartTransaction, start(connectorId="one"), TypeConstraintViolation, "connectorId"),
    (StartTransaction, start(idTag="x" * 256), PropertyConstraintViolation, "idTag"),
    (StatusNotification, status(status="Dreaming"), PropertyConstraintViolation, "status"),
    (StatusNotification, status(status=3), PropertyConstraintViolation, "status"),
    (Authorize, [], FormationViolation, ""),
    (Authorize, "", FormationViolation, ""),
    (Authorize, None, OccurrenceConstraintViolation, "idTag"),
    # never tolerated
    (StartTransaction, start(connectorId=True), TypeConstraintViolation, "connectorId"),
    (StartTransaction, start(reservationId=False), TypeConstraintViolation, "reservationId"),
    (GetCompositeScheduleResponse, composite(minChargingRate=True), TypeConstraintViolation,
     "chargingSchedule.minChargingRate"),
    (StartTransaction, start(meterStart=float("nan")), PropertyConstraintViolation, "meterStart"),
    (StartTransaction, start(extra=[float("inf")]), PropertyConstraintViolation, "extra[0]"),
    (StartTransaction, start(meterStart="NaN"), PropertyConstraintViolation, "meterStart"),
    (GetCompositeScheduleResponse, composite(minChargingRate="Infinity"),
     PropertyConstraintViolation, "chargingSchedule.minChargingRate"),
    (StartTransaction, start(extra=10**5000), PropertyConstraintViolation, "extra"),
    (StatusNotification, status(connectorId=2**31), PropertyConstraintViolation, "connectorId"),
    (GetCompositeScheduleResponse, composite(duration=2**31), PropertyConstraintViolation,
     "chargingSchedule.duration"),
    (StartTransaction, start(idTag="A\0"), FormationViolation, "idTag"),
    (StatusNotification, status(info="\x1b[31m"), FormationViolation, "info"),
    (StatusNotification, status(info="\ud800"), FormationViolation, "info"),
    (StatusNotification, status(**{"a\0": 1}), FormationViolation, ""),
    (MeterValues, meter({"value": "1\0"}), FormationViolation,
     "meterValue[0].sampledValue[0].value"),
]  # fmt: skip


@pytest.mark.parametrize(("declaration", "plain", "kind", "path"), REFUSED)
def test_refused(
    declaration: type[Payload], plain: Any, kind: type[ProtocolError], path: str
) -> None:
    with pytest.raises(ProtocolError) as raised:
        tolerant(declaration, plain)
    assert type(raised.value) is kind
    assert raised.value.path == path
    assert raised.value.description.endswith(".")


def test_deep_nesting_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(FormationViolation):
        tolerant(DataTransfer, {"vendorId": "V", "data": deep})


def test_what_is_valid_needs_no_note() -> None:
    reading = tolerant(StartTransaction, start(idTag="", timestamp="2026-01-02T05:04:05.123+02:00"))
    assert reading.notes == ()
    assert reading.request.id_tag == ""
    assert tolerant(StatusNotification, status(info="null\tand\nmore")).request.info


def test_a_time_without_zone_is_in_the_zone_of_the_charger() -> None:
    plain = start(timestamp="2026-07-01T12:00:00")
    reading = tolerant(StartTransaction, plain, zone=ZoneInfo("Europe/Berlin"))
    assert reading.request.timestamp == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert reading.notes == (Note("zoneless_time", "timestamp", "2026-07-01T12:00:00"),)


def test_a_note_shows_what_was_sent_shortened() -> None:
    (note,) = tolerant(BootNotification, boot(x={"long": "y" * 999})).notes
    assert note.name == "additional_field"
    assert note.was == ('{"long":"' + "y" * 999)[:255]


def test_notes_are_few_however_many_fields_are_odd() -> None:
    samples = [{"value": n} for n in range(500)]
    (note,) = tolerant(MeterValues, meter(*samples)).notes
    assert note == ("scalar_for_text", "meterValue[0].sampledValue[0].value", "0")
    many = {f"x{n}": n for n in range(1000)}
    assert len(tolerant(Authorize, {"idTag": "A", **many}).notes) == MOST_NOTES


def test_texts_and_single_entries_are_no_deviation_in_xml() -> None:
    sample = {"value": "1", "unit": "Wh"}
    plain = {
        "connectorId": " 1 ",
        "transactionId": "7",
        "meterValue": {"timestamp": T, "sampledValue": sample},
    }
    reading = tolerant(MeterValues, plain, textual=True)
    assert reading.notes == ()
    assert reading.request.meter_value[0].sampled_value[0].value == "1"
    assert tolerant(MeterValues, {"connectorId": "1"}, textual=True) == (
        MeterValues(connector_id=1, meter_value=()),
        (),
    )
    keys = configuration(readonly="1")
    assert tolerant(GetConfigurationResponse, keys, textual=True).notes == ()
    assert tolerant(StopTransaction, stop(transactionData=""), textual=True).notes == (
        Note("missing_field", "transactionData[0].timestamp", ""),
        Note("entry_set_aside", "transactionData[0]", ""),
    )
