"""The Core profile: what every charge point can do."""

import enum

from msgspec import UNSET

from csms.ocpp.base import BOTH, CENTRAL_SYSTEM, CHARGE_POINT, Opt, Payload, Profile, Request
from csms.ocpp.types import (
    ChargePointErrorCode,
    ChargePointStatus,
    ChargingProfile,
    CiString20,
    CiString25,
    CiString50,
    CiString255,
    CiString500,
    DateTime,
    IdTagInfo,
    IdToken,
    Int32,
    MeterValue,
    Reason,
    RegistrationStatus,
    check_moment,
)


class AuthorizeResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the central system knows of the idTag."""

    id_tag_info: IdTagInfo


class Authorize(Request[AuthorizeResponse], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """May this idTag charge? (4.1)"""

    senders = CHARGE_POINT
    profile = Profile.CORE

    id_tag: IdToken


class BootNotificationResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`interval` in seconds: between heartbeats when Accepted, else until the next boot."""

    status: RegistrationStatus
    current_time: DateTime
    interval: Int32

    def __post_init__(self) -> None:
        check_moment(self.current_time)


class BootNotification(
    Request[BootNotificationResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """A charge point has started and says what it is (4.2)."""

    senders = CHARGE_POINT
    profile = Profile.CORE

    charge_point_vendor: CiString20
    charge_point_model: CiString20
    charge_point_serial_number: Opt[CiString25] = UNSET
    charge_box_serial_number: Opt[CiString25] = UNSET
    firmware_version: Opt[CiString50] = UNSET
    iccid: Opt[CiString20] = UNSET
    imsi: Opt[CiString20] = UNSET
    meter_type: Opt[CiString25] = UNSET
    meter_serial_number: Opt[CiString25] = UNSET


class AvailabilityType(enum.StrEnum):
    INOPERATIVE = "Inoperative"
    OPERATIVE = "Operative"


class AvailabilityStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    SCHEDULED = "Scheduled"


class ChangeAvailabilityResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scheduled: when the running transaction ends."""

    status: AvailabilityStatus


class ChangeAvailability(
    Request[ChangeAvailabilityResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Open or close a connector, or with 0 the whole charge point (5.2)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.CORE

    connector_id: Int32
    type: AvailabilityType


class ConfigurationStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    NOT_SUPPORTED = "NotSupported"
    REBOOT_REQUIRED = "RebootRequired"
    REJECTED = "Rejected"


class ChangeConfigurationResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of the setting."""

    status: ConfigurationStatus


class ChangeConfiguration(
    Request[ChangeConfigurationResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Set one configuration key (5.3)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.CORE

    key: CiString50
    value: CiString500


class ClearCacheStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class ClearCacheResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether it was emptied."""

    status: ClearCacheStatus


class ClearCache(
    Request[ClearCacheResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Empty the authorization cache (5.4)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.CORE


class DataTransferStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    UNKNOWN_MESSAGE_ID = "UnknownMessageId"
    UNKNOWN_VENDOR_ID = "UnknownVendorId"


class DataTransferResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver's answer; `data` means what the vendor says it means."""

    status: DataTransferStatus
    data: Opt[str] = UNSET


class DataTransfer(
    Request[DataTransferResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """What OCPP has no message for, either way (4.3, 5.6)."""

    senders = BOTH
    profile = Profile.CORE

    vendor_id: CiString255
    message_id: Opt[CiString50] = UNSET
    data: Opt[str] = UNSET


class KeyValue(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configuration key (7.29); absent `value`: the key is set to nothing."""

    key: CiString50
    readonly: bool
    value: Opt[CiString500] = UNSET


class GetConfigurationResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that the charge point knows, and those it does not."""

    configuration_key: Opt[tuple[KeyValue, ...]] = UNSET
    unknown_key: Opt[tuple[CiString50, ...]] = UNSET


class GetConfiguration(
    Request[GetConfigurationResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Read these configuration keys, or all (5.8)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.CORE

    key: Opt[tuple[CiString50, ...]] = UNSET


class HeartbeatResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The central system's clock."""

    current_time: DateTime

    def __post_init__(self) -> None:
        check_moment(self.current_time)


class Heartbeat(Request[HeartbeatResponse], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The charge point is there and asks for the time (4.6)."""

    senders = CHARGE_POINT
    profile = Profile.CORE


class MeterValuesResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Acknowledged."""


class MeterValues(
    Request[MeterValuesResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Readings of a connector, or with 0 of the main meter (4.7).

    The JSON schema requires `meter_value`, the WSDL does not; empty where it was absent.
    """

    senders = CHARGE_POINT
    profile = Profile.CORE

    connector_id: Int32
    transaction_id: Opt[Int32] = UNSET
    meter_value: tuple[MeterValue, ...]


class RemoteStartStopStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class RemoteStartTransactionResponse(
    Payload, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Accepted: it will be tried."""

    status: RemoteStartStopStatus


class RemoteStartTransaction(
    Request[RemoteStartTransactionResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Try to start a transaction (5.11)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.CORE

    connector_id: Opt[Int32] = UNSET
    id_tag: IdToken
    charging_profile: Opt[ChargingProfile] = UNSET


class RemoteStopTransactionResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepted: it will be tried."""

    status: RemoteStartStopStatus


class RemoteStopTransaction(
    Request[RemoteStopTransactionResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Stop a transaction (5.12)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.CORE

    transaction_id: Int32


class ResetType(enum.StrEnum):
    HARD = "Hard"
    SOFT = "Soft"


class ResetStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class ResetResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether it will restart."""

    status: ResetStatus


class Reset(Request[ResetResponse], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Restart the charge point (5.14)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.CORE

    type: ResetType


class StartTransactionResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The id that the transaction has from now on."""

    transaction_id: Int32
    id_tag_info: IdTagInfo


class StartTransaction(
    Request[StartTransactionResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """A transaction has started; `meter_start` in Wh (4.8)."""

    senders = CHARGE_POINT
    profile = Profile.CORE

    connector_id: Int32
    id_tag: IdToken
    timestamp: DateTime
    meter_start: Int32
    reservation_id: Opt[Int32] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.timestamp)


class StatusNotificationResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Acknowledged."""


class StatusNotification(
    Request[StatusNotificationResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The state of a connector, or with 0 of the charge point (4.9)."""

    senders = CHARGE_POINT
    profile = Profile.CORE

    connector_id: Int32
    status: ChargePointStatus
    error_code: ChargePointErrorCode
    info: Opt[CiString50] = UNSET
    timestamp: Opt[DateTime] = UNSET
    vendor_id: Opt[CiString255] = UNSET
    vendor_error_code: Opt[CiString50] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.timestamp)


class StopTransactionResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """4.10: it cannot be refused."""

    id_tag_info: Opt[IdTagInfo] = UNSET


class StopTransaction(
    Request[StopTransactionResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """A transaction has stopped; `meter_stop` in Wh (4.10)."""

    senders = CHARGE_POINT
    profile = Profile.CORE

    transaction_id: Int32
    id_tag: Opt[IdToken] = UNSET
    timestamp: DateTime
    meter_stop: Int32
    reason: Opt[Reason] = UNSET
    transaction_data: Opt[tuple[MeterValue, ...]] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.timestamp)


class UnlockStatus(enum.StrEnum):
    UNLOCKED = "Unlocked"
    UNLOCK_FAILED = "UnlockFailed"
    NOT_SUPPORTED = "NotSupported"


class UnlockConnectorResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the lock opened."""

    status: UnlockStatus


class UnlockConnector(
    Request[UnlockConnectorResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Open the lock of a connector (5.18)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.CORE

    connector_id: Int32
