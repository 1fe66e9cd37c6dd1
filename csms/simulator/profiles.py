"""Charging profiles: which limit holds when (3.13); power in W, current in A for each phase."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal

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
from csms.simulator.state import Connector

VOLTAGE = 230
PHASES = 3
_PURPOSES = ChargingProfilePurposeType


def install(connector: Connector, profile: ChargingProfile) -> None:
    """Keep a profile; the same id, or the same purpose and stack level, is replaced (5.16)."""
    for known in list(connector.profiles.values()):
        same_place = (
            known.charging_profile_purpose is profile.charging_profile_purpose
            and known.stack_level == profile.stack_level
        )
        if same_place or known.charging_profile_id == profile.charging_profile_id:
            del connector.profiles[known.charging_profile_id]
    connector.profiles[profile.charging_profile_id] = profile


def _anchor(profile: ChargingProfile, moment: datetime, begun: datetime) -> datetime | None:
    """When the schedule that covers `moment` started."""
    start: datetime | None = value_or(profile.charging_schedule.start_schedule)
    if profile.charging_profile_kind is ChargingProfileKindType.RELATIVE:
        return begun
    if profile.charging_profile_kind is ChargingProfileKindType.ABSOLUTE:
        return start or begun
    if start is None:
        return None
    weekly = value_or(profile.recurrency_kind) is RecurrencyKindType.WEEKLY
    every = timedelta(days=7 if weekly else 1)
    return moment - (moment - start) % every


def _valid(profile: ChargingProfile, moment: datetime) -> bool:
    begins, ends = value_or(profile.valid_from), value_or(profile.valid_to)
    return (begins is None or begins <= moment) and (ends is None or moment < ends)


def _limit(profile: ChargingProfile, moment: datetime, begun: datetime) -> Decimal | None:
    """The profile's limit in W at a moment, or None when it says nothing of it."""
    anchor = _anchor(profile, moment, begun) if _valid(profile, moment) else None
    if anchor is None or moment < anchor:
        return None
    schedule = profile.charging_schedule
    since = (moment - anchor).total_seconds()
    if since >= value_or(schedule.duration, float("inf")):
        return None
    current = None
    for period in schedule.charging_schedule_period:
        if period.start_period <= since:
            current = period
    if current is None:
        return None
    if schedule.charging_rate_unit is ChargingRateUnitType.W:
        return current.limit
    phases: int = value_or(current.number_phases, PHASES)
    return current.limit * VOLTAGE * phases


def _topmost(
    profiles: Iterable[ChargingProfile],
    purpose: ChargingProfilePurposeType,
    moment: datetime,
    begun: datetime,
) -> Decimal | None:
    """3.13.2: within a purpose the highest stack level that is valid counts."""
    stacked = sorted(profiles, key=lambda p: p.stack_level, reverse=True)
    for profile in stacked:
        if profile.charging_profile_purpose is purpose:
            limit = _limit(profile, moment, begun)
            if limit is not None:
                return limit
    return None


def limit_at(
    connector: Connector, whole: Connector, moment: datetime, begun: datetime
) -> Decimal | None:
    """What may be drawn at a moment, in W, or None without limit; `whole` is connector 0."""
    own = list(connector.profiles.values())
    of_transaction = None
    if connector.transaction is not None:
        of_transaction = _topmost(own, _PURPOSES.TX_PROFILE, moment, begun)
    if of_transaction is None:
        defaults = [*own, *(p for p in whole.profiles.values() if p not in own)]
        of_transaction = _topmost(defaults, _PURPOSES.TX_DEFAULT_PROFILE, moment, begun)
    of_station = _topmost(
        whole.profiles.values(), _PURPOSES.CHARGE_POINT_MAX_PROFILE, moment, begun
    )
    limits = [limit for limit in (of_transaction, of_station) if limit is not None]
    return min(limits, default=None)


def _changes(profile: ChargingProfile, start: datetime, end: datetime) -> Iterator[datetime]:
    """When the limit of a profile may change between two moments."""
    for bound in (value_or(profile.valid_from), value_or(profile.valid_to)):
        if bound is not None:
            yield bound
    schedule = profile.charging_schedule
    offsets = [p.start_period for p in schedule.charging_schedule_period]
    if schedule.duration:
        offsets.append(schedule.duration)
    moment = start
    while moment <= end + timedelta(days=1):
        anchor = _anchor(profile, moment, start)
        if anchor is not None:
            yield from (anchor + timedelta(seconds=offset) for offset in (0, *offsets))
        moment += timedelta(days=1)


def composite(
    connector: Connector,
    whole: Connector,
    *,
    start: datetime,
    duration: int,
    unit: ChargingRateUnitType,
    ceiling: int,
) -> ChargingSchedule:
    """The limits over `duration` seconds from `start`; `ceiling` (W) where no profile limits."""
    begun = connector.transaction.started_at if connector.transaction else start
    end = start + timedelta(seconds=duration)
    moments = {start}
    for profile in (*connector.profiles.values(), *whole.profiles.values()):
        moments.update(m for m in _changes(profile, begun, end) if start < m < end)
    periods: list[ChargingSchedulePeriod] = []
    for moment in sorted(moments):
        watts = limit_at(connector, whole, moment, begun)
        watts = Decimal(ceiling) if watts is None else min(watts, Decimal(ceiling))
        limit = watts if unit is ChargingRateUnitType.W else watts / (VOLTAGE * PHASES)
        limit = limit.quantize(Decimal("0.1"))
        if not periods or periods[-1].limit != limit:
            offset = int((moment - start).total_seconds())
            periods.append(ChargingSchedulePeriod(start_period=offset, limit=limit))
    return ChargingSchedule(
        duration=duration,
        start_schedule=start,
        charging_rate_unit=unit,
        charging_schedule_period=tuple(periods),
    )
