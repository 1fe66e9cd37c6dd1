"""The composite schedule by examples (N35), and where a charge point's own differs."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from csms.ocpp.types import ChargingProfile, ChargingSchedule
from csms.services.composite import Composite, Limit, Running, differences, reported
from tests.smart_charging.profiles import (
    DAY,
    DEFAULT,
    HOUR,
    MAX,
    START,
    TX,
    A,
    W,
    installed,
    made,
    short,
    wire,
)

RUNNING = {1: Running(7, START - timedelta(hours=1))}


def test_n35_nothing_installed_limits_nothing() -> None:
    assert short(made()) == [(0, "none")]


def test_n35_the_lowest_of_the_purposes_counts() -> None:
    """§3.13.3."""
    most = installed(0, MAX, (0, 10), (2 * HOUR, 20), startSchedule=START.isoformat())
    default = installed(0, DEFAULT, (0, 16), kind="Relative")
    assert short(made(most, default)) == [(0, "10.0"), (7200, "16.0")]


def test_n35_a_txprofile_overrules_the_default_while_its_transaction_runs() -> None:
    default, own = installed(1, DEFAULT, (0, 16)), installed(1, TX, (0, 20))
    assert short(made(default, own)) == [(0, "16.0")]
    assert short(made(default, own, running=RUNNING)) == [(0, "20.0")]
    other = installed(1, TX, (0, 20), transactionId=8)
    assert short(made(default, other, running=RUNNING)) == [(0, "16.0")]


def test_n35_after_its_duration_the_default_counts_again() -> None:
    own = installed(1, TX, (0, 20), kind="Relative", duration=2 * HOUR)
    default = installed(1, DEFAULT, (0, 16))
    assert short(made(default, own, running=RUNNING)) == [(0, "20.0"), (HOUR, "16.0")]


def test_n35_the_highest_valid_stack_level_counts() -> None:
    until = (START + timedelta(hours=3)).isoformat()
    low = installed(1, DEFAULT, (0, 32), level=0)
    high = installed(1, DEFAULT, (0, 8), level=5, validTo=until)
    assert short(made(low, high)) == [(0, "8.0"), (3 * HOUR, "32.0")]


def test_n35_daily_is_24_hours_from_startschedule() -> None:
    daily = installed(
        1,
        DEFAULT,
        (0, 6),
        (8 * HOUR, 16),
        kind="Recurring",
        recurrencyKind="Daily",
        startSchedule="2026-01-01T20:00:00Z",
    )
    assert short(made(daily, duration=2 * DAY)) == [
        (0, "16.0"),
        (8 * HOUR, "6.0"),
        (16 * HOUR, "16.0"),
        (32 * HOUR, "6.0"),
        (40 * HOUR, "16.0"),
    ]


def test_n35_weekly_keeps_the_day_of_the_week() -> None:
    weekly = installed(
        1,
        DEFAULT,
        (0, 6),
        kind="Recurring",
        recurrencyKind="Weekly",
        duration=DAY,
        startSchedule="2026-01-03T00:00:00Z",  # a Saturday
    )
    saturday = int((datetime(2026, 3, 7, tzinfo=UTC) - START).total_seconds())
    wanted = [(0, "none"), (saturday, "6.0"), (saturday + DAY, "none")]
    assert short(made(weekly, duration=7 * DAY)) == wanted


def test_n35_units_are_converted_by_voltage_and_phases() -> None:
    """A is for each phase, W the total; numberPhases absent = 3. Rounded down."""
    one, three = installed(1, DEFAULT, (0, 16, 1)), installed(1, DEFAULT, (0, 16.1))
    assert short(made(one, unit=W)) == [(0, "3680.0")]
    assert short(made(three, unit=W)) == [(0, "11109.0")]
    watts = installed(1, DEFAULT, (0, 10_000), unit="W")
    assert short(made(watts)) == [(0, "14.4")]
    assert made(one, watts._replace(connector_id=0)).periods[0].number_phases == 1


def test_n35_the_whole_charge_point_is_the_max_profile_and_all_connectors_together() -> None:
    most, default = installed(0, MAX, (0, 40)), installed(0, DEFAULT, (0, 16))
    assert short(made(most, default, connector=0)) == [(0, "32.0")]
    assert short(made(most, default, connector=0, connectors=(1, 2, 3))) == [(0, "40.0")]
    single = installed(1, DEFAULT, (0, 16))
    assert short(made(most, single, connector=0)) == [(0, "40.0")]


def test_n35_a_connectors_own_default_goes_before_that_of_all() -> None:
    both = [installed(0, DEFAULT, (0, 32)), installed(1, DEFAULT, (0, 10))]
    assert short(made(*both)) == [(0, "10.0")]
    assert short(made(*both, connector=2)) == [(0, "32.0")]


@pytest.mark.parametrize("tenths", [1, 3, 6, 99, 161, 255, 999_999_999_999, 9_999_999_999_999])
def test_limits_stay_exact_through_json_and_back(tenths: int) -> None:
    """A stored JSON number is read as a float; its text is that of the decimal."""
    limit = Decimal(tenths).scaleb(-1)
    plain = wire(DEFAULT, (0, limit))
    profile = msgspec.convert(plain, ChargingProfile)
    encoded = msgspec.json.Encoder(decimal_format="number").encode(profile)
    again = msgspec.convert(msgspec.json.decode(encoded), ChargingProfile)
    assert again.charging_schedule.charging_schedule_period[0].limit == limit


# ------------------------------------------------------------------------ differences


def told(*periods: tuple[int, Any], unit: str = "A", **fields: Any) -> Composite:
    """A charge point's answer, in A."""
    plain = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": at, "limit": most} for at, most in periods],
        **fields,
    }
    schedule = msgspec.convert(plain, ChargingSchedule)
    return reported(schedule, start=START, duration=DAY, unit=A, voltage=230)


def named(ours: Composite, theirs: Composite) -> list[tuple[int, int, str, str]]:
    return [
        (
            int((one.begin - START).total_seconds()),
            int((one.end - START).total_seconds()),
            str(one.ours.limit),
            str(one.theirs.limit),
        )
        for one in differences(ours, theirs)
    ]


def test_an_answer_in_another_unit_is_converted() -> None:
    assert told((0, 11_040), unit="W").periods == (Limit(0, Decimal("16.0")),)
    assert named(made(installed(1, DEFAULT, (0, 16))), told((0, 11_040), unit="W")) == []


def test_differences_say_from_when_to_when() -> None:
    ours = made(installed(1, DEFAULT, (0, 16), (2 * HOUR, 10), startSchedule=START.isoformat()))
    assert named(ours, told((0, 16), (3 * HOUR, 10))) == [(7200, 10_800, "10.0", "16.0")]
    assert named(ours, told((0, 16))) == [(7200, DAY, "10.0", "16.0")]
    assert named(ours, told((HOUR, 16), (7200, 10))) == [(0, HOUR, "16.0", "None")]


def test_roundings_and_clocks_may_differ_a_little() -> None:
    ours = made(installed(1, DEFAULT, (0, 16), (2 * HOUR, 10), startSchedule=START.isoformat()))
    assert named(ours, told((0, 16.1), (2 * HOUR + 5, 9.9))) == []
    assert named(ours, told((0, 16), (2 * HOUR + 6, 10))) == [(7200, 7206, "10.0", "16.0")]
    assert named(ours, told((0, 16.2), (2 * HOUR, 10))) == [(0, 7200, "16.0", "16.2")]


def test_where_no_profile_limits_a_charge_point_may_report_its_own() -> None:
    ours = made(installed(1, DEFAULT, (0, 16), kind="Relative", duration=HOUR))
    assert named(ours, told((0, 16), (HOUR, 32))) == []
    assert named(ours, told((0, 16), duration=HOUR // 2)) == []


def test_an_answer_without_periods_in_its_duration_says_nothing() -> None:
    assert told((60, 16), duration=30).periods == (Limit(0, None),)


def test_other_phases_are_another_limit_in_a_and_not_in_w() -> None:
    """A is for each phase, W the total; an absent numberPhases is 3."""
    ours = made(installed(1, DEFAULT, (0, 16, 1)))
    assert named(ours, told((0, 16))) == [(0, DAY, "16.0", "16.0")]
    single = [{"startPeriod": 0, "limit": 16, "numberPhases": 1}]
    same = msgspec.convert(
        {"chargingRateUnit": "A", "chargingSchedulePeriod": single}, ChargingSchedule
    )
    theirs = reported(same, start=START, duration=DAY, unit=A, voltage=230)
    assert named(ours, theirs) == []
    watts = made(installed(1, DEFAULT, (0, 16, 1)), unit=W)
    total = [{"startPeriod": 0, "limit": 3680}]
    same = msgspec.convert(
        {"chargingRateUnit": "W", "chargingSchedulePeriod": total}, ChargingSchedule
    )
    assert named(watts, reported(same, start=START, duration=DAY, unit=W, voltage=230)) == []


@pytest.mark.parametrize("duration", [0, -1])
def test_an_answer_without_a_sensible_duration_is_of_what_was_asked(duration: int) -> None:
    assert told((0, 16), duration=duration).duration == DAY


def test_an_answer_in_another_zone_is_told_in_utc() -> None:
    schedule = msgspec.convert(
        {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}]},
        ChargingSchedule,
    )
    here = datetime.fromisoformat("2026-03-02T14:00:00.5+02:00")
    theirs = reported(schedule, start=here, duration=60, unit=A, voltage=230)
    assert theirs.start.isoformat() == "2026-03-02T12:00:00+00:00"


def test_one_difference_is_named_once() -> None:
    """Also when the charge point says the same limit anew."""
    ours = made(installed(1, DEFAULT, (0, 16)))
    theirs = told((0, 10), (HOUR, 10), (2 * HOUR, 8))
    assert named(ours, theirs) == [(0, 7200, "16.0", "10.0"), (7200, DAY, "16.0", "8.0")]
