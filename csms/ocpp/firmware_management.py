"""The Firmware Management profile: firmware updates and diagnostics files."""

import enum

from msgspec import UNSET

from csms.ocpp.base import CENTRAL_SYSTEM, CHARGE_POINT, Opt, Payload, Profile, Request
from csms.ocpp.types import AnyUri, CiString255, DateTime, Int32, check_moment


class DiagnosticsStatus(enum.StrEnum):
    IDLE = "Idle"
    UPLOADED = "Uploaded"
    UPLOAD_FAILED = "UploadFailed"
    UPLOADING = "Uploading"


class DiagnosticsStatusNotificationResponse(
    Payload, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Acknowledged."""


class DiagnosticsStatusNotification(
    Request[DiagnosticsStatusNotificationResponse],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
):
    """How the upload of diagnostics goes (4.4)."""

    senders = CHARGE_POINT
    profile = Profile.FIRMWARE_MANAGEMENT

    status: DiagnosticsStatus


class FirmwareStatus(enum.StrEnum):
    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOADING = "Downloading"
    IDLE = "Idle"
    INSTALLATION_FAILED = "InstallationFailed"
    INSTALLED = "Installed"
    INSTALLING = "Installing"


class FirmwareStatusNotificationResponse(
    Payload, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Acknowledged."""


class FirmwareStatusNotification(
    Request[FirmwareStatusNotificationResponse],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
):
    """How the firmware update goes (4.5)."""

    senders = CHARGE_POINT
    profile = Profile.FIRMWARE_MANAGEMENT

    status: FirmwareStatus


class GetDiagnosticsResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file's name; absent when there is nothing to upload."""

    file_name: Opt[CiString255] = UNSET


class GetDiagnostics(
    Request[GetDiagnosticsResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Upload diagnostics to a directory; `retry_interval` in seconds (5.9)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.FIRMWARE_MANAGEMENT

    location: AnyUri
    start_time: Opt[DateTime] = UNSET
    stop_time: Opt[DateTime] = UNSET
    retries: Opt[Int32] = UNSET
    retry_interval: Opt[Int32] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.start_time, self.stop_time)


class UpdateFirmwareResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Acknowledged."""


class UpdateFirmware(
    Request[UpdateFirmwareResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Fetch and install firmware, not before `retrieve_date` (5.19)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.FIRMWARE_MANAGEMENT

    retrieve_date: DateTime
    location: AnyUri
    retries: Opt[Int32] = UNSET
    retry_interval: Opt[Int32] = UNSET

    def __post_init__(self) -> None:
        check_moment(self.retrieve_date)
