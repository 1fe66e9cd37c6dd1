"""The Smart Charging profile: limits of power or current over time."""

import enum

from msgspec import UNSET

from csms.ocpp.base import CENTRAL_SYSTEM, Opt, Payload, Profile, Request
from csms.ocpp.types import (
    ChargingProfile,
    ChargingProfilePurposeType,
    ChargingRateUnitType,
    ChargingSchedule,
    DateTime,
    Int32,
    check_moment,
)


class ClearChargingProfileStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    UNKNOWN = "Unknown"


class ClearChargingProfileResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown: none fitted."""

    status: ClearChargingProfileStatus


class ClearChargingProfile(
    Request[ClearChargingProfileResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Remove the profiles that fit all that is given (5.5)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.SMART_CHARGING

    id: Opt[Int32] = UNSET
    connector_id: Opt[Int32] = UNSET
    charging_profile_purpose: Opt[ChargingProfilePurposeType] = UNSET
    stack_level: Opt[Int32] = UNSET


class GetCompositeScheduleStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class GetCompositeScheduleResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The schedule, when Accepted."""

    status: GetCompositeScheduleStatus
    connector_id: Opt[Int32] = UNSET
    schedule_start: Opt[DateTime] = UNSET
    charging_schedule: Opt[ChargingSchedule] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.schedule_start)


class GetCompositeSchedule(
    Request[GetCompositeScheduleResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """What limits will hold over the next `duration` seconds? (5.7)"""

    senders = CENTRAL_SYSTEM
    profile = Profile.SMART_CHARGING

    connector_id: Int32
    duration: Int32
    charging_rate_unit: Opt[ChargingRateUnitType] = UNSET


class ChargingProfileStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    NOT_SUPPORTED = "NotSupported"


class SetChargingProfileResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether it was installed."""

    status: ChargingProfileStatus


class SetChargingProfile(
    Request[SetChargingProfileResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Install a profile (5.16)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.SMART_CHARGING

    connector_id: Int32
    cs_charging_profiles: ChargingProfile
