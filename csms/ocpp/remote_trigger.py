"""The Remote Trigger profile: ask a charge point to send a message."""

import enum

from msgspec import UNSET

from csms.ocpp.base import CENTRAL_SYSTEM, Opt, Payload, Profile, Request
from csms.ocpp.types import Int32, TriggerMessageStatus


class MessageTrigger(enum.StrEnum):
    BOOT_NOTIFICATION = "BootNotification"
    DIAGNOSTICS_STATUS_NOTIFICATION = "DiagnosticsStatusNotification"
    FIRMWARE_STATUS_NOTIFICATION = "FirmwareStatusNotification"
    HEARTBEAT = "Heartbeat"
    METER_VALUES = "MeterValues"
    STATUS_NOTIFICATION = "StatusNotification"


class TriggerMessageResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepted: the message will come."""

    status: TriggerMessageStatus


class TriggerMessage(
    Request[TriggerMessageResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Send this message soon (5.17)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.REMOTE_TRIGGER

    requested_message: MessageTrigger
    connector_id: Opt[Int32] = UNSET
