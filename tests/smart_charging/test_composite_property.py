"""The composite against a slow and obvious reading of the rules, moment by moment (N35).

What is installed is thrown by dice of known seeds: independent of each other, and so that most of
what is thrown counts for something.
"""

import math
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from csms.ocpp.base import value_or
from csms.services.composite import Composite, Installed, Running
from tests.smart_charging.profiles import DAY, DEFAULT, HOUR, MAX, START, TX, A, W, installed, made

STEP = HOUR
"""All moments that are thrown are multiples of it, so that looking once in each is enough."""
WINDOW = 9 * DAY
THROWS = 60
"""Fleets of one test."""
ZONES = [timezone(timedelta(minutes=minutes)) for minutes in (0, 120, 345, -570)]
PLACES = {MAX: [0, 0, 0, 0, 1], DEFAULT: [0, 1, 1, 2], TX: [1, 1, 1, 2, 2, 0]}
"""Connectors of a purpose, the right ones most often."""


def at(offset: int) -> datetime:
    return START + timedelta(seconds=offset)


class Dice(Random):
    """Throws profiles that a declaration lets through, sensible or not."""

    def hours(self, least: int, most: int) -> int:
        """Seconds."""
        return self.randint(least, most) * STEP

    def maybe(self, chance: float) -> bool:
        return self.random() < chance

    def offset(self) -> int:
        """Of the start; mostly within the window, or shortly before."""
        return self.hours(-48, 216) if self.maybe(0.7) else self.hours(-480, 288)

    def moment(self) -> str:
        """As messages have it, in any zone."""
        return at(self.offset()).astimezone(self.choice(ZONES)).isoformat()

    def profile(self, number: int) -> Installed:
        purpose = self.choice([MAX, DEFAULT, DEFAULT, TX])
        kind = self.choice(["Absolute", "Recurring", "Recurring", "Relative"])
        fields: dict[str, Any] = {}
        if kind == "Recurring":
            fields["recurrencyKind"] = self.choice(["Daily", "Weekly"])
        for name, chance in (("startSchedule", 0.7), ("validFrom", 0.25), ("validTo", 0.25)):
            if self.maybe(chance):
                fields[name] = self.moment()
        if self.maybe(0.4):
            fields["duration"] = self.hours(0, 60)
        if purpose == TX and self.maybe(0.5):
            fields["transactionId"] = self.choice([7, 7, 8])
        unit = self.choice(["A", "W"])
        starts = {0 if self.maybe(0.8) else self.hours(0, 60)}
        starts |= {self.hours(0, 60) for _ in range(self.randint(0, 3))}
        periods = []
        for start in self.sample(sorted(starts), len(starts)):
            limit = Decimal(self.randint(0, 400)) / 10 * (1 if unit == "A" else 500)
            phases = self.choice([1, 2, 3, None])
            periods.append((start, limit) if phases is None else (start, limit, phases))
        return installed(
            self.choice(PLACES[purpose]),
            purpose,
            *periods,
            accepted=at(self.offset()),
            number=number,
            level=self.randint(0, 3),
            kind=kind,
            unit=unit,
            **fields,
        )

    def fleet(self) -> list[Installed]:
        """At most one of a purpose and level on a connector, as charge points keep them
        (§3.13.2)."""
        found = [self.profile(number) for number in range(self.randint(1, 7))]
        places = {
            (p.connector_id, p.profile.charging_profile_purpose, p.profile.stack_level): p
            for p in found
        }
        return list(places.values())

    def running(self) -> dict[int, Running]:
        """They may begin later than the schedule, by the charge point's clock."""
        return {
            number: Running(self.choice([7, 7, 8]), at(self.hours(-60, 12)))
            for number in (1, 2)
            if self.maybe(0.7)
        }


# ------------------------------------------------------------------------- the slow reading


def amount(installed: Installed, moment: datetime, begun: datetime, unit: str, voltage: int) -> Any:
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
        limit = limit * voltage * phases
    if schedule.charging_rate_unit == "W" and unit == "A":
        limit = limit / voltage / phases
    return limit, phases


def highest(profiles: list[Installed], *asked: Any) -> Any:
    """What the highest stackLevel that says something says; a connector's own before that of 0."""
    ranked = sorted(profiles, key=lambda p: (-p.profile.stack_level, p.connector_id == 0))
    return next((found for p in ranked if (found := amount(p, *asked)) is not None), None)


def of_connector(
    fleet: list[Installed],
    number: int,
    running: dict[int, Running],
    moment: datetime,
    unit: str,
    voltage: int,
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
        found = highest(own, moment, begun, unit, voltage)
        if found is not None:
            return found
    defaults = [
        p
        for p in fleet
        if p.profile.charging_profile_purpose == DEFAULT and p.connector_id in (0, number)
    ]
    return highest(defaults, moment, begun, unit, voltage)


def expected(
    fleet: list[Installed],
    connector: int,
    running: dict[int, Running],
    moment: datetime,
    unit: str,
    voltage: int = 230,
) -> tuple[Decimal, int] | None:
    limits = []
    ranked = [p for p in fleet if p.profile.charging_profile_purpose == MAX and p.connector_id == 0]
    ranked.sort(key=lambda p: -p.profile.stack_level)
    for p in ranked:
        found = amount(p, moment, p.accepted_at, unit, voltage)
        if found is not None:
            limits.append(found)
            break
    numbers = [1, 2] if connector == 0 else [connector]
    single = [of_connector(fleet, number, running, moment, unit, voltage) for number in numbers]
    if None not in single:
        limits.append((sum(limit for limit, _ in single), max(phases for _, phases in single)))
    if not limits:
        return None
    lowest = min(limit for limit, _ in limits)
    return Decimal(math.floor(lowest * 10)) / 10, min(phases for _, phases in limits)


def told(schedule: Composite, offset: int) -> tuple[Decimal, int] | None:
    period = [p for p in schedule.periods if p.start_period <= offset][-1]
    return None if period.limit is None else (period.limit, period.number_phases)


@pytest.mark.parametrize("seed", range(5))
def test_n35_the_composite_is_what_the_rules_say_at_each_moment(seed: int) -> None:
    dice = Dice(seed)
    limited = 0
    for throw in range(THROWS):
        fleet, running = dice.fleet(), dice.running()
        connector, unit, voltage = (
            dice.choice([0, 1, 2]),
            dice.choice([A, W]),
            dice.choice([230, 127]),
        )
        schedule = made(
            *fleet,
            connector=connector,
            running=running,
            duration=WINDOW,
            unit=unit,
            voltage=voltage,
        )
        starts = [p.start_period for p in schedule.periods]
        assert starts[0] == 0
        assert all(a < b < WINDOW for a, b in pairwise(starts))
        told_in_turn = [p[1:] for p in schedule.periods]
        assert all(a != b for a, b in pairwise(told_in_turn))
        limited += any(p.limit is not None for p in schedule.periods)
        for offset in range(0, WINDOW, STEP):
            wanted = expected(fleet, connector, running, at(offset), unit, voltage)
            assert told(schedule, offset) == wanted, (throw, at(offset))
    assert limited > THROWS * 0.6, "most of what was thrown limits something"


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
