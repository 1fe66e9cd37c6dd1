"""The composite against a slow and obvious reading of the rules, moment by moment (N35)."""

import math
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csms.ocpp.base import value_or
from csms.services.composite import Composite, Installed, Running
from tests.smart_charging.profiles import DAY, DEFAULT, HOUR, MAX, START, TX, A, W, installed, made

STEP = 1800
"""Seconds: all moments of the examples are multiples of it, so that looking once in each is
enough."""
WINDOW = 9 * DAY

offsets = st.integers(-20 * DAY // STEP, 12 * DAY // STEP).map(lambda n: n * STEP)
lengths = st.integers(0, 3 * DAY // STEP).map(lambda n: n * STEP)


def at(offset: int) -> datetime:
    return START + timedelta(seconds=offset)


@st.composite
def schedules(draw: Any, number: int) -> Installed:
    """Any profile that a declaration lets through, sensible or not."""
    purpose = draw(st.sampled_from([MAX, DEFAULT, TX]))
    kind = draw(st.sampled_from(["Absolute", "Recurring", "Relative"]))
    fields: dict[str, Any] = {}
    if kind == "Recurring":
        fields["recurrencyKind"] = draw(st.sampled_from(["Daily", "Weekly"]))
    if draw(st.booleans()):
        fields["startSchedule"] = at(draw(offsets)).isoformat()
    if draw(st.booleans()):
        fields["duration"] = draw(lengths)
    if draw(st.booleans()):
        fields["validFrom"] = at(draw(offsets)).isoformat()
    if draw(st.booleans()):
        fields["validTo"] = at(draw(offsets)).isoformat()
    if purpose == TX and draw(st.booleans()):
        fields["transactionId"] = draw(st.sampled_from([7, 8, 9]))
    starts = draw(st.lists(lengths, min_size=1, max_size=4, unique=True))
    tenths = st.integers(0, 400).map(lambda n: Decimal(n) / 10)
    unit = draw(st.sampled_from(["A", "W"]))
    limits = tenths if unit == "A" else tenths.map(lambda n: n * 500)
    phases = st.sampled_from([1, 2, 3, None])
    periods = [
        (start, draw(limits), *([] if (n := draw(phases)) is None else [n])) for start in starts
    ]
    return installed(
        draw(st.sampled_from([0, 1, 2])),
        purpose,
        *periods,
        accepted=at(draw(offsets)),
        number=number,
        level=draw(st.integers(0, 3)),
        kind=kind,
        unit=unit,
        **fields,
    )


@st.composite
def fleets(draw: Any) -> list[Installed]:
    """At most one of a purpose and level on a connector, as charge points keep them (§3.13.2)."""
    found = [draw(schedules(number)) for number in range(draw(st.integers(0, 6)))]
    places = {
        (p.connector_id, p.profile.charging_profile_purpose, p.profile.stack_level): p
        for p in found
    }
    return list(places.values())


# ------------------------------------------------------------------------- the slow reading


def amount(installed: Installed, moment: datetime, begun: datetime, unit: str) -> Any:
    """(limit in the unit, phases) of one profile at a moment, or None."""
    profile, schedule = installed.profile, installed.profile.charging_schedule
    if profile.valid_from and moment < profile.valid_from:
        return None
    if profile.valid_to and moment >= profile.valid_to:
        return None
    start = begun
    if schedule.start_schedule and profile.charging_profile_kind != "Relative":
        start = schedule.start_schedule
    if moment < start:
        return None
    since = int((moment - start).total_seconds())
    if profile.charging_profile_kind == "Recurring":
        since %= 7 * DAY if profile.recurrency_kind == "Weekly" else DAY
    if since >= value_or(schedule.duration, math.inf):
        return None
    past = [p for p in schedule.charging_schedule_period if p.start_period <= since]
    if not past:
        return None
    period = max(past, key=lambda p: p.start_period)
    phases = value_or(period.number_phases, 3)
    limit = Fraction(period.limit)
    if schedule.charging_rate_unit == "A" and unit == "W":
        limit = limit * 230 * phases
    if schedule.charging_rate_unit == "W" and unit == "A":
        limit = limit / 230 / phases
    return limit, phases


def highest(profiles: list[Installed], *asked: Any) -> Any:
    """What the highest stackLevel that says something says; a connector's own before that of 0."""
    ranked = sorted(profiles, key=lambda p: (-p.profile.stack_level, p.connector_id == 0))
    return next((found for p in ranked if (found := amount(p, *asked)) is not None), None)


def of_connector(
    fleet: list[Installed], number: int, running: dict[int, Running], moment: datetime, unit: str
) -> Any:
    transaction = running.get(number)
    begun = transaction.started_at if transaction else START
    if transaction:
        own = [
            p
            for p in fleet
            if p.profile.charging_profile_purpose == TX
            and p.connector_id == number
            and (p.profile.transaction_id or transaction.transaction_id)
            == transaction.transaction_id
        ]
        found = highest(own, moment, begun, unit)
        if found is not None:
            return found
    defaults = [
        p
        for p in fleet
        if p.profile.charging_profile_purpose == DEFAULT and p.connector_id in (0, number)
    ]
    return highest(defaults, moment, begun, unit)


def expected(
    fleet: list[Installed], connector: int, running: dict[int, Running], moment: datetime, unit: str
) -> tuple[Decimal, int] | None:
    limits = []
    ranked = [p for p in fleet if p.profile.charging_profile_purpose == MAX and p.connector_id == 0]
    ranked.sort(key=lambda p: -p.profile.stack_level)
    for p in ranked:
        found = amount(p, moment, p.accepted_at, unit)
        if found is not None:
            limits.append(found)
            break
    numbers = [1, 2] if connector == 0 else [connector]
    single = [of_connector(fleet, number, running, moment, unit) for number in numbers]
    if None not in single:
        limits.append((sum(limit for limit, _ in single), max(phases for _, phases in single)))
    if not limits:
        return None
    lowest = min(limit for limit, _ in limits)
    return Decimal(math.floor(lowest * 10)) / 10, min(phases for _, phases in limits)


def told(schedule: Composite, offset: int) -> tuple[Decimal, int] | None:
    period = [p for p in schedule.periods if p.start_period <= offset][-1]
    return None if period.limit is None else (period.limit, period.number_phases)


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(
    fleet=fleets(),
    connector=st.sampled_from([0, 1, 2]),
    unit=st.sampled_from([A, W]),
    begun=st.dictionaries(st.sampled_from([1, 2]), st.tuples(st.sampled_from([7, 8]), offsets)),
)
def test_n35_the_composite_is_what_the_rules_say_at_each_moment(
    fleet: list[Installed], connector: int, unit: Any, begun: dict[int, tuple[int, int]]
) -> None:
    running = {number: Running(pk, at(min(offset, 0))) for number, (pk, offset) in begun.items()}
    schedule = made(*fleet, connector=connector, running=running, duration=WINDOW, unit=unit)
    starts = [p.start_period for p in schedule.periods]
    assert starts[0] == 0
    assert all(a < b < WINDOW for a, b in pairwise(starts))
    told_in_turn = [p[1:] for p in schedule.periods]
    assert all(a != b for a, b in pairwise(told_in_turn))
    for offset in range(0, WINDOW, STEP):
        wanted = expected(fleet, connector, running, at(offset), unit)
        assert told(schedule, offset) == wanted, at(offset)


@pytest.mark.parametrize("unit", [A, W])
def test_second_by_second(unit: Any) -> None:
    """Odd seconds, for two hours."""
    fleet = [
        installed(0, MAX, (0, 20), (61, Decimal("10.3"), 1), startSchedule=at(-7).isoformat()),
        installed(1, DEFAULT, (0, 9100), (601, 5000, 2), unit="W", kind="Relative", duration=3601),
        installed(1, DEFAULT, (0, 6), (13, 32), level=1, validTo=at(1999).isoformat()),
        installed(0, TX, (0, 1)),
        installed(1, TX, (5, 7), (99, 12), kind="Relative", duration=HOUR, transactionId=7),
    ]
    running = {1: Running(7, at(-31))}
    schedule = made(*fleet, running=running, duration=2 * HOUR, unit=unit)
    for offset in range(2 * HOUR):
        assert told(schedule, offset) == expected(fleet, 1, running, at(offset), unit), offset
