"""What a simulated charge point answers to the calls of the Smart Charging profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from csms.ocpp.base import value_or
from csms.ocpp.smart_charging import (
    ChargingProfileStatus,
    ClearChargingProfile,
    ClearChargingProfileResponse,
    ClearChargingProfileStatus,
    GetCompositeSchedule,
    GetCompositeScheduleResponse,
    GetCompositeScheduleStatus,
    SetChargingProfile,
    SetChargingProfileResponse,
)
from csms.ocpp.types import (
    ChargingProfile,
    ChargingProfilePurposeType,
    ChargingRateUnitType,
)
from csms.simulator import profiles
from csms.simulator.answering import answers
from csms.simulator.transport import Answer

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint

_PURPOSES = ChargingProfilePurposeType


@answers(SetChargingProfile)
def set_charging_profile(cp: SimulatedChargePoint, request: SetChargingProfile) -> Answer:
    """5.16."""
    if not _installable(cp, request):
        return Answer(SetChargingProfileResponse(status=ChargingProfileStatus.REJECTED))
    profiles.install(cp.connectors[request.connector_id], request.cs_charging_profiles)
    return Answer(SetChargingProfileResponse(status=ChargingProfileStatus.ACCEPTED))


def _installable(cp: SimulatedChargePoint, request: SetChargingProfile) -> bool:
    connector, profile = cp.connectors.get(request.connector_id), request.cs_charging_profiles
    settings = cp.configuration
    if connector is None:
        return False
    if not 0 <= profile.stack_level <= settings.whole("ChargeProfileMaxStackLevel"):
        return False
    periods = profile.charging_schedule.charging_schedule_period
    if len(periods) > settings.whole("ChargingScheduleMaxPeriods"):
        return False
    if sum(len(c.profiles) for c in cp.connectors.values()) >= settings.whole(
        "MaxChargingProfilesInstalled"
    ):
        return False
    if profile.charging_profile_purpose is _PURPOSES.CHARGE_POINT_MAX_PROFILE:
        return connector.id == 0
    if profile.charging_profile_purpose is _PURPOSES.TX_PROFILE:
        # 5.16.2: only while a transaction is active on the connector
        transaction = connector.transaction
        if connector.id == 0 or transaction is None:
            return False
        return bool(value_or(profile.transaction_id, transaction.id) == transaction.id)
    return True


@answers(ClearChargingProfile)
def clear_charging_profile(cp: SimulatedChargePoint, request: ClearChargingProfile) -> Answer:
    """5.5: with an id, that one; else all that fit what is given."""
    cleared = 0
    for connector in cp.connectors.values():
        for profile in list(connector.profiles.values()):
            if _fits(request, connector.id, profile):
                del connector.profiles[profile.charging_profile_id]
                cleared += 1
    statuses = ClearChargingProfileStatus
    status = statuses.ACCEPTED if cleared else statuses.UNKNOWN
    return Answer(ClearChargingProfileResponse(status=status))


def _fits(request: ClearChargingProfile, connector_id: int, profile: ChargingProfile) -> bool:
    if request.id is not UNSET:
        return profile.charging_profile_id == request.id
    purpose = value_or(request.charging_profile_purpose, profile.charging_profile_purpose)
    return (
        value_or(request.connector_id, connector_id) == connector_id
        and purpose is profile.charging_profile_purpose
        and value_or(request.stack_level, profile.stack_level) == profile.stack_level
    )


@answers(GetCompositeSchedule)
def get_composite_schedule(cp: SimulatedChargePoint, request: GetCompositeSchedule) -> Answer:
    """5.7; for connector 0 the limits of the charge point as a whole."""
    connector = cp.connectors.get(request.connector_id)
    if connector is None or request.duration < 1:
        status = GetCompositeScheduleStatus.REJECTED
        return Answer(GetCompositeScheduleResponse(status=status))
    start = cp.clock.now().replace(microsecond=0)
    schedule = profiles.composite(
        connector,
        cp.connectors[0],
        start=start,
        duration=request.duration,
        unit=value_or(request.charging_rate_unit, ChargingRateUnitType.W),
        ceiling=int(cp.plan.watts),
    )
    return Answer(
        GetCompositeScheduleResponse(
            status=GetCompositeScheduleStatus.ACCEPTED,
            connector_id=connector.id,
            schedule_start=start,
            charging_schedule=schedule,
        )
    )
