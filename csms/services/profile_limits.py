"""What charge points can take of charging profiles (OCPP 1.6 §9.4), as they told when their
configuration was read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from csms.models import ChargePoint, Command, InstalledProfile
from csms.models.commands import CommandState
from csms.ocpp.types import ChargingProfile, ChargingRateUnitType

PAGE = 200
"""Answers that are read at once: each may hold a whole configuration."""
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
    """What is known of each charge point (primary key), the latest answers counting most."""
    values: dict[int, dict[str, str]] = defaultdict(dict)
    rows = Command.objects.filter(
        charge_point__in=list(charge_points),
        action="GetConfiguration",
        state=CommandState.ACCEPTED,
    ).order_by("pk")
    last = 0
    while page := list(
        rows.filter(pk__gt=last).values_list("pk", "charge_point_id", "answer")[:PAGE]
    ):
        for _, charge_point, answer in page:
            for item in (answer or {}).get("configurationKey", ()):
                values[charge_point][item["key"].casefold()] = str(item.get("value", ""))
        last = page[-1][0]
    return {charge_point: _limits(found) for charge_point, found in values.items()}


def _limits(values: Mapping[str, str]) -> ProfileLimits:
    units = values.get("chargingscheduleallowedchargingrateunit", "").casefold().split(",")
    return ProfileLimits(
        max_stack_level=_number(values.get("chargeprofilemaxstacklevel")),
        units=frozenset(filter(None, (unit.strip() for unit in units))),
        max_periods=_number(values.get("chargingschedulemaxperiods")),
        max_installed=_number(values.get("maxchargingprofilesinstalled")),
    )


def _number(text: str | None) -> int | None:
    plain = (text or "").strip()
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 10 else None


def limits_problem(
    limits: ProfileLimits, profile: ChargingProfile, *, connector_id: int, present: Iterable[Any]
) -> str:
    """Why a charge point will not take a profile; empty when it may. `present` are the rows of
    what it is assumed to have."""
    schedule = profile.charging_schedule
    if limits.max_stack_level is not None and profile.stack_level > limits.max_stack_level:
        return f"ChargeProfileMaxStackLevel is {limits.max_stack_level}."
    if limits.units and limits.units.isdisjoint(_UNITS[schedule.charging_rate_unit]):
        return f"It takes no limits in {schedule.charging_rate_unit.value}."
    number = len(schedule.charging_schedule_period)
    if limits.max_periods is not None and number > limits.max_periods:
        return f"ChargingScheduleMaxPeriods is {limits.max_periods}, and this has {number}."
    others = [row for row in present if not replaces(profile, connector_id, row)]
    if limits.max_installed is not None and len(others) >= limits.max_installed:
        return f"MaxChargingProfilesInstalled is {limits.max_installed}, and it has that many."
    return ""


def replaces(profile: ChargingProfile, connector_id: int, row: InstalledProfile) -> bool:
    """§3.13.2: the same chargingProfileId, or the same purpose and stackLevel on a connector."""
    return row.charging_profile_id == profile.charging_profile_id or (
        (row.connector_id, row.purpose, row.stack_level)
        == (connector_id, profile.charging_profile_purpose.value, profile.stack_level)
    )
