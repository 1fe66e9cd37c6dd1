"""Times, decimals, and what leaves the system."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp.base import encode_json, reply_type, validated
from csms.ocpp.core import (
    ChangeConfiguration,
    GetConfiguration,
    HeartbeatResponse,
    RemoteStopTransaction,
    Reset,
    StatusNotification,
)
from csms.ocpp.errors import (
    FormationViolation,
    PropertyConstraintViolation,
    ProtocolError,
    TypeConstraintViolation,
)
from csms.ocpp.registry import ACTIONS, actions, from_central_system, from_charge_point
from csms.ocpp.types import (
    AuthorizationStatus,
    ChargingRateUnitType,
    ChargingSchedule,
    ChargingSchedulePeriod,
    IdTagInfo,
    MeterValue,
    SampledValue,
)

offsets = st.one_of(
    st.just("Z"),
    st.builds("{}{:02}:{:02}".format, st.sampled_from("+-"), st.integers(0, 14), st.just(30)),
)
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31))  # noqa: DTZ001
fractions = st.text("0123456789", max_size=9).map(lambda digits: digits and f".{digits}")


@given(moments, fractions, offsets)
def test_n21_iso_8601_with_fractions_and_offsets_is_accepted(
    moment: datetime, fraction: str, offset: str
) -> None:
    written = f"{moment.replace(microsecond=0).isoformat()}{fraction}{offset}"
    plain = {"timestamp": written, "sampledValue": [{"value": "1"}]}
    timestamp = msgspec.convert(plain, MeterValue).timestamp
    assert timestamp.astimezone(UTC).year  # never overflows
    expected = datetime.fromisoformat(f"{moment.replace(microsecond=0).isoformat()}{offset}")
    assert abs(timestamp - expected) <= timedelta(seconds=1)


@given(st.integers(0, 10_000), st.integers(0, 13), st.integers(0, 32), offsets)
def test_a_time_is_read_or_refused_and_nothing_else(
    year: int, month: int, day: int, offset: str
) -> None:
    plain = {
        "timestamp": f"{year:04}-{month:02}-{day:02}T23:59:59.9999999{offset}",
        "sampledValue": [{"value": "1"}],
    }
    try:
        timestamp = msgspec.json.decode(msgspec.json.encode(plain), type=MeterValue).timestamp
    except msgspec.ValidationError:
        return
    timestamp.astimezone(UTC)


def period(limit: Any) -> bytes:
    return b'{"startPeriod":0,"limit":%s}' % str(limit).encode()


@pytest.mark.parametrize(
    ("written", "encoded"),
    [
        ("16", "16"),
        ("0.3", "0.3"),
        ("16.00", "16.0"),
        ("1.6e1", "16"),
        ("1E+3", "1000"),
        ("-0.1", "-0.1"),
        ("0", "0"),
        ("11000.5", "11000.5"),
    ],
)
def test_a_decimal_is_exact_and_encoded_as_a_number(written: str, encoded: str) -> None:
    read = msgspec.json.decode(period(written), type=ChargingSchedulePeriod)
    assert read.limit == Decimal(written)
    assert encode_json(read) == period(encoded)


@given(st.integers(-(10**11), 10**11))
def test_every_tenth_is_accepted(tenths: int) -> None:
    limit = Decimal(tenths) / 10
    assert msgspec.json.decode(period(limit), type=ChargingSchedulePeriod).limit == limit


@pytest.mark.parametrize(
    "written",
    ["0.25", "1e12", "1e999999", "1e-999999", '"NaN"', '"sNaN"', '"Infinity"', "true", "null"],
)
def test_a_decimal_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(period(written), type=ChargingSchedulePeriod)


def test_every_other_decimal_is_refused_on_construction_too() -> None:
    for limit in (Decimal("NaN"), Decimal("Infinity"), Decimal("0.05"), Decimal("1e99")):
        with pytest.raises(ValueError, match="number"):
            ChargingSchedulePeriod(start_period=0, limit=limit)


def test_times_leave_in_whole_seconds_utc() -> None:
    there = timezone(timedelta(hours=2))
    reply = HeartbeatResponse(current_time=datetime(2026, 1, 2, 5, 4, 5, 999999, there))
    assert encode_json(validated(reply)) == b'{"currentTime":"2026-01-02T03:04:05Z"}'


def test_a_date_that_means_for_ever_leaves_as_it_is() -> None:
    info = IdTagInfo(
        status=AuthorizationStatus.ACCEPTED, expiry_date=datetime.max.replace(tzinfo=UTC)
    )
    assert encode_json(validated(info)) == (
        b'{"status":"Accepted","expiryDate":"9999-12-31T23:59:59Z"}'
    )


def test_what_leaves_is_compact_in_the_order_of_the_wsdl_without_absent_fields() -> None:
    schedule = ChargingSchedule(
        min_charging_rate=Decimal("4.1"),
        charging_schedule_period=(ChargingSchedulePeriod(start_period=0, limit=Decimal(16)),),
        charging_rate_unit=ChargingRateUnitType.A,
    )
    assert encode_json(validated(schedule)) == (
        b'{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16}],'
        b'"minChargingRate":4.1}'
    )
    assert encode_json(validated(GetConfiguration())) == b"{}"


@pytest.mark.parametrize(
    ("payload", "kind", "path"),
    [
        (
            HeartbeatResponse(current_time=datetime(2026, 1, 2)),  # noqa: DTZ001
            PropertyConstraintViolation,
            "currentTime",
        ),
        (RemoteStopTransaction(transaction_id=2**31), PropertyConstraintViolation, "transactionId"),
        (
            RemoteStopTransaction(transaction_id=True),
            TypeConstraintViolation,
            "transactionId",
        ),
        (Reset(type="Firm"), PropertyConstraintViolation, "type"),  # type: ignore[arg-type]
        (ChangeConfiguration(key="k" * 51, value=""), PropertyConstraintViolation, "key"),
        (ChangeConfiguration(key="k", value="\0"), FormationViolation, "value"),
        (ChangeConfiguration(key="k", value="\ud800"), FormationViolation, "value"),
        (GetConfiguration(key=("a", "b\x1b")), FormationViolation, "key[1]"),
    ],
)
def test_nothing_invalid_leaves(payload: Any, kind: type[ProtocolError], path: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        validated(payload)
    assert type(raised.value) is kind
    assert raised.value.path == path


def test_an_optional_field_that_is_absent_is_false_and_not_written() -> None:
    sample = SampledValue(value="1")
    assert not sample.unit
    assert encode_json(sample) == b'{"value":"1"}'


def test_the_registry_knows_who_sends_what() -> None:
    assert len(ACTIONS) == len(list(actions())) == 39
    assert from_charge_point("StatusNotification") is StatusNotification
    assert from_central_system("StatusNotification") is None
    assert from_charge_point("Reset") is None
    assert from_central_system("Reset") is Reset
    assert from_charge_point("DataTransfer") is from_central_system("DataTransfer") is not None
    assert from_charge_point("Unheard") is from_central_system("Unheard") is None
    for request in actions():
        assert reply_type(request).__name__ == request.__name__ + "Response"
        assert request.soap == (request.profile.value != "Security")
