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
from csms.models.firmware import TransferStatus
from csms.models.gateways import Gateway
from csms.models.messages import Message, QuarantinedMessage
from csms.models.smart_charging import ChargingProfileTemplate, InstalledProfile
from csms.models.tokens import ApiToken, IdempotencyKey
from csms.models.transactions import MeterValue, Transaction

__all__ = [
    "ApiToken",
    "AuditAction",
    "AuditEntry",
    "CertificateSigningRequest",
    "ChargePoint",
    "ChargingProfileTemplate",
    "Command",
    "CommandBatch",
    "CommandEvent",
    "Connector",
    "Deviation",
    "Gateway",
    "IdTag",
    "IdempotencyKey",
    "InstalledProfile",
    "Message",
    "MeterValue",
    "QuarantinedMessage",
    "SecurityEvent",
    "Transaction",
    "TransferStatus",
    "UnknownChargePoint",
]
