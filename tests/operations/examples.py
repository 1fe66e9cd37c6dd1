"""The 26 operations of the central system: a call of each, and every answer that it may get."""

from typing import Any

import msgspec

from csms.ocpp import registry
from csms.ocpp.base import Request, reply_type
from csms.services.commands import request_of
from tests.simulator.calls import CORE, SECURITY

OPERATIONS = tuple(name for name in registry.ACTIONS if registry.from_central_system(name))
OVER_SOAP = tuple(name for name in OPERATIONS if registry.ACTIONS[name].soap)
JSON_ONLY = tuple(name for name in OPERATIONS if not registry.ACTIONS[name].soap)

EACH = [("json", name) for name in OPERATIONS] + [("soap", name) for name in OVER_SOAP]
"""Each operation over each transport that has it."""

YES = {
    "ChangeAvailability": {"Accepted", "Scheduled"},
    "ChangeConfiguration": {"Accepted", "RebootRequired"},
    "GetLog": {"Accepted", "AcceptedCanceled"},
    "SignedUpdateFirmware": {"Accepted", "AcceptedCanceled"},
    "UnlockConnector": {"Unlocked"},
}
"""The statuses that say yes, where that is not Accepted alone."""

WITHOUT_STATUS: dict[str, list[dict[str, Any]]] = {
    "GetConfiguration": [
        {},
        {"configurationKey": [{"key": "A", "readonly": True, "value": "1"}]},
        {"unknownKey": ["A", "B"]},
    ],
    "GetDiagnostics": [{}, {"fileName": "d.zip"}],
    "GetLocalListVersion": [{"listVersion": version} for version in (-1, 0, 7)],
    "UpdateFirmware": [{}],
}
"""Replies of the operations whose answer has no status."""


def payload_of(name: str) -> dict[str, Any]:
    """A valid payload."""
    return (CORE | SECURITY)[name][0]


def request(name: str, **fields: Any) -> Request[Any]:
    """A valid request, some fields of it as said."""
    return request_of(name, payload_of(name) | fields)


def replies_of(name: str) -> list[tuple[dict[str, Any], str]]:
    """A reply with each status that the declaration has, and the state that it means."""
    reply = reply_type(registry.ACTIONS[name])
    for field in msgspec.structs.fields(reply):
        if field.encode_name == "status":
            yes = YES.get(name, {"Accepted"})
            return [
                ({"status": status.value}, "accepted" if status.value in yes else "rejected")
                for status in field.type
            ]
    return [(plain, "accepted") for plain in WITHOUT_STATUS[name]]
