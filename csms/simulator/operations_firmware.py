"""What a simulated charge point answers about firmware and diagnostics, and what follows.

The signed forms of the security extension follow the same two procedures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from csms.ocpp.base import Request, value_or
from csms.ocpp.firmware_management import (
    DiagnosticsStatus,
    DiagnosticsStatusNotification,
    FirmwareStatus,
    FirmwareStatusNotification,
    GetDiagnostics,
    GetDiagnosticsResponse,
    UpdateFirmware,
    UpdateFirmwareResponse,
)
from csms.ocpp.security import (
    CertificateUse,
    GetLog,
    GetLogResponse,
    LogStatus,
    LogStatusNotification,
    SecurityEventNotification,
    SignedFirmwareStatus,
    SignedFirmwareStatusNotification,
    SignedUpdateFirmware,
    SignedUpdateFirmwareResponse,
    SignedUpdateFirmwareStatus,
    UploadLogStatus,
)
from csms.ocpp.types import Reason
from csms.simulator.answering import answers
from csms.simulator.firmware import version_of
from csms.simulator.signatures import is_signed, is_trusted
from csms.simulator.transfer import TransferFailed, download, upload
from csms.simulator.transport import Answer, CallFailed, FollowUp, NoAnswer

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint

STEP = 2.0
"""Seconds that each step of a procedure takes."""
RETRY_INTERVAL = 5
"""Seconds between tries where the central system gives none."""

Tell = Callable[[str], Request[Any]]


async def tell(cp: SimulatedChargePoint, procedure: str, status: str, make: Tell) -> None:
    """Report how a procedure goes; it goes on whether that is heard or not."""
    cp.statuses[procedure] = status
    try:
        await cp.call(make(status))
    except (NoAnswer, CallFailed) as error:
        cp.event(f"{procedure} {status} not reported: {error}")


def _began(cp: SimulatedChargePoint, procedure: str, work: FollowUp) -> FollowUp:
    """A follow-up that runs a procedure in place of the one that may be running."""

    async def then() -> None:
        running = cp.procedures.get(procedure)
        if running is not None:
            running.cancel()
        cp.procedures[procedure] = cp.spawn(_run(work))

    return then


async def _run(work: FollowUp) -> None:
    await work()


def running(cp: SimulatedChargePoint, procedure: str) -> bool:
    """Whether a procedure has begun and not ended."""
    task = cp.procedures.get(procedure)
    return task is not None and not task.done()


async def _tried(
    cp: SimulatedChargePoint, work: Callable[[], Awaitable[Any]], tries: int, interval: int
) -> Any:
    """Do something that may fail, a few times; raises the last TransferFailed."""
    for left in range(max(tries, 0), -1, -1):
        try:
            return await work()
        except TransferFailed as error:
            cp.event(f"transfer failed: {error}")
            if left == 0:
                raise
            await cp.clock.sleep(interval)
    raise AssertionError("the loop returns or raises")


# --- firmware


@answers(UpdateFirmware)
def update_firmware(cp: SimulatedChargePoint, request: UpdateFirmware) -> Answer:
    """5.19: Downloading, Downloaded, Installing, Installed, and a restart."""

    def made(status: str) -> FirmwareStatusNotification:
        return FirmwareStatusNotification(status=FirmwareStatus(status))

    async def work() -> None:
        content = await _fetched(cp, request, request.location, request.retrieve_date, made)
        if content is not False:
            await _installed(cp, made, version_of(content, request.location, cp.firmware_version))
            await tell(cp, "firmware", FirmwareStatus.INSTALLED, made)

    return Answer(UpdateFirmwareResponse(), _began(cp, "firmware", work))


async def _fetched(
    cp: SimulatedChargePoint,
    request: UpdateFirmware | SignedUpdateFirmware,
    location: str,
    begins: datetime,
    made: Tell,
) -> bytes | Literal[False] | None:
    """The firmware, None when it was pretended, False when it did not come."""
    await cp.clock.sleep_until(begins)
    await tell(cp, "firmware", FirmwareStatus.DOWNLOADING, made)
    interval = value_or(request.retry_interval, RETRY_INTERVAL)
    content: bytes | None
    try:
        content = await _tried(
            cp,
            lambda: download(location, allow_remote=cp.allow_remote),
            value_or(request.retries, 0),
            interval,
        )
    except TransferFailed:
        await tell(cp, "firmware", FirmwareStatus.DOWNLOAD_FAILED, made)
        return False
    await cp.clock.sleep(STEP)
    await tell(cp, "firmware", FirmwareStatus.DOWNLOADED, made)
    return content


async def _installed(cp: SimulatedChargePoint, made: Tell, version: str) -> None:
    """Install, which ends with a restart in the new version."""
    await tell(cp, "firmware", FirmwareStatus.INSTALLING, made)
    await cp.clock.sleep(STEP)
    cp.firmware_version = version
    await cp.reboot(Reason.REBOOT)


@answers(SignedUpdateFirmware)
def signed_update_firmware(cp: SimulatedChargePoint, request: SignedUpdateFirmware) -> Answer:
    """WP L01: as UpdateFirmware, with the certificate verified first, and the signature between
    download and installation."""
    statuses = SignedUpdateFirmwareStatus
    firmware, request_id = request.firmware, request.request_id
    use = CertificateUse.MANUFACTURER_ROOT_CERTIFICATE
    roots = [known.pem for known in cp.certificates if known.use is use]
    if not is_trusted(firmware.signing_certificate, roots, cp.clock.now()):
        refused = SignedUpdateFirmwareResponse(status=statuses.INVALID_CERTIFICATE)
        return Answer(refused, partial(_alarm, cp, "InvalidFirmwareSigningCertificate"))

    def made(status: str) -> SignedFirmwareStatusNotification:
        known = SignedFirmwareStatus(status)
        return SignedFirmwareStatusNotification(status=known, request_id=request_id)

    async def work() -> None:
        begins = firmware.retrieve_date_time
        content = await _fetched(cp, request, firmware.location, begins, made)
        if content is False:
            return
        if not is_signed(content, firmware.signing_certificate, firmware.signature):
            await tell(cp, "firmware", SignedFirmwareStatus.INVALID_SIGNATURE, made)
            await _alarm(cp, "InvalidFirmwareSignature")
            return
        await tell(cp, "firmware", SignedFirmwareStatus.SIGNATURE_VERIFIED, made)
        await cp.clock.sleep_until(value_or(firmware.install_date_time, cp.clock.now()))
        await _installed(cp, made, version_of(content, firmware.location, cp.firmware_version))
        await tell(cp, "firmware", SignedFirmwareStatus.INSTALLED, made)

    cancels = running(cp, "firmware")
    status = statuses.ACCEPTED_CANCELED if cancels else statuses.ACCEPTED
    return Answer(SignedUpdateFirmwareResponse(status=status), _began(cp, "firmware", work))


async def _alarm(cp: SimulatedChargePoint, kind: str) -> None:
    """Report a security event (WP A04); what it is about goes on whether that is heard or not."""
    try:
        await cp.call(SecurityEventNotification(type=kind, timestamp=cp.clock.now()))
    except (NoAnswer, CallFailed) as error:
        cp.event(f"{kind} not reported: {error}")


# --- diagnostics and logs


@answers(GetDiagnostics)
def get_diagnostics(cp: SimulatedChargePoint, request: GetDiagnostics) -> Answer:
    """5.9: Uploading, then Uploaded or UploadFailed."""
    name = f"{cp.identity}-diagnostics.log"

    def made(status: str) -> DiagnosticsStatusNotification:
        return DiagnosticsStatusNotification(status=DiagnosticsStatus(status))

    ends = (DiagnosticsStatus.UPLOADED, DiagnosticsStatus.UPLOAD_FAILED)
    work = _upload(cp, "diagnostics", request, request.location, name, ends, made)
    return Answer(GetDiagnosticsResponse(file_name=name), _began(cp, "diagnostics", work))


@answers(GetLog)
def get_log(cp: SimulatedChargePoint, request: GetLog) -> Answer:
    """WP N01: a new request cancels an upload that is running."""
    name, request_id = f"{cp.identity}-{request.log_type.value}.log", request.request_id

    def made(status: str) -> LogStatusNotification:
        return LogStatusNotification(status=UploadLogStatus(status), request_id=request_id)

    ends = (UploadLogStatus.UPLOADED, UploadLogStatus.UPLOAD_FAILURE)
    work = _upload(cp, "log", request, request.log.remote_location, name, ends, made)
    cancels = running(cp, "log")
    status = LogStatus.ACCEPTED_CANCELED if cancels else LogStatus.ACCEPTED
    return Answer(GetLogResponse(status=status, filename=name), _began(cp, "log", work))


def _upload(
    cp: SimulatedChargePoint,
    procedure: str,
    request: GetDiagnostics | GetLog,
    location: str,
    name: str,
    ends: tuple[str, str],
    made: Tell,
) -> FollowUp:
    """The procedure of an upload; `ends` are its good and its bad end."""

    async def work() -> None:
        await tell(cp, procedure, DiagnosticsStatus.UPLOADING, made)
        await cp.clock.sleep(STEP)
        content = "\n".join(f"{e.at} {e.direction} {e.action}" for e in cp.journal.entries[-1000:])
        interval = value_or(request.retry_interval, RETRY_INTERVAL)
        try:
            await _tried(
                cp,
                lambda: upload(location, name, content.encode(), allow_remote=cp.allow_remote),
                value_or(request.retries, 0),
                interval,
            )
        except TransferFailed:
            await tell(cp, procedure, ends[1], made)
        else:
            await tell(cp, procedure, ends[0], made)

    return work
