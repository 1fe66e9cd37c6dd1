"""The composite schedule of what is installed (OCPP 1.6 §3.13.3): pure, over plain values, exact.

§3.13.3: "This Composite Schedule is calculated by taking the minimum value for each time interval"
of ChargePointMaxProfile and of TxProfile, or TxDefaultProfile. What the specification leaves open
is assumed as docs/smart-charging.md says. Times are UTC, whole seconds from the schedule's start;
limits are A for each phase or W in total, kept as fractions until they are told.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from csms.ocpp.base import value_or
from csms.ocpp.types import (
    ChargingProfile,
    ChargingProfileKindType,
    ChargingProfilePurposeType,
    ChargingRateUnitType,
    ChargingSchedule,
    ChargingSchedulePeriod,
    RecurrencyKindType,
)

PHASES = 3
"""§7.14: "If a value is not given, numberPhases=3 will be assumed"."""
LONGEST = 31 * 86_400
"""Seconds of the longest schedule that is calculated."""

_DAY = 86_400
_UNITS = ChargingRateUnitType
_PURPOSES = ChargingProfilePurposeType
_KINDS = ChargingProfileKindType


class Installed(NamedTuple):
    """A charging profile, where it is, and when it was accepted."""

    connector_id: int
    profile: ChargingProfile
    accepted_at: datetime


class Running(NamedTuple):
    """The transaction of a connector."""

    transaction_id: int
    started_at: datetime


class Limit(NamedTuple):
    """What holds from `start_period` seconds after the schedule's start, until the next one.

    `limit` is in the schedule's unit, with one decimal; None: no profile says anything.
    """

    start_period: int
    limit: Decimal | None
    number_phases: int = PHASES


@dataclass(frozen=True, slots=True)
class Composite:
    """Limits over `duration` seconds; the first period begins with the schedule."""

    start: datetime
    duration: int
    unit: ChargingRateUnitType
    periods: tuple[Limit, ...]

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.duration)

    def spans(self) -> Iterator[tuple[int, int, Limit]]:
        """Begin, end and limit of each period."""
        for period, following in pairwise((*self.periods, Limit(self.duration, None))):
            yield period.start_period, following.start_period, period


class _Rate(NamedTuple):
    """A limit in the unit that is asked for, and over how many phases."""

    limit: Fraction
    phases: int


@dataclass(frozen=True, slots=True)
class _Window:
    """What is asked for."""

    start: datetime
    duration: int
    unit: ChargingRateUnitType
    voltage: int

    def offset(self, moment: datetime) -> int:
        """Whole seconds from the start."""
        return (moment - self.start) // timedelta(seconds=1)

    def rate(self, period: ChargingSchedulePeriod, unit: ChargingRateUnitType) -> _Rate:
        """A period's limit, converted: W = A × V × phases."""
        phases: int = value_or(period.number_phases, PHASES)
        phases = phases if 1 <= phases <= PHASES else PHASES
        limit = Fraction(period.limit)
        if unit is self.unit:
            return _Rate(limit, phases)
        watts_of_one = self.voltage * phases
        watts = unit is _UNITS.W
        return _Rate(limit / watts_of_one if watts else limit * watts_of_one, phases)


class _Timeline:
    """What one profile says over the window."""

    def __init__(self, segments: Iterable[tuple[int, int, _Rate]]) -> None:
        self.segments = [found for found in segments if found[0] < found[1]]
        self._begins = [begin for begin, _, _ in self.segments]

    def at(self, offset: int) -> _Rate | None:
        index = bisect_right(self._begins, offset) - 1
        if index < 0:
            return None
        _, end, rate = self.segments[index]
        return rate if offset < end else None


Stack = Sequence[_Timeline]
"""Timelines, the first that says anything counts."""


def _topmost(stack: Stack, offset: int) -> _Rate | None:
    return next((rate for line in stack if (rate := line.at(offset)) is not None), None)


def composite(
    profiles: Iterable[Installed],
    *,
    connector_id: int,
    connectors: Iterable[int],
    running: Mapping[int, Running],
    start: datetime,
    duration: int,
    unit: ChargingRateUnitType,
    voltage: int,
) -> Composite:
    """The limits of a connector, or of the whole charge point (0), over `duration` seconds.

    `connectors` are those of the charge point, `running` the transactions on them; where none
    runs, the limits are those of a transaction that begins with the schedule. `voltage` is that
    between a phase and neutral.
    """
    known = list(profiles)
    window = _Window(_whole_second(start), duration, unit, voltage)
    whole = _stack((p for p in known if _limits_all(p)), window, running=None)
    numbers = sorted({n for n in connectors if n > 0}) if connector_id == 0 else [connector_id]
    single = [_of_connector(known, number, window, running.get(number)) for number in numbers]
    moments = {0}
    for line in (*whole, *(line for stack in single for line in stack)):
        for begin, end, _ in line.segments:
            moments |= {begin, end}
    periods: list[Limit] = []
    for moment in sorted(moment for moment in moments if moment < duration):
        limit = _told(moment, _combined(_topmost(whole, moment), _sum(single, moment)))
        if not periods or periods[-1][1:] != limit[1:]:
            periods.append(limit)
    return Composite(window.start, duration, unit, tuple(periods))


def _whole_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _limits_all(installed: Installed) -> bool:
    purpose = installed.profile.charging_profile_purpose
    return purpose is _PURPOSES.CHARGE_POINT_MAX_PROFILE and installed.connector_id == 0


def _of_connector(
    known: list[Installed], number: int, window: _Window, running: Running | None
) -> Stack:
    """TxProfiles before TxDefaultProfiles, the connector's own before those of connector 0."""
    own = [
        p
        for p in known
        if p.connector_id == number
        and p.profile.charging_profile_purpose is _PURPOSES.TX_PROFILE
        and running is not None
        and value_or(p.profile.transaction_id, running.transaction_id) == running.transaction_id
    ]
    defaults = [
        p
        for p in known
        if p.connector_id in (0, number)
        and p.profile.charging_profile_purpose is _PURPOSES.TX_DEFAULT_PROFILE
    ]
    defaults.sort(key=lambda p: p.connector_id == 0)
    begun = window.start if running is None else running.started_at
    return [*_stack(own, window, running=begun), *_stack(defaults, window, running=begun)]


def _stack(profiles: Iterable[Installed], window: _Window, *, running: datetime | None) -> Stack:
    """§3.13.2: within a purpose the highest stackLevel that is valid counts."""
    ordered = sorted(profiles, key=lambda p: p.profile.stack_level, reverse=True)
    return [
        _Timeline(_segments(p.profile, window.offset(running or p.accepted_at), window))
        for p in ordered
    ]


def _segments(
    profile: ChargingProfile, begun: int, window: _Window
) -> Iterator[tuple[int, int, _Rate]]:
    """Begin, end and limit of what a profile says; `begun`: where a schedule without a time of its
    own starts (§7.13: "If absent the schedule will be relative to start of charging")."""
    schedule = profile.charging_schedule
    started: datetime | None = value_or(schedule.start_schedule)
    relative = profile.charging_profile_kind is _KINDS.RELATIVE or started is None
    anchor = begun if relative or started is None else window.offset(started)
    begins: datetime | None = value_or(profile.valid_from)
    ends: datetime | None = value_or(profile.valid_to)
    least = 0 if begins is None else max(0, window.offset(begins))
    most = window.duration if ends is None else min(window.duration, window.offset(ends))
    periods = sorted(schedule.charging_schedule_period, key=lambda period: period.start_period)
    rates = [window.rate(period, schedule.charging_rate_unit) for period in periods]
    for begin, end in _occurrences(profile, schedule, anchor, window.duration):
        starts = [begin + max(0, period.start_period) for period in periods]
        for (here, following), rate in zip(pairwise((*starts, end)), rates, strict=True):
            yield max(here, least), min(following, end, most), rate


def _occurrences(
    profile: ChargingProfile, schedule: ChargingSchedule, anchor: int, duration: int
) -> Iterator[tuple[int, int]]:
    """Begin and end of each run of a schedule that touches the window."""
    longest: int | None = value_or(schedule.duration)
    if profile.charging_profile_kind is not _KINDS.RECURRING:
        yield anchor, max(duration, anchor) if longest is None else anchor + longest
        return
    every = 7 * _DAY if value_or(profile.recurrency_kind) is RecurrencyKindType.WEEKLY else _DAY
    length = every if longest is None else min(longest, every)
    for number in range(max(0, -anchor // every), (duration - anchor) // every + 1):
        begin = anchor + number * every
        yield begin, begin + length


def _sum(single: Sequence[Stack], moment: int) -> _Rate | None:
    """The connectors together; no limit where one of them has none, or none is known."""
    rates = [_topmost(stack, moment) for stack in single]
    limited = [rate for rate in rates if rate is not None]
    if not limited or len(limited) < len(rates):
        return None
    limit = sum((rate.limit for rate in limited), Fraction())
    return _Rate(limit, max(rate.phases for rate in limited))


def _combined(*rates: _Rate | None) -> _Rate | None:
    """The lowest limit, over the fewest phases."""
    found = [rate for rate in rates if rate is not None]
    if not found:
        return None
    return _Rate(min(rate.limit for rate in found), min(rate.phases for rate in found))


def _told(moment: int, rate: _Rate | None) -> Limit:
    if rate is None:
        return Limit(moment, None)
    return Limit(moment, _one_decimal(rate.limit), rate.phases)


def _one_decimal(value: Fraction) -> Decimal:
    """Rounded down: a composite is never above what it is made of."""
    return Decimal(value * 10 // 1).scaleb(-1)


# ----------------------------------------------------------- what a charge point reports


def reported(
    schedule: ChargingSchedule,
    *,
    start: datetime,
    duration: int,
    unit: ChargingRateUnitType,
    voltage: int,
) -> Composite:
    """A charge point's own composite schedule, converted to a unit, as it told it at `start`;
    `duration` (above 0) counts where it says none, or 0."""
    begin = _whole_second(start)
    told: int = value_or(schedule.duration, 0)
    length = min(told if told > 0 else duration, LONGEST)
    window = _Window(begin, length, unit, voltage)
    periods = sorted(schedule.charging_schedule_period, key=lambda period: period.start_period)
    limits = [
        _told(max(0, period.start_period), window.rate(period, schedule.charging_rate_unit))
        for period in periods
        if period.start_period < length
    ]
    if not limits or limits[0].start_period > 0:
        limits.insert(0, Limit(0, None))
    return Composite(begin, length, unit, tuple(limits))


SHORTEST = 5
"""Seconds by which two clocks may differ."""
LEAST = Decimal("0.1")
"""A or W by which two roundings may differ."""


class Difference(NamedTuple):
    """From when to when two schedules differ: what they say, in the unit of both."""

    begin: datetime
    end: datetime
    ours: Limit
    theirs: Limit


def differences(ours: Composite, theirs: Composite) -> list[Difference]:
    """Where a charge point reports another limit than ours. Both are in the same unit.

    Where no profile limits, it may report any limit: its own.
    """
    begin, end = max(ours.start, theirs.start), min(ours.end, theirs.end)
    moments = {begin, end}
    for schedule in (ours, theirs):
        for start, _, _ in schedule.spans():
            moments.add(schedule.start + timedelta(seconds=start))
    found: list[Difference] = []
    for here, following in pairwise(sorted(m for m in moments if begin <= m <= end)):
        one = Difference(here, following, _limit_at(ours, here), _limit_at(theirs, here))
        if one.ours.limit is None or _alike(one.ours, one.theirs, ours.unit):
            continue
        if found and found[-1].end == here and _same(found[-1], one):
            one = one._replace(begin=found.pop().begin)
        found.append(one)
    return [one for one in found if one.end - one.begin > timedelta(seconds=SHORTEST)]


def _limit_at(schedule: Composite, moment: datetime) -> Limit:
    offset = (moment - schedule.start) // timedelta(seconds=1)
    starts = [period.start_period for period in schedule.periods]
    return schedule.periods[bisect_right(starts, offset) - 1]


def _alike(one: Limit, other: Limit, unit: ChargingRateUnitType) -> bool:
    """W is the total, however many phases share it; A is for each of them."""
    if one.limit is None or other.limit is None:
        return one.limit is other.limit
    same_phases = unit is _UNITS.W or one.number_phases == other.number_phases
    return same_phases and abs(one.limit - other.limit) <= LEAST


def _same(one: Difference, other: Difference) -> bool:
    return (one.ours[1:], one.theirs[1:]) == (other.ours[1:], other.theirs[1:])
