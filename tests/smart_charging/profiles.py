"""Charging profiles in short, for the tests of this folder."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from csms.ocpp.types import ChargingProfile, ChargingRateUnitType
from csms.services.composite import Composite, Installed, Running, composite

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A Monday at noon."""
A, W = ChargingRateUnitType.A, ChargingRateUnitType.W
MAX, DEFAULT, TX = "ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"
HOUR, DAY = 3600, 86_400


def wire(purpose: str = DEFAULT, *periods: Any, **fields: Any) -> dict[str, Any]:
    """A profile as the wire has it; periods are (startPeriod, limit) or (…, numberPhases)."""
    kind = fields.pop("kind", "Absolute")
    names = ("startPeriod", "limit", "numberPhases")
    schedule: dict[str, Any] = {
        "chargingRateUnit": fields.pop("unit", "A"),
        "chargingSchedulePeriod": [
            dict(zip(names, period, strict=False)) for period in periods or [(0, 16)]
        ],
    }
    for name in ("duration", "startSchedule", "minChargingRate"):
        if name in fields:
            schedule[name] = fields.pop(name)
    return {
        "chargingProfileId": fields.pop("number", 1),
        "stackLevel": fields.pop("level", 0),
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        **fields,
        "chargingSchedule": schedule,
    }


def installed(
    connector: int, purpose: str = DEFAULT, *periods: Any, accepted: datetime = START, **fields: Any
) -> Installed:
    profile = msgspec.convert(wire(purpose, *periods, **fields), ChargingProfile)
    return Installed(connector, profile, accepted)


def made(
    *profiles: Installed,
    connector: int = 1,
    connectors: tuple[int, ...] = (1, 2),
    running: dict[int, Running] | None = None,
    duration: int = DAY,
    unit: ChargingRateUnitType = A,
    start: datetime = START,
    voltage: int = 230,
) -> Composite:
    return composite(
        profiles,
        connector_id=connector,
        connectors=connectors,
        running=running or {},
        start=start,
        duration=duration,
        unit=unit,
        voltage=voltage,
    )


def short(schedule: Composite) -> list[tuple[int, str]]:
    """Start and limit of each period, as texts."""
    return [(p.start_period, "none" if p.limit is None else str(p.limit)) for p in schedule.periods]
