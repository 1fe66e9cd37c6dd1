"""Which limit holds when (OCPP 1.6 §3.13)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from csms.ocpp.types import (
    ChargingProfile,
    ChargingProfileKindType,
    ChargingProfilePurposeType,
    ChargingRateUnitType,
    ChargingSchedule,
    ChargingSchedulePeriod,
    RecurrencyKindType,
)
from csms.simulator import profiles
from csms.simulator.state import Connector, Transaction

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)  # a Monday
PURPOSES, KINDS = ChargingProfilePurposeType, ChargingProfileKindType


def profile(
    number: int,
    *limits: tuple[int, int],
    purpose: ChargingProfilePurposeType = PURPOSES.TX_DEFAULT_PROFILE,
    kind: ChargingProfileKindType = KINDS.ABSOLUTE,
    stack: int = 0,
    unit: ChargingRateUnitType = ChargingRateUnitType.W,
    start: Any = NOON,
    duration: Any = UNSET,
    **more: Any,
) -> ChargingProfile:
    """A profile of (start period, limit)."""
    return ChargingProfile(
        charging_profile_id=number,
        stack_level=stack,
        charging_profile_purpose=purpose,
        charging_profile_kind=kind,
        charging_schedule=ChargingSchedule(
            duration=duration,
            start_schedule=start,
            charging_rate_unit=unit,
            charging_schedule_period=tuple(
                ChargingSchedulePeriod(start_period=s, limit=Decimal(w)) for s, w in limits
            ),
        ),
        **more,
    )


def limit(connector: Connector, whole: Connector, seconds: float) -> Decimal | None:
    return profiles.limit_at(connector, whole, NOON + timedelta(seconds=seconds), NOON)


@pytest.fixture
def connector() -> Connector:
    return Connector(id=1)


@pytest.fixture
def whole() -> Connector:
    return Connector(id=0)


def test_no_profile_no_limit(connector: Connector, whole: Connector) -> None:
    assert limit(connector, whole, 0) is None


def test_periods_and_duration(connector: Connector, whole: Connector) -> None:
    profiles.install(connector, profile(1, (0, 5000), (60, 3000), duration=120))
    found = [limit(connector, whole, seconds) for seconds in (-1, 0, 59, 60, 119, 120)]
    assert found == [None, 5000, 5000, 3000, 3000, None]


def test_the_highest_valid_stack_level_counts(connector: Connector, whole: Connector) -> None:
    profiles.install(connector, profile(1, (0, 5000)))
    ends = NOON + timedelta(seconds=60)
    profiles.install(connector, profile(2, (0, 9000), stack=1, valid_to=ends))
    assert [limit(connector, whole, seconds) for seconds in (0, 60)] == [9000, 5000]


def test_the_station_caps_and_a_tx_profile_replaces_the_default(
    connector: Connector, whole: Connector
) -> None:
    maximum = profile(1, (0, 8000), purpose=PURPOSES.CHARGE_POINT_MAX_PROFILE)
    profiles.install(whole, maximum)
    profiles.install(whole, profile(2, (0, 4000)))  # the default of all connectors
    profiles.install(connector, profile(3, (0, 9000), purpose=PURPOSES.TX_PROFILE))
    assert limit(connector, whole, 0) == 4000
    connector.transaction = Transaction(connector_id=1, id_tag="A", meter_start=0, started_at=NOON)
    assert limit(connector, whole, 0) == 8000


def test_amperes_are_for_each_phase(connector: Connector, whole: Connector) -> None:
    profiles.install(connector, profile(1, (0, 16), unit=ChargingRateUnitType.A))
    assert limit(connector, whole, 0) == 16 * 230 * 3


@pytest.mark.parametrize(("every", "days"), [("Daily", 1), ("Weekly", 7)])
def test_recurring(connector: Connector, whole: Connector, every: str, days: int) -> None:
    recurring = profile(
        1,
        (0, 1000),
        (3600, 2000),
        kind=KINDS.RECURRING,
        recurrency_kind=RecurrencyKindType(every),
    )
    profiles.install(connector, recurring)
    later = days * 86400 + 1800
    found = [limit(connector, whole, s) for s in (0, 3600, later, later + 3600)]
    assert found == [1000, 2000, 1000, 2000]
    assert limit(connector, whole, later - 1801) == 2000


def test_the_same_place_is_replaced(connector: Connector) -> None:
    profiles.install(connector, profile(1, (0, 1000)))
    profiles.install(connector, profile(2, (0, 2000)))
    assert list(connector.profiles) == [2]


def test_composite(connector: Connector, whole: Connector) -> None:
    profiles.install(
        connector, profile(1, (0, 5000), (60, 20000), kind=KINDS.RELATIVE, start=UNSET)
    )
    maximum = profile(2, (0, 8000), (90, 4000), purpose=PURPOSES.CHARGE_POINT_MAX_PROFILE)
    profiles.install(whole, maximum)
    made = profiles.composite(
        connector, whole, start=NOON, duration=120, unit=ChargingRateUnitType.W, ceiling=7000
    )
    found = [(p.start_period, int(p.limit)) for p in made.charging_schedule_period]
    assert found == [(0, 5000), (60, 7000), (90, 4000)]
