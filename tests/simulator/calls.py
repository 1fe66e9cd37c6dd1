"""One valid call of each operation of a central system, fields in the order of the WSDL."""

from typing import Any

from tests.simulator.certificate import ROOT

SCHEDULE = {
    "chargingRateUnit": "A",
    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}, {"startPeriod": 60, "limit": 6.3}],
}
PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": SCHEDULE,
}

CORE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "CancelReservation": ({"reservationId": 7}, {"status": "Rejected"}),
    "ChangeAvailability": ({"connectorId": 1, "type": "Inoperative"}, {"status": "Accepted"}),
    "ChangeConfiguration": (
        {"key": "heartbeatinterval", "value": "60"},
        {"status": "Accepted"},
    ),
    "ClearCache": ({}, {"status": "Accepted"}),
    "ClearChargingProfile": ({"id": 5}, {"status": "Unknown"}),
    "DataTransfer": (
        {"vendorId": "Simulator", "messageId": "Echo", "data": "x"},
        {"status": "Accepted", "data": "x"},
    ),
    "GetCompositeSchedule": (
        {"connectorId": 1, "duration": 120, "chargingRateUnit": "A"},
        {"status": "Accepted"},
    ),
    "GetConfiguration": ({"key": ["HeartbeatInterval", "Nonsense"]}, {"unknownKey": "Nonsense"}),
    "GetDiagnostics": (
        {"location": "ftp://files.example/in"},
        {"fileName": "CP-diagnostics.log"},
    ),
    "GetLocalListVersion": ({}, {"listVersion": "0"}),
    "RemoteStartTransaction": ({"connectorId": 1, "idTag": "TAG"}, {"status": "Accepted"}),
    "RemoteStopTransaction": ({"transactionId": 1}, {"status": "Rejected"}),
    "ReserveNow": (
        {
            "connectorId": 1,
            "expiryDate": "2099-01-01T00:00:00Z",
            "idTag": "TAG",
            "reservationId": 1,
        },
        {"status": "Accepted"},
    ),
    "Reset": ({"type": "Soft"}, {"status": "Accepted"}),
    "SendLocalList": (
        {
            "listVersion": 1,
            "localAuthorizationList": [{"idTag": "TAG", "idTagInfo": {"status": "Accepted"}}],
            "updateType": "Full",
        },
        {"status": "Accepted"},
    ),
    "SetChargingProfile": (
        {"connectorId": 1, "csChargingProfiles": PROFILE},
        {"status": "Accepted"},
    ),
    "TriggerMessage": ({"requestedMessage": "Heartbeat"}, {"status": "Accepted"}),
    "UnlockConnector": ({"connectorId": 1}, {"status": "Unlocked"}),
    "UpdateFirmware": (
        {"retrieveDate": "2020-01-01T00:00:00Z", "location": "http://files.example/fw.bin"},
        {},
    ),
}

HASH = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "00",
    "issuerKeyHash": "00",
    "serialNumber": "00",
}

SECURITY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "CertificateSigned": ({"certificateChain": ROOT}, {"status": "Accepted"}),
    "DeleteCertificate": ({"certificateHashData": HASH}, {"status": "NotFound"}),
    "ExtendedTriggerMessage": (
        {"requestedMessage": "LogStatusNotification"},
        {"status": "Accepted"},
    ),
    "GetInstalledCertificateIds": (
        {"certificateType": "CentralSystemRootCertificate"},
        {"status": "NotFound"},
    ),
    "GetLog": (
        {
            "log": {"remoteLocation": "ftp://files.example/in"},
            "logType": "SecurityLog",
            "requestId": 4,
        },
        {"status": "Accepted", "filename": "CP-SecurityLog.log"},
    ),
    "InstallCertificate": (
        {"certificateType": "CentralSystemRootCertificate", "certificate": ROOT},
        {"status": "Accepted"},
    ),
    "SignedUpdateFirmware": (
        {
            "requestId": 3,
            "firmware": {
                "location": "http://files.example/fw.bin",
                "retrieveDateTime": "2020-01-01T00:00:00Z",
                "signingCertificate": ROOT,
                "signature": "c2lnbmF0dXJl",
            },
        },
        {"status": "Accepted"},
    ),
}
