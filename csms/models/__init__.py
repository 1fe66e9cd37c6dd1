"""The shared models, one file for each subject."""

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
from csms.models.messages import Message, QuarantinedMessage
from csms.models.smart_charging import InstalledProfile
from csms.models.tokens import ApiToken, IdempotencyKey
from csms.models.transactions import MeterValue, Transaction

__all__ = [
    "ApiToken",
    "CertificateSigningRequest",
    "ChargePoint",
    "Command",
    "CommandBatch",
    "CommandEvent",
    "Connector",
    "Deviation",
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
