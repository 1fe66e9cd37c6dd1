"""Charging profiles in words."""

from collections.abc import Mapping
from typing import Any

from csms.admin.charging_profile_form import clock

MOST = 12
"""Periods that are said."""
AGAIN = {"Daily": ", every day", "Weekly": ", every week"}


def schedule_words(profile: Mapping[str, Any]) -> str:
    """A profile's schedule, from the profile as on the wire: `from 0:00 16 A; from 8:00 10 A`."""
    schedule = profile["chargingSchedule"]
    unit, periods = schedule["chargingRateUnit"], schedule["chargingSchedulePeriod"]
    said = [_period(period, unit) for period in periods[:MOST]]
    if len(periods) > MOST:
        said.append(f"{len(periods) - MOST} more")
    if "duration" in schedule:
        said.append(f"until {clock(schedule['duration'])}")
    return "; ".join(said) + AGAIN.get(profile.get("recurrencyKind", ""), "")


def _period(period: Mapping[str, Any], unit: str) -> str:
    phases = f", {period['numberPhases']}-phase" if "numberPhases" in period else ""
    return f"from {clock(max(0, period['startPeriod']))} {period['limit']} {unit}{phases}"


def validity_words(profile: Mapping[str, Any]) -> str:
    """When a profile holds at all: `from 2026-01-02T03:04:05Z to …`; empty: always."""
    said = [
        f"{word} {profile[name]}"
        for word, name in (("from", "validFrom"), ("to", "validTo"))
        if name in profile
    ]
    return " ".join(said)
