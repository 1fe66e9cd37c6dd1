"""The shared models, one file for each subject."""

from csms.models.audit import AuditAction, AuditEntry
from csms.models.authorization import IdTag
from csms.models.certificates import CertificateSigningRequest, SecurityEvent
from csms.models.charge_points import (
    ChargePoint,
    Connector,
    Deviation,
    UnknownChargePoint,
)
from csms.models.commands import Command, CommandBatch, CommandEvent
from csms.models.configuration import (
    ChargePointConfiguration,
    ConfigurationKey,
    ConfigurationState,
    ConfigurationTemplate,
)
from csms.models.data_transfer import UnknownTransfer
from csms.models.firmware import FirmwareImage, TransferStatus
from csms.models.gateways import Gateway
from csms.models.local_lists import ChargePointLocalList, LocalList, LocalListContent
from csms.models.messages import Message, QuarantinedMessage
from csms.models.reservations import Reservation
from csms.models.roll_outs import RollOut, RollOutItem
from csms.models.smart_charging import ChargingProfileTemplate, InstalledProfile
from csms.models.tokens import ApiToken, IdempotencyKey
from csms.models.transactions import MeterValue, Transaction
from csms.models.uploads import Upload
from csms.models.webhooks import (
    SoapPresence,
    WebhookEvent,
    WebhookLane,
    WebhookSubscription,
)

__all__ = [
    "ApiToken",
    "AuditAction",
    "AuditEntry",
    "CertificateSigningRequest",
    "ChargePoint",
    "ChargePointConfiguration",
    "ChargePointLocalList",
    "ChargingProfileTemplate",
    "Command",
    "CommandBatch",
    "CommandEvent",
    "ConfigurationKey",
    "ConfigurationState",
    "ConfigurationTemplate",
    "Connector",
    "Deviation",
    "FirmwareImage",
    "Gateway",
    "IdTag",
    "IdempotencyKey",
    "InstalledProfile",
    "LocalList",
    "LocalListContent",
    "Message",
    "MeterValue",
    "QuarantinedMessage",
    "Reservation",
    "RollOut",
    "RollOutItem",
    "SecurityEvent",
    "SoapPresence",
    "Transaction",
    "TransferStatus",
    "UnknownChargePoint",
    "UnknownTransfer",
    "Upload",
    "WebhookEvent",
    "WebhookLane",
    "WebhookSubscription",
]
