"""The composite schedule by the sentences of the specification (OCPP 1.6 edition 2 with its errata
v4.1); expected values are worked out by hand."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from csms.services.composite import Composite, Running
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
)

RUNNING = {1: Running(7, START - timedelta(hours=1))}
WEEKLY: dict[str, Any] = {"kind": "Recurring", "recurrencyKind": "Weekly"}
DAILY: dict[str, Any] = {"kind": "Recurring", "recurrencyKind": "Daily"}
ABSOLUTE: dict[str, Any] = {"startSchedule": START.isoformat()}


def at(schedule: Composite, moment: str) -> str:
    """What holds at a moment of UTC."""
    offset = (datetime.fromisoformat(moment) - schedule.start).total_seconds()
    limit = [p.limit for p in schedule.periods if p.start_period <= offset][-1]
    return "none" if limit is None else str(limit)


def test_the_calendar_of_3_13_2() -> None:
    """§3.13.2: "a charging profile of purpose TxDefaultProfile with a duration and recurrence of
    one week that allows full power or current charging on weekdays from 23:00h to 06:00h and from
    00:00h to 24:00h in weekends and reduced power or current charging at other times. On top of
    that, one can define other TxDefaultProfiles that define exception to this rule, for example
    for holidays."
    """
    full, reduced = 32, 10
    periods: list[tuple[int, int]] = []
    for day in range(5):  # from Monday
        periods += [(day * DAY, full), (day * DAY + 6 * HOUR, reduced)]
        periods += [(day * DAY + 23 * HOUR, full)]
    monday = "2026-01-05T00:00:00Z"
    week = installed(0, DEFAULT, *periods, duration=7 * DAY, startSchedule=monday, **WEEKLY)
    holiday = installed(
        0,
        DEFAULT,
        (0, full),
        level=1,
        duration=DAY,
        startSchedule="2026-03-04T00:00:00Z",
        validFrom="2026-03-04T00:00:00Z",
        validTo="2026-03-05T00:00:00Z",
    )
    schedule = made(week, holiday, duration=8 * DAY)
    for moment, limit in (
        ("2026-03-02T12:00:00Z", "10.0"),  # Monday at noon
        ("2026-03-02T22:59:59Z", "10.0"),
        ("2026-03-02T23:00:00Z", "32.0"),
        ("2026-03-03T05:59:59Z", "32.0"),
        ("2026-03-03T06:00:00Z", "10.0"),
        ("2026-03-04T12:00:00Z", "32.0"),  # the holiday
        ("2026-03-05T06:00:00Z", "10.0"),
        ("2026-03-06T23:30:00Z", "32.0"),
        ("2026-03-07T12:00:00Z", "32.0"),  # Saturday
        ("2026-03-08T23:59:59Z", "32.0"),
        ("2026-03-09T06:00:00Z", "10.0"),
    ):
        assert at(schedule, moment) == limit, moment


def test_a_default_of_one_connector() -> None:
    """§3.13.1: "If TxDefaultProfile is set to ConnectorId 0, the TxDefaultProfile is applicable to
    all Connectors. If ConnectorId is set >0, it only applies to that specific connector."
    """
    fleet = [installed(0, DEFAULT, (0, 32)), installed(2, DEFAULT, (0, 8), level=1)]
    assert short(made(*fleet, connector=1)) == [(0, "32.0")]
    assert short(made(*fleet, connector=2)) == [(0, "8.0")]


def test_a_profile_of_the_future() -> None:
    """§3.13.2: "the Charge Point SHALL replace the installed profile and SHALL revert to default
    behavior until validFrom is reached"."""
    later = (START + timedelta(hours=2)).isoformat()
    fleet = [
        installed(1, DEFAULT, (0, 32)),
        installed(1, TX, (0, 6), kind="Relative", validFrom=later),
    ]
    assert short(made(*fleet, running=RUNNING)) == [(0, "32.0"), (2 * HOUR, "6.0")]


def test_the_highest_level_without_an_end_is_never_left() -> None:
    """§3.13.2: "If you use Stacking without a duration, on the highest stack level, the Charge
    Point will never fall back to a lower stack level profile."
    """
    fleet = [installed(1, DEFAULT, (0, 6), level=9), installed(1, DEFAULT, (0, 32), level=8)]
    assert short(made(*fleet, duration=31 * DAY)) == [(0, "6.0")]


def test_never_above_the_lowest() -> None:
    """§3.13.3: "SHALL be less than or equal to lowest value of available power or current in any
    of the merged schedules"; intervals of different lengths."""
    most = installed(0, MAX, (0, 20), (90, 14), (200, 40), **ABSOLUTE)
    own = installed(1, TX, (0, 16), (60, 30), (150, 12), kind="Relative")
    running = {1: Running(7, START)}
    wanted = [(0, "16.0"), (60, "20.0"), (90, "14.0"), (150, "12.0")]
    assert short(made(most, own, running=running, duration=HOUR)) == wanted


def test_the_limit_of_all_connectors_together() -> None:
    """§3.13.3: "The combined energy flow of all connectors SHALL NOT be greater then the limit set
    by ChargePointMaxProfile."
    """
    fleet = [installed(0, MAX, (0, 22_000), unit="W"), installed(0, DEFAULT, (0, 16), (60, 32))]
    assert short(made(*fleet, connector=0, unit=W)) == [(0, "22000.0")]
    assert short(made(*fleet, connector=1, unit=W)) == [(0, "11040.0"), (60, "22000.0")]


@pytest.mark.parametrize(
    ("periods", "duration", "wanted"),
    [
        ([(0, 16), (HOUR, 8)], HOUR // 2, [(0, "16.0"), (HOUR // 2, "32.0")]),
        ([(0, 16), (60, 8)], HOUR, [(0, "16.0"), (60, "8.0"), (HOUR, "32.0")]),
    ],
    ids=["periods beyond the duration", "a duration beyond the periods"],
)
def test_periods_and_duration(
    periods: list[tuple[int, int]], duration: int, wanted: list[tuple[int, str]]
) -> None:
    """§5.16.4: "If the chargingSchedulePeriod is longer than duration, the remainder periods SHALL
    not be executed. If duration is longer than the chargingSchedulePeriod, the Charge Point SHALL
    keep the value of the last chargingSchedulePeriod until duration has ended."
    """
    above = installed(1, DEFAULT, *periods, level=1, duration=duration, **ABSOLUTE)
    assert short(made(installed(1, DEFAULT, (0, 32)), above)) == wanted


@pytest.mark.parametrize("below", [True, False])
def test_a_duration_shorter_than_its_recurrence(below: bool) -> None:
    """§5.16.4: "the Charge Point SHALL use a ChargingProfile with a lower stackLevel if available.
    If no other ChargingProfile is available, the Charge Point SHALL allow charging as if no
    ChargingProfile is installed."
    """
    hours = installed(1, DEFAULT, (0, 6), level=1, duration=2 * HOUR, **DAILY, **ABSOLUTE)
    fleet = [hours, installed(1, DEFAULT, (0, 32))] if below else [hours]
    free = "32.0" if below else "none"
    wanted = [(0, "6.0"), (2 * HOUR, free), (DAY, "6.0"), (DAY + 2 * HOUR, free)]
    assert short(made(*fleet, duration=2 * DAY)) == wanted


def test_periods_and_durations_longer_than_the_recurrence() -> None:
    """§5.16.4: "If the chargingSchedulePeriod and/or duration is longer then the recurrence period
    duration, the remainder periods SHALL not be executed."
    """
    periods = [(0, 6), (12 * HOUR, 16), (30 * HOUR, 32)]
    long = installed(1, DEFAULT, *periods, duration=40 * HOUR, **DAILY, **ABSOLUTE)
    wanted = [(0, "6.0"), (12 * HOUR, "16.0"), (DAY, "6.0"), (36 * HOUR, "16.0")]
    assert short(made(long, duration=2 * DAY)) == wanted


def test_the_last_period_goes_on() -> None:
    """§7.13: "If the duration is left empty, the last period will continue indefinitely"."""
    once = installed(1, DEFAULT, (0, 16), (60, 8), startSchedule="2020-01-01T00:00:00Z")
    assert short(made(once, duration=31 * DAY)) == [(0, "8.0")]


def test_current_of_each_phase() -> None:
    """§7.11: "Current per phase = Power / (Line Voltage * Number of Phases)"; "if numberPhases in a
    ChargingSchedulePeriod is absent, 3 SHALL be assumed"."""
    power = installed(1, DEFAULT, (0, 6900), (60, 6900, 1), (120, 6900, 2), unit="W", **ABSOLUTE)
    assert short(made(power)) == [(0, "10.0"), (60, "30.0"), (120, "15.0")]


def test_relative_to_the_start_of_charging() -> None:
    """§7.9: "relative to a situation-specific start point (such as the start of a Transaction)";
    §7.13: "If absent the schedule will be relative to start of charging."
    """
    for kind in ("Relative", "Absolute"):
        own = installed(1, TX, (0, 6), (90 * 60, 16), kind=kind)
        assert short(made(own, running=RUNNING)) == [(0, "6.0"), (HOUR // 2, "16.0")]


def test_daily_is_24_hours_whatever_the_clocks_do() -> None:
    """§7.12: "The schedule restarts every 24 hours, at the same time as in the startSchedule."
    Written with a zone, across the night in which European clocks go forward."""
    nights = installed(
        1, DEFAULT, (0, 32), (6 * HOUR, 10), startSchedule="2026-03-27T23:00:00+01:00", **DAILY
    )
    start = datetime.fromisoformat("2026-03-28T12:00:00+01:00")
    schedule = made(nights, start=start, duration=3 * DAY)
    assert schedule.start.isoformat() == "2026-03-28T11:00:00+00:00"
    for moment, limit in (
        ("2026-03-28T21:59:59Z", "10.0"),
        ("2026-03-28T22:00:00Z", "32.0"),  # 23:00 in Berlin
        ("2026-03-29T04:00:00Z", "10.0"),
        ("2026-03-29T21:59:59Z", "10.0"),
        ("2026-03-29T22:00:00Z", "32.0"),  # midnight in Berlin by now
    ):
        assert at(schedule, moment) == limit, moment


def test_weekly_keeps_time_and_day_of_the_week() -> None:
    """§7.12: "every 7 days, at the same time and day-of-the-week as in the startSchedule"; here
    Tuesday 22:30 in Kathmandu, years ago."""
    late = installed(
        1, DEFAULT, (0, 6), duration=HOUR, startSchedule="2019-12-31T22:30:00+05:45", **WEEKLY
    )
    schedule = made(late, duration=8 * DAY)
    assert at(schedule, "2026-03-03T16:44:59Z") == "none"
    assert at(schedule, "2026-03-03T16:45:00Z") == "6.0"
    assert at(schedule, "2026-03-03T17:45:00Z") == "none"
    assert sum(p.limit is not None for p in schedule.periods) == 1


def test_a_txprofile_may_be_valid_for_a_time() -> None:
    """§7.8 with the errata 3.65 and 3.66, which allow validFrom and validTo with it."""
    bounds: dict[str, Any] = {
        "validFrom": (START + timedelta(hours=1)).isoformat(),
        "validTo": (START + timedelta(hours=2)).isoformat(),
    }
    fleet = [
        installed(1, TX, (0, 6), level=1, **bounds),
        installed(1, TX, (0, 20)),
        installed(1, DEFAULT, (0, 32)),
    ]
    wanted = [(0, "20.0"), (HOUR, "6.0"), (2 * HOUR, "20.0")]
    assert short(made(*fleet, running=RUNNING)) == wanted


def test_a_limit_of_nothing_is_a_limit() -> None:
    """§7.14: a limit of 0 allows no charging; it is not the same as none."""
    assert short(made(installed(1, DEFAULT, (0, 0)), installed(0, MAX, (0, 32)))) == [(0, "0.0")]
    assert short(made(installed(1, DEFAULT, (0, 0)), unit=W)) == [(0, "0.0")]
    assert short(made(installed(0, MAX, (0, 0)), connector=0, unit=A)) == [(0, "0.0")]


def test_a_relative_schedule_has_no_start_of_its_own() -> None:
    """§7.9: its start is "determined by the charge point"; a startSchedule says nothing."""
    early = (START - timedelta(days=1)).isoformat()
    own = installed(1, TX, (0, 6), (90 * 60, 16), kind="Relative", startSchedule=early)
    assert short(made(own, running=RUNNING)) == [(0, "6.0"), (HOUR // 2, "16.0")]


def test_a_recurring_schedule_before_its_start() -> None:
    """§7.12: it restarts after startSchedule, not before."""
    later = (START + timedelta(hours=30)).isoformat()
    daily = installed(1, DEFAULT, (0, 6), startSchedule=later, **DAILY)
    assert short(made(daily, duration=3 * DAY)) == [(0, "none"), (30 * HOUR, "6.0")]


def test_purposes_count_only_where_they_belong() -> None:
    """§3.13.1: "ChargePointMaxProfile can only be set at Charge Point ConnectorId 0", and
    "TxProfile SHALL only be set at Charge Point ConnectorId >0"."""
    astray = [installed(1, MAX, (0, 6)), installed(0, TX, (0, 8), level=1)]
    default = installed(0, DEFAULT, (0, 32))
    assert short(made(*astray, default, running=RUNNING)) == [(0, "32.0")]
    assert short(made(*astray, default, connector=0, running=RUNNING)) == [(0, "64.0")]


def test_the_voltage_of_the_area() -> None:
    """§7.11: "not the measured voltage, but the set voltage for the area (hence, 230 or 110
    volt)"."""
    one = installed(1, DEFAULT, (0, 1100, 1), unit="W")
    assert short(made(one, voltage=110)) == [(0, "10.0")]


def test_fewer_phases_of_two_purposes() -> None:
    """docs/smart-charging.md: "of two purposes with different numberPhases, the fewer phases are
    told"; the sum over connectors has the most of them."""
    fleet = [installed(0, MAX, (0, 40, 2), **ABSOLUTE), installed(1, DEFAULT, (0, 16, 1))]
    assert made(*fleet).periods[0].number_phases == 1
    both = [installed(1, DEFAULT, (0, 16, 1)), installed(2, DEFAULT, (0, 16, 2))]
    assert made(*both, connector=0).periods[0].number_phases == 2
