"""The 26 operations as forms are filled in for them, and who may send them."""

from typing import Any

import msgspec
from django.contrib.auth.models import Permission, User
from django.test import Client

from csms.admin import sending
from csms.models.commands import permission_of
from csms.ocpp import registry
from csms.ocpp.base import Role
from tests.simulator.certificate import ROOT

SEND = "/admin/csms/command/send/"
PROFILE = {
    "chargingProfileId": 7,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "validTo": "2099-03-01T12:00:00Z",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": "16.0"},
            {"startPeriod": 3600, "limit": "6.5", "numberPhases": 1},
        ],
    },
}
HASH = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "ab",
    "issuerKeyHash": "cd",
    "serialNumber": "1",
}
FIRMWARE = {
    "location": "https://files.example/fw.bin",
    "retrieveDateTime": "2099-03-01T12:00:00Z",
    "signingCertificate": ROOT.strip(),
    "signature": "c2ln",
}
ENTRY = {"idTag": "TAG1", "idTagInfo": {"status": "Accepted"}}

VALID: dict[str, dict[str, Any]] = {
    "ChangeAvailability": {"connectorId": 1, "type": "Inoperative"},
    "ChangeConfiguration": {"key": "HeartbeatInterval", "value": "300"},
    "ClearCache": {},
    "DataTransfer": {"vendorId": "org.example", "messageId": "m", "data": "line\nline"},
    "GetConfiguration": {"key": ["HeartbeatInterval", "LocalPreAuthorize"]},
    "RemoteStartTransaction": {
        "connectorId": 1,
        "idTag": "TAG1",
        "chargingProfile": PROFILE | {"chargingProfilePurpose": "TxProfile"},
    },
    "RemoteStopTransaction": {"transactionId": 4711},
    "Reset": {"type": "Soft"},
    "UnlockConnector": {"connectorId": 1},
    "GetDiagnostics": {"location": "ftp://files.example/", "retries": 3},
    "UpdateFirmware": {"retrieveDate": "2099-03-01T12:00:00Z", "location": "ftp://files.example/f"},
    "GetLocalListVersion": {},
    "SendLocalList": {
        "listVersion": 3,
        "localAuthorizationList": [ENTRY],
        "updateType": "Full",
    },
    "TriggerMessage": {"requestedMessage": "StatusNotification", "connectorId": 1},
    "CancelReservation": {"reservationId": 9},
    "ReserveNow": {
        "connectorId": 1,
        "expiryDate": "2099-03-01T12:00:00Z",
        "idTag": "TAG1",
        "reservationId": 9,
    },
    "ClearChargingProfile": {"stackLevel": 1, "chargingProfilePurpose": "TxProfile"},
    "GetCompositeSchedule": {"connectorId": 0, "duration": 3600, "chargingRateUnit": "W"},
    "SetChargingProfile": {"connectorId": 1, "csChargingProfiles": PROFILE},
    "CertificateSigned": {"certificateChain": "-----BEGIN CERTIFICATE-----\nMIIB"},
    "DeleteCertificate": {"certificateHashData": HASH},
    "ExtendedTriggerMessage": {"requestedMessage": "LogStatusNotification"},
    "GetInstalledCertificateIds": {"certificateType": "CentralSystemRootCertificate"},
    "GetLog": {
        "log": {"remoteLocation": "ftp://files.example/"},
        "logType": "SecurityLog",
        "requestId": 1,
    },
    "InstallCertificate": {"certificateType": "CentralSystemRootCertificate", "certificate": "PEM"},
    "SignedUpdateFirmware": {"requestId": 2, "firmware": FIRMWARE},
}

INVALID: dict[str, tuple[str, Any]] = {
    "ChangeAvailability": ("connectorId", "one"),
    "ChangeConfiguration": ("key", "k" * 51),
    "DataTransfer": ("vendorId", ""),
    "GetConfiguration": ("key", "k" * 51),
    "RemoteStartTransaction": ("chargingProfile.chargingSchedule.chargingRateUnit", ""),
    "RemoteStopTransaction": ("transactionId", 2**31),
    "Reset": ("type", "Sideways"),
    "UnlockConnector": ("connectorId", ""),
    "GetDiagnostics": ("startTime", "yesterday"),
    "UpdateFirmware": ("retrieveDate", "9999-12-31T23:00"),
    "SendLocalList": ("localAuthorizationList", '[{"idTag": "T"}, {"idTagInfo": {}}]'),
    "TriggerMessage": ("requestedMessage", ""),
    "CancelReservation": ("reservationId", "1.5"),
    "ReserveNow": ("idTag", "x" * 21),
    "ClearChargingProfile": ("stackLevel", "high"),
    "GetCompositeSchedule": ("duration", ""),
    "SetChargingProfile": (
        "csChargingProfiles.chargingSchedule.chargingSchedulePeriod[1].limit",
        "6.55",
    ),
    "CertificateSigned": ("certificateChain", ""),
    "DeleteCertificate": ("certificateHashData.serialNumber", "1" * 41),
    "ExtendedTriggerMessage": ("requestedMessage", "SignCertificate"),
    "GetInstalledCertificateIds": ("certificateType", ""),
    "GetLog": ("log.remoteLocation", ""),
    "InstallCertificate": ("certificate", "x" * 5501),
    "SignedUpdateFirmware": ("firmware.signature", ""),
}

OPERATIONS = sorted(
    name for name, kind in registry.ACTIONS.items() if Role.CENTRAL_SYSTEM in kind.senders
)


def entered(payload: Any, path: str = "") -> dict[str, Any]:
    """What a browser submits for a payload."""
    found: dict[str, Any] = {} if path else {"expires_minutes": "60"}
    for name, value in payload.items():
        below = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            found |= entered(value, below)
        elif isinstance(value, list) and isinstance(value[0], str):
            found[below] = "\r\n".join(value)
        elif isinstance(value, list) and "idTagInfo" in value[0]:
            found[below] = msgspec.json.encode(value).decode()
        elif isinstance(value, list):
            for number, item in enumerate(value):
                found |= entered(item, f"{below}[{number}]")
        else:
            found[below] = str(value).removesuffix("Z").replace("\n", "\r\n")
    return found


def declared(name: str) -> Any:
    return registry.from_central_system(name)


def post(client: Client, name: str, charge_points: Any, **values: Any) -> Any:
    keys = [row.pk for row in charge_points]
    return client.post(
        SEND,
        {
            "send_to": sending.choice_text(keys),
            "operation_name": name,
            "send_now": "1",
            "expires_minutes": "60",
        }
        | values,
    )


def sender(*operations: str) -> Client:
    """Somebody who may see charge points and send these operations."""
    user = User.objects.create_user("sender", is_staff=True)
    names = ["view_chargepoint", *(permission_of(name) for name in operations)]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client
