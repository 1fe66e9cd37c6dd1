"""Which charging profiles make sense (OCPP 1.6 §3.13, §7.8–§7.14): pure; one sentence a fault."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from msgspec import UNSET

from csms.ocpp.base import value_or
from csms.ocpp.types import (
    ChargingProfile,
    ChargingProfileKindType,
    ChargingProfilePurposeType,
    ChargingSchedule,
    RecurrencyKindType,
    check_moment,
)
from csms.services.composite import PHASES

_KINDS = ChargingProfileKindType
_PURPOSES = ChargingProfilePurposeType
EVERY = {RecurrencyKindType.DAILY: 86_400, RecurrencyKindType.WEEKLY: 7 * 86_400}
"""Seconds after which a Recurring schedule begins anew (§7.12)."""


class Problem(NamedTuple):
    """What is wrong, and where: a path of the profile as on the wire."""

    path: str
    text: str


def profile_problems(profile: ChargingProfile) -> list[Problem]:
    """What a charge point could not make sense of; empty when it can."""
    return [*_of_profile(profile), *_of_schedule(profile), *_of_periods(profile)]


def connector_problem(purpose: ChargingProfilePurposeType, connector_id: int) -> str:
    """Why a profile of this purpose cannot be on this connector; empty when it can (§3.13.1)."""
    if purpose is _PURPOSES.CHARGE_POINT_MAX_PROFILE and connector_id != 0:
        return "A ChargePointMaxProfile limits the whole charge point: connectorId is 0."
    if purpose is _PURPOSES.TX_PROFILE and connector_id == 0:
        return "A TxProfile belongs to one transaction: connectorId is that of its connector."
    return ""


def _of_profile(profile: ChargingProfile) -> Iterator[Problem]:
    recurring = profile.charging_profile_kind is _KINDS.RECURRING
    if profile.stack_level < 0:
        yield Problem("stackLevel", "The lowest stackLevel is 0.")
    if recurring and profile.recurrency_kind is UNSET:
        yield Problem("recurrencyKind", "A Recurring profile says whether Daily or Weekly.")
    if not recurring and profile.recurrency_kind is not UNSET:
        yield Problem("recurrencyKind", "Only a Recurring profile has a recurrencyKind.")
    of_transaction = profile.charging_profile_purpose is _PURPOSES.TX_PROFILE
    if profile.transaction_id is not UNSET and not of_transaction:
        yield Problem("transactionId", "Only a TxProfile has a transactionId.")
    begins: datetime | None = value_or(profile.valid_from)
    ends: datetime | None = value_or(profile.valid_to)
    for path, moment in (("validFrom", profile.valid_from), ("validTo", profile.valid_to)):
        try:
            check_moment(moment)
        except ValueError:
            yield Problem(path, "The year is out of range: leave it out where there is no bound.")
    if begins is not None and ends is not None and ends <= begins:
        yield Problem("validTo", "validTo lies after validFrom.")


def _of_schedule(profile: ChargingProfile) -> Iterator[Problem]:
    schedule, kind = profile.charging_schedule, profile.charging_profile_kind
    place = "chargingSchedule.startSchedule"
    if kind is _KINDS.RECURRING and schedule.start_schedule is UNSET:
        yield Problem(place, "A Recurring schedule needs startSchedule: from then on it repeats.")
    if kind is _KINDS.RELATIVE and schedule.start_schedule is not UNSET:
        yield Problem(place, "A Relative schedule starts with the charging: no startSchedule.")
    place = "chargingSchedule.duration"
    duration: int | None = value_or(schedule.duration)
    every = _every(profile)
    if duration is not None and duration < 1:
        yield Problem(place, "A duration is at least one second.")
    elif duration is not None and every is not None and duration > every:
        word = value_or(profile.recurrency_kind)
        yield Problem(place, f"A {word} schedule lasts at most {every} s: then it begins anew.")
    if value_or(schedule.min_charging_rate, 0) < 0:
        yield Problem("chargingSchedule.minChargingRate", "A minChargingRate is not below 0.")


def _of_periods(profile: ChargingProfile) -> Iterator[Problem]:
    schedule = profile.charging_schedule
    periods = schedule.charging_schedule_period
    if periods[0].start_period != 0:
        yield Problem(_place(0, "startPeriod"), "The first period starts at 0.")
    for number, (before, after) in enumerate(pairwise(periods), 1):
        if after.start_period <= before.start_period:
            text = "A period starts later than the one before it."
            yield Problem(_place(number, "startPeriod"), text)
    least = _length(profile, schedule)
    for number, period in enumerate(periods):
        if least is not None and 0 < least <= period.start_period:
            text = f"The schedule ends after {least} s: this period would never start."
            yield Problem(_place(number, "startPeriod"), text)
        if period.limit < 0:
            yield Problem(_place(number, "limit"), "A limit is not below 0.")
        if not 1 <= value_or(period.number_phases, PHASES) <= PHASES:
            yield Problem(_place(number, "numberPhases"), "There are 1, 2 or 3 phases.")


def _every(profile: ChargingProfile) -> int | None:
    recurrency: RecurrencyKindType | None = value_or(profile.recurrency_kind)
    if profile.charging_profile_kind is not _KINDS.RECURRING or recurrency is None:
        return None
    return EVERY[recurrency]


def _length(profile: ChargingProfile, schedule: ChargingSchedule) -> int | None:
    """Seconds after which nothing of a schedule is left; None: it goes on."""
    known = [n for n in (value_or(schedule.duration), _every(profile)) if n is not None]
    return min(known, default=None)


def _place(number: int, name: str) -> str:
    return f"chargingSchedule.chargingSchedulePeriod[{number}].{name}"
