"""What msgspec found wrong becomes an error of the protocol that names the field."""

from typing import Any

import msgspec
import pytest

from csms.ocpp.core import BootNotification, MeterValues, StartTransaction
from csms.ocpp.errors import (
    FormationViolation,
    OccurrenceConstraintViolation,
    PropertyConstraintViolation,
    ProtocolError,
    TypeConstraintViolation,
    UnknownAction,
)
from csms.ocpp.explain import explain, values_at
from csms.ocpp.registry import ACTIONS
from csms.ocpp.security import GetInstalledCertificateIdsResponse
from csms.ocpp.smart_charging import GetCompositeScheduleResponse

METER = '{"connectorId":1,"meterValue":[{"timestamp":%s,"sampledValue":%s}]}'
SCHEDULE = (
    '{"status":"Accepted","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":'
    '[{"startPeriod":0,"limit":%s}]}}'
)
NOW = '"2026-01-02T03:04:05Z"'

CASES = [
    (BootNotification, "{}", OccurrenceConstraintViolation, "chargePointVendor", "is required"),
    (
        BootNotification,
        '{"chargePointVendor":"v","chargePointModel":"m","x":1}',
        FormationViolation,
        "x",
        "is not a field of this message",
    ),
    (
        BootNotification,
        '{"chargePointVendor":null,"chargePointModel":"m"}',
        TypeConstraintViolation,
        "chargePointVendor",
        "must be a text, not null",
    ),
    (
        BootNotification,
        '{"chargePointVendor":"%s","chargePointModel":"m"}' % ("v" * 21),
        PropertyConstraintViolation,
        "chargePointVendor",
        "must have at most 20 characters",
    ),
    (BootNotification, "[]", FormationViolation, "", "must be an object, not a list"),
    (
        MeterValues,
        '{"connectorId":true,"meterValue":[]}',
        TypeConstraintViolation,
        "connectorId",
        "must be a whole number, not true or false",
    ),
    (
        MeterValues,
        '{"connectorId":2147483648,"meterValue":[]}',
        PropertyConstraintViolation,
        "connectorId",
        "must be at most 2147483647",
    ),
    (
        MeterValues,
        '{"connectorId":%s,"meterValue":[]}' % ("9" * 5000),
        PropertyConstraintViolation,
        "connectorId",
        "is out of range",
    ),
    (
        MeterValues,
        METER % ('"2026-01-02T03:04:05"', '[{"value":"1"}]'),
        PropertyConstraintViolation,
        "meterValue[0].timestamp",
        "must be a time with a zone",
    ),
    (
        MeterValues,
        METER % ('"now"', '[{"value":"1"}]'),
        PropertyConstraintViolation,
        "meterValue[0].timestamp",
        "must be an ISO 8601 time",
    ),
    (
        MeterValues,
        METER % ('"0001-01-01T00:00:00+14:00"', '[{"value":"1"}]'),
        PropertyConstraintViolation,
        "meterValue[0]",
        "is not valid: the year is out of range",
    ),
    (
        MeterValues,
        METER % (NOW, "[]"),
        OccurrenceConstraintViolation,
        "meterValue[0].sampledValue",
        "must hold at least 1",
    ),
    (
        MeterValues,
        METER % (NOW, '[{"value":"1","unit":"Hz"}]'),
        PropertyConstraintViolation,
        "meterValue[0].sampledValue[0].unit",
        "is 'Hz', which OCPP 1.6 does not know",
    ),
    (
        MeterValues,
        METER % (NOW, "[{}]"),
        OccurrenceConstraintViolation,
        "meterValue[0].sampledValue[0].value",
        "is required",
    ),
    (
        GetInstalledCertificateIdsResponse,
        '{"status":"Accepted","certificateHashData":[]}',
        OccurrenceConstraintViolation,
        "certificateHashData",
        "must hold at least 1",
    ),
    (
        GetCompositeScheduleResponse,
        SCHEDULE % "6.25",
        PropertyConstraintViolation,
        "chargingSchedule.chargingSchedulePeriod[0]",
        "is not valid: the number has more than one decimal",
    ),
    (
        GetCompositeScheduleResponse,
        SCHEDULE % "true",
        TypeConstraintViolation,
        "chargingSchedule.chargingSchedulePeriod[0].limit",
        "must be a number, not true or false",
    ),
    (
        GetCompositeScheduleResponse,
        SCHEDULE % '"much"',
        TypeConstraintViolation,
        "chargingSchedule.chargingSchedulePeriod[0].limit",
        "must be a number",
    ),
]


@pytest.mark.parametrize(("declaration", "payload", "kind", "path", "says"), CASES)
def test_validation_errors(
    declaration: type[Any], payload: str, kind: type[ProtocolError], path: str, says: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(payload, type=declaration)
    error = explain(raised.value)
    assert type(error) is kind
    assert error.path == path
    assert error.description == f"{path or 'The payload'} {says}."


@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{"idTag":}', b'{"idTag":"\xff"}', b'"\\ud800"', b"[" * 100_000, b"NaN"]
)
def test_what_is_no_object_is_a_formation_violation(payload: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeError, RecursionError)) as raised:
        msgspec.json.decode(payload, type=StartTransaction)
    error = explain(raised.value)
    assert type(error) is FormationViolation
    assert error.path == ""
    assert error.description.endswith(".")


def test_nesting_and_surrogates() -> None:
    assert type(explain(RecursionError("maximum recursion depth"))) is FormationViolation
    assert type(explain(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"))) is FormationViolation


def test_a_protocol_error_stays_as_it_is() -> None:
    error = UnknownAction("There is no such action.")
    assert explain(error) is error


def test_a_description_has_at_most_255_characters() -> None:
    error = explain(msgspec.ValidationError(f"Object contains unknown field `{'x' * 5000}`"))
    assert len(error.description) <= 255
    error = explain(msgspec.ValidationError("y" * 5000))
    assert len(error.description) <= 255


@pytest.mark.parametrize(
    ("action", "path", "values"),
    [
        ("Reset", "type", ["Hard", "Soft"]),
        ("RemoteStartTransaction", "chargingProfile.recurrencyKind", ["Daily", "Weekly"]),
        (
            "SendLocalList",
            "localAuthorizationList[...].idTagInfo.status",
            ["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"],
        ),
        ("Reset", "", []),
        ("Reset", "nothing.like[0].this", []),
        ("UnlockConnector", "connectorId", []),
    ],
)
def test_values_of_an_enumeration_are_known(action: str, path: str, values: list[str]) -> None:
    assert values_at(ACTIONS[action], path) == values
