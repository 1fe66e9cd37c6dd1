"""Requests of ours that no charge point could make sense of are refused, the field named."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from csms.ocpp.registry import ACTIONS
from csms.services.request_rules import request_problem

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
SCHEDULE = {
    "chargingRateUnit": "A",
    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
}
PROFILE: dict[str, Any] = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": SCHEDULE,
}
LATER = "2026-05-06T08:00:00Z"


def problem(name: str, payload: dict[str, Any]) -> str:
    """The path of what is wrong; "" when nothing is."""
    request = msgspec.convert(payload, ACTIONS[name])
    sentence, path = request_problem(request, now=NOW)
    assert bool(sentence) == bool(path)
    return path


@pytest.mark.parametrize(
    ("name", "payload", "path"),
    [
        ("RemoteStartTransaction", {"idTag": "A", "connectorId": 0}, "connectorId"),
        ("UnlockConnector", {"connectorId": 0}, "connectorId"),
        (
            "TriggerMessage",
            {"requestedMessage": "Heartbeat", "connectorId": 0},
            "connectorId",
        ),
        ("ChangeAvailability", {"connectorId": -3, "type": "Operative"}, "connectorId"),
        ("ChangeConfiguration", {"key": "", "value": "1"}, "key"),
        (
            "ReserveNow",
            {
                "connectorId": 1,
                "expiryDate": "2020-01-01T00:00:00Z",
                "idTag": "A",
                "reservationId": 1,
            },
            "expiryDate",
        ),
        ("GetCompositeSchedule", {"connectorId": 1, "duration": -5}, "duration"),
        ("UpdateFirmware", {"location": "not a uri", "retrieveDate": LATER}, "location"),
        ("UpdateFirmware", {"location": "http://[x", "retrieveDate": LATER}, "location"),
        ("GetDiagnostics", {"location": "ftp://h/d", "retries": -1}, "retries"),
        ("SendLocalList", {"listVersion": 0, "updateType": "Full"}, "listVersion"),
        (
            "SendLocalList",
            {
                "listVersion": 1,
                "updateType": "Differential",
                "localAuthorizationList": [{"idTag": "A"}, {"idTag": "a"}],
            },
            "localAuthorizationList[0].idTag",
        ),
        (
            "SendLocalList",
            {
                "listVersion": 1,
                "updateType": "Full",
                "localAuthorizationList": [{"idTag": "A"}],
            },
            "localAuthorizationList[0].idTagInfo",
        ),
        (
            "SetChargingProfile",
            {"connectorId": 0, "csChargingProfiles": PROFILE},
            "connectorId",
        ),
        (
            "SetChargingProfile",
            {
                "connectorId": 1,
                "csChargingProfiles": PROFILE | {"chargingProfileKind": "Recurring"},
            },
            "csChargingProfiles.recurrencyKind",
        ),
        (
            "RemoteStartTransaction",
            {
                "idTag": "A",
                "chargingProfile": PROFILE | {"chargingProfilePurpose": "TxDefaultProfile"},
            },
            "chargingProfile.chargingProfilePurpose",
        ),
        (
            "RemoteStartTransaction",
            {"idTag": "A", "chargingProfile": PROFILE | {"transactionId": 5}},
            "chargingProfile.transactionId",
        ),
    ],
)
def test_senseless(name: str, payload: dict[str, Any], path: str) -> None:
    assert problem(name, payload) == path


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("RemoteStartTransaction", {"idTag": "A"}),
        ("RemoteStartTransaction", {"idTag": "A", "connectorId": 2, "chargingProfile": PROFILE}),
        ("ChangeAvailability", {"connectorId": 0, "type": "Operative"}),
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
        (
            "ReserveNow",
            {"connectorId": 0, "expiryDate": LATER, "idTag": "A", "reservationId": 1},
        ),
        ("SendLocalList", {"listVersion": 1, "updateType": "Full"}),
        ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": PROFILE}),
        ("GetDiagnostics", {"location": "ftp://user:pass@host/folder", "retries": 0}),
    ],
)
def test_sensible(name: str, payload: dict[str, Any]) -> None:
    assert problem(name, payload) == ""
