"""What a simulated charge point answers when it is asked for a message (5.17), and the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from csms.ocpp.base import Request, value_or
from csms.ocpp.firmware_management import (
    DiagnosticsStatus,
    DiagnosticsStatusNotification,
    FirmwareStatus,
    FirmwareStatusNotification,
)
from csms.ocpp.remote_trigger import MessageTrigger, TriggerMessage, TriggerMessageResponse
from csms.ocpp.security import (
    ExtendedMessageTrigger,
    ExtendedTriggerMessage,
    ExtendedTriggerMessageResponse,
    LogStatusNotification,
    SignCertificate,
    SignedFirmwareStatus,
    SignedFirmwareStatusNotification,
    UploadLogStatus,
)
from csms.ocpp.types import ReadingContext, TriggerMessageStatus
from csms.simulator import certificates
from csms.simulator.answering import answers
from csms.simulator.transport import Answer, FollowUp

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint


@answers(TriggerMessage)
def trigger_message(cp: SimulatedChargePoint, request: TriggerMessage) -> Answer:
    """5.17."""
    status, then = _triggered(cp, request.requested_message, value_or(request.connector_id))
    return Answer(TriggerMessageResponse(status=status), then)


@answers(ExtendedTriggerMessage)
def extended_trigger_message(cp: SimulatedChargePoint, request: ExtendedTriggerMessage) -> Answer:
    """WP: as TriggerMessage, with logs, signed firmware and certificates."""
    status, then = _triggered(cp, request.requested_message, value_or(request.connector_id))
    return Answer(ExtendedTriggerMessageResponse(status=status), then)


def _triggered(
    cp: SimulatedChargePoint,
    wanted: MessageTrigger | ExtendedMessageTrigger,
    connector_id: int | None,
) -> tuple[TriggerMessageStatus, FollowUp | None]:
    """Whether the message will come, and what sends it."""
    if connector_id is not None and connector_id not in cp.connectors:
        return TriggerMessageStatus.REJECTED, None
    extended = isinstance(wanted, ExtendedMessageTrigger)

    async def then() -> None:
        await _send(cp, wanted.value, connector_id, extended)

    return TriggerMessageStatus.ACCEPTED, then


async def _send(
    cp: SimulatedChargePoint, wanted: str, connector_id: int | None, extended: bool
) -> None:
    if wanted == "BootNotification":
        await cp.boot()
    elif wanted == "Heartbeat":
        await cp.heartbeat()
    elif wanted == "StatusNotification":
        for number in cp.connectors if connector_id is None else (connector_id,):
            await cp.report(number)
    elif wanted == "MeterValues":
        measured = [number for number in cp.connectors if number > 0]
        for number in measured if connector_id is None else (connector_id,):
            cp.send_reading(number, context=ReadingContext.TRIGGER)
    elif wanted == "SignChargePointCertificate":
        organization = cp.configuration["CpoName"]
        csr = certificates.signing_request(cp.identity, organization, cp.random)
        await cp.call(SignCertificate(csr=csr))
    else:
        await cp.call(_progress(cp, wanted, extended))


def _progress(cp: SimulatedChargePoint, wanted: str, extended: bool) -> Request[Any]:
    """How a procedure goes; one that has ended well is told as Idle (5.17)."""
    procedure = wanted.removesuffix("StatusNotification").lower()
    status = cp.statuses.get(procedure, "Idle")
    if status in ("Installed", "Uploaded"):
        status = "Idle"
    if procedure == "diagnostics":
        return DiagnosticsStatusNotification(status=DiagnosticsStatus(status))
    if procedure == "log":
        return LogStatusNotification(status=UploadLogStatus(status), request_id=UNSET)
    if extended:
        return SignedFirmwareStatusNotification(status=SignedFirmwareStatus(status))
    return FirmwareStatusNotification(status=FirmwareStatus(status))
