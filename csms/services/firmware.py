"""Progress of firmware updates, diagnostics and log uploads (OCPP 1.6 §4.4, §4.5; WP L01, N01)."""

from csms.models import TransferStatus
from csms.models.firmware import TransferKind
from csms.ocpp.base import value_or
from csms.ocpp.firmware_management import (
    DiagnosticsStatusNotification,
    DiagnosticsStatusNotificationResponse,
    FirmwareStatusNotification,
    FirmwareStatusNotificationResponse,
)
from csms.ocpp.security import (
    LogStatusNotification,
    LogStatusNotificationResponse,
    SignedFirmwareStatusNotification,
    SignedFirmwareStatusNotificationResponse,
)
from csms.services.dispatch import Context, handles


def _note(context: Context, kind: TransferKind, status: str, request_id: int | None = None) -> None:
    """Keep a status notification; the latest of each kind also stands with the charge point."""
    context.world.add(
        TransferStatus(
            charge_point=context.charge_point,
            kind=kind,
            status=status,
            request_id=request_id,
            received_at=context.now,
        )
    )
    if kind in (TransferKind.FIRMWARE, TransferKind.SIGNED_FIRMWARE):
        context.world.set(context.charge_point, firmware_status=status)
    else:
        context.world.set(context.charge_point, diagnostics_status=status)


@handles(FirmwareStatusNotification)
def firmware_status_notification(
    request: FirmwareStatusNotification, context: Context
) -> FirmwareStatusNotificationResponse:
    """§4.5"""
    _note(context, TransferKind.FIRMWARE, request.status.value)
    return FirmwareStatusNotificationResponse()


@handles(DiagnosticsStatusNotification)
def diagnostics_status_notification(
    request: DiagnosticsStatusNotification, context: Context
) -> DiagnosticsStatusNotificationResponse:
    """§4.4"""
    _note(context, TransferKind.DIAGNOSTICS, request.status.value)
    return DiagnosticsStatusNotificationResponse()


@handles(SignedFirmwareStatusNotification)
def signed_firmware_status_notification(
    request: SignedFirmwareStatusNotification, context: Context
) -> SignedFirmwareStatusNotificationResponse:
    """WP L01"""
    request_id = value_or(request.request_id)
    _note(context, TransferKind.SIGNED_FIRMWARE, request.status.value, request_id)
    return SignedFirmwareStatusNotificationResponse()


@handles(LogStatusNotification)
def log_status_notification(
    request: LogStatusNotification, context: Context
) -> LogStatusNotificationResponse:
    """WP N01"""
    _note(context, TransferKind.LOG, request.status.value, value_or(request.request_id))
    return LogStatusNotificationResponse()
