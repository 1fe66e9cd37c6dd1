"""The security extension ("Improved security for OCPP 1.6-J", edition 3): over JSON only."""

import enum
from typing import Annotated

from msgspec import UNSET, Meta

from csms.ocpp.base import CENTRAL_SYSTEM, CHARGE_POINT, Opt, Payload, Profile, Request
from csms.ocpp.types import (
    CiString50,
    CiString255,
    DateTime,
    Int32,
    TriggerMessageStatus,
    check_moment,
)


class HashAlgorithm(enum.StrEnum):
    SHA256 = "SHA256"
    SHA384 = "SHA384"
    SHA512 = "SHA512"


class CertificateHashData(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a certificate."""

    hash_algorithm: HashAlgorithm
    issuer_name_hash: Annotated[str, Meta(max_length=128)]
    issuer_key_hash: Annotated[str, Meta(max_length=128)]
    serial_number: Annotated[str, Meta(max_length=40)]


class CertificateUse(enum.StrEnum):
    CENTRAL_SYSTEM_ROOT_CERTIFICATE = "CentralSystemRootCertificate"
    MANUFACTURER_ROOT_CERTIFICATE = "ManufacturerRootCertificate"


class CertificateSignedStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class CertificateSignedResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the charge point took it."""

    status: CertificateSignedStatus


class CertificateSigned(
    Request[CertificateSignedResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The certificate that was asked for with SignCertificate; PEM."""

    senders = CENTRAL_SYSTEM
    profile = Profile.SECURITY
    soap = False

    certificate_chain: Annotated[str, Meta(max_length=10000)]


class DeleteCertificateStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    FAILED = "Failed"
    NOT_FOUND = "NotFound"


class DeleteCertificateResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether it was deleted."""

    status: DeleteCertificateStatus


class DeleteCertificate(
    Request[DeleteCertificateResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Delete a root certificate."""

    senders = CENTRAL_SYSTEM
    profile = Profile.SECURITY
    soap = False

    certificate_hash_data: CertificateHashData


class ExtendedMessageTrigger(enum.StrEnum):
    BOOT_NOTIFICATION = "BootNotification"
    LOG_STATUS_NOTIFICATION = "LogStatusNotification"
    FIRMWARE_STATUS_NOTIFICATION = "FirmwareStatusNotification"
    HEARTBEAT = "Heartbeat"
    METER_VALUES = "MeterValues"
    SIGN_CHARGE_POINT_CERTIFICATE = "SignChargePointCertificate"
    STATUS_NOTIFICATION = "StatusNotification"


class ExtendedTriggerMessageResponse(
    Payload, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Accepted: the message will come."""

    status: TriggerMessageStatus


class ExtendedTriggerMessage(
    Request[ExtendedTriggerMessageResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Send this message soon."""

    senders = CENTRAL_SYSTEM
    profile = Profile.SECURITY
    soap = False

    requested_message: ExtendedMessageTrigger
    connector_id: Opt[Int32] = UNSET


class GetInstalledCertificateStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    NOT_FOUND = "NotFound"


class GetInstalledCertificateIdsResponse(
    Payload, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Their names."""

    certificate_hash_data: Opt[Annotated[tuple[CertificateHashData, ...], Meta(min_length=1)]] = (
        UNSET
    )
    status: GetInstalledCertificateStatus


class GetInstalledCertificateIds(
    Request[GetInstalledCertificateIdsResponse],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
):
    """Which root certificates do you have?"""

    senders = CENTRAL_SYSTEM
    profile = Profile.SECURITY
    soap = False

    certificate_type: CertificateUse


class LogType(enum.StrEnum):
    DIAGNOSTICS_LOG = "DiagnosticsLog"
    SECURITY_LOG = "SecurityLog"


class LogStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    ACCEPTED_CANCELED = "AcceptedCanceled"


class LogParameters(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to, and which part of the log."""

    remote_location: Annotated[str, Meta(max_length=512)]
    oldest_timestamp: Opt[DateTime] = UNSET
    latest_timestamp: Opt[DateTime] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.oldest_timestamp, self.latest_timestamp)


class GetLogResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AcceptedCanceled: a running upload was cancelled for this one."""

    status: LogStatus
    filename: Opt[CiString255] = UNSET


class GetLog(Request[GetLogResponse], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Upload a log; `retry_interval` in seconds."""

    senders = CENTRAL_SYSTEM
    profile = Profile.SECURITY
    soap = False

    log: LogParameters
    log_type: LogType
    request_id: Int32
    retries: Opt[Int32] = UNSET
    retry_interval: Opt[Int32] = UNSET


class InstallCertificateStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    FAILED = "Failed"
    REJECTED = "Rejected"


class InstallCertificateResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether it was installed."""

    status: InstallCertificateStatus


class InstallCertificate(
    Request[InstallCertificateResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Install a root certificate; PEM."""

    senders = CENTRAL_SYSTEM
    profile = Profile.SECURITY
    soap = False

    certificate_type: CertificateUse
    certificate: Annotated[str, Meta(max_length=5500)]


class UploadLogStatus(enum.StrEnum):
    BAD_MESSAGE = "BadMessage"
    IDLE = "Idle"
    NOT_SUPPORTED_OPERATION = "NotSupportedOperation"
    PERMISSION_DENIED = "PermissionDenied"
    UPLOADED = "Uploaded"
    UPLOAD_FAILURE = "UploadFailure"
    UPLOADING = "Uploading"


class LogStatusNotificationResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Acknowledged."""


class LogStatusNotification(
    Request[LogStatusNotificationResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """How the upload of a log goes."""

    senders = CHARGE_POINT
    profile = Profile.SECURITY
    soap = False

    status: UploadLogStatus
    request_id: Opt[Int32] = UNSET


class SecurityEventNotificationResponse(
    Payload, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Acknowledged."""


class SecurityEventNotification(
    Request[SecurityEventNotificationResponse],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
):
    """Something of concern to security has happened; any `type` is acknowledged (A04.FR.03)."""

    senders = CHARGE_POINT
    profile = Profile.SECURITY
    soap = False

    type: CiString50
    timestamp: DateTime
    tech_info: Opt[CiString255] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.timestamp)


class GenericStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class SignCertificateResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepted: CertificateSigned will follow."""

    status: GenericStatus


class SignCertificate(
    Request[SignCertificateResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Please sign this request; PEM."""

    senders = CHARGE_POINT
    profile = Profile.SECURITY
    soap = False

    csr: Annotated[str, Meta(max_length=5500)]


class SignedFirmwareStatus(enum.StrEnum):
    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOADING = "Downloading"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOAD_PAUSED = "DownloadPaused"
    IDLE = "Idle"
    INSTALLATION_FAILED = "InstallationFailed"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    INVALID_SIGNATURE = "InvalidSignature"
    SIGNATURE_VERIFIED = "SignatureVerified"


class SignedFirmwareStatusNotificationResponse(
    Payload, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Acknowledged."""


class SignedFirmwareStatusNotification(
    Request[SignedFirmwareStatusNotificationResponse],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
):
    """How the signed firmware update goes."""

    senders = CHARGE_POINT
    profile = Profile.SECURITY
    soap = False

    status: SignedFirmwareStatus
    request_id: Opt[Int32] = UNSET


class SignedUpdateFirmwareStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    ACCEPTED_CANCELED = "AcceptedCanceled"
    INVALID_CERTIFICATE = "InvalidCertificate"
    REVOKED_CERTIFICATE = "RevokedCertificate"


class Firmware(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signed firmware: where it is, when to fetch and install it; PEM and base64."""

    location: Annotated[str, Meta(max_length=512)]
    retrieve_date_time: DateTime
    install_date_time: Opt[DateTime] = UNSET
    signing_certificate: Annotated[str, Meta(max_length=5500)]
    signature: Annotated[str, Meta(max_length=800)]

    def __post_init__(self) -> None:
        check_moment(self.retrieve_date_time, self.install_date_time)


class SignedUpdateFirmwareResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether it will be fetched."""

    status: SignedUpdateFirmwareStatus


class SignedUpdateFirmware(
    Request[SignedUpdateFirmwareResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Fetch and install signed firmware."""

    senders = CENTRAL_SYSTEM
    profile = Profile.SECURITY
    soap = False

    retries: Opt[Int32] = UNSET
    retry_interval: Opt[Int32] = UNSET
    request_id: Int32
    firmware: Firmware
