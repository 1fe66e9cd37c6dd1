"""What charge points can take of charging profiles (OCPP 1.6 §9.4), as their configuration says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from csms.models import ChargePoint, InstalledProfile
from csms.ocpp.types import ChargingProfile, ChargingRateUnitType
from csms.services.configuration_rules import number_of, values_known

MAX_LEVEL = "ChargeProfileMaxStackLevel"
RATE_UNITS = "ChargingScheduleAllowedChargingRateUnit"
MAX_PERIODS = "ChargingScheduleMaxPeriods"
MAX_INSTALLED = "MaxChargingProfilesInstalled"
_UNITS = {
    ChargingRateUnitType.A: frozenset({"current", "a"}),
    ChargingRateUnitType.W: frozenset({"power", "w"}),
}


@dataclass(frozen=True, slots=True)
class ProfileLimits:
    """Configuration keys of the Smart Charging profile; None and empty: not known."""

    max_stack_level: int | None = None
    """ChargeProfileMaxStackLevel."""
    units: frozenset[str] = frozenset()
    """ChargingScheduleAllowedChargingRateUnit, folded: `current`, `power`."""
    max_periods: int | None = None
    """ChargingScheduleMaxPeriods."""
    max_installed: int | None = None
    """MaxChargingProfilesInstalled."""


def limits_known(charge_points: Iterable[ChargePoint]) -> dict[int, ProfileLimits]:
    """What is known of each charge point (primary key); without those that told none of it."""
    keys = (MAX_LEVEL, RATE_UNITS, MAX_PERIODS, MAX_INSTALLED)
    known = values_known(list(charge_points), keys)
    return {charge_point: _limits(values) for charge_point, values in known.items()}


def _limits(values: Mapping[str, str]) -> ProfileLimits:
    units = values.get(RATE_UNITS.casefold(), "").casefold().split(",")
    return ProfileLimits(
        max_stack_level=number_of(values.get(MAX_LEVEL.casefold())),
        units=frozenset(filter(None, (unit.strip() for unit in units))),
        max_periods=number_of(values.get(MAX_PERIODS.casefold())),
        max_installed=number_of(values.get(MAX_INSTALLED.casefold())),
    )


def limits_problem(
    limits: ProfileLimits, profile: ChargingProfile, *, connector_id: int, present: Iterable[Any]
) -> str:
    """Why a charge point will not take a profile; empty when it may. `present` are the rows of
    what it is assumed to have."""
    schedule = profile.charging_schedule
    if limits.max_stack_level is not None and profile.stack_level > limits.max_stack_level:
        return f"{MAX_LEVEL} is {limits.max_stack_level}."
    if limits.units and limits.units.isdisjoint(_UNITS[schedule.charging_rate_unit]):
        return f"It takes no limits in {schedule.charging_rate_unit.value}."
    number = len(schedule.charging_schedule_period)
    if limits.max_periods is not None and number > limits.max_periods:
        return f"{MAX_PERIODS} is {limits.max_periods}, and this has {number}."
    others = [row for row in present if not replaces(profile, connector_id, row)]
    if limits.max_installed is not None and len(others) >= limits.max_installed:
        return f"{MAX_INSTALLED} is {limits.max_installed}, and it has that many."
    return ""


def replaces(profile: ChargingProfile, connector_id: int, row: InstalledProfile) -> bool:
    """§3.13.2: the same chargingProfileId, or the same purpose and stackLevel on a connector."""
    return row.charging_profile_id == profile.charging_profile_id or (
        (row.connector_id, row.purpose, row.stack_level)
        == (connector_id, profile.charging_profile_purpose.value, profile.stack_level)
    )
