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

MEANS = {
    "Accepted": "accepted",
    "AcceptedCanceled": "accepted",
    "Failed": "rejected",
    "Faulted": "rejected",
    "InvalidCertificate": "rejected",
    "NotFound": "rejected",
    "NotImplemented": "rejected",
    "NotSupported": "rejected",
    "Occupied": "rejected",
    "RebootRequired": "accepted",
    "Rejected": "rejected",
    "RevokedCertificate": "rejected",
    "Scheduled": "accepted",
    "Unavailable": "rejected",
    "Unknown": "rejected",
    "UnknownMessageId": "rejected",
    "UnknownVendorId": "rejected",
    "UnlockFailed": "rejected",
    "Unlocked": "accepted",
    "VersionMismatch": "rejected",
}
"""The state that each status of an answer means: one that is declared and not here fails."""

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


def statuses_of(name: str) -> list[str]:
    """The statuses that the declared reply of an operation may have, if it has one at all."""
    for field in msgspec.structs.fields(reply_type(registry.ACTIONS[name])):
        if field.encode_name == "status":
            return [status.value for status in field.type]
    return []


def replies_of(name: str) -> list[tuple[dict[str, Any], str]]:
    """A reply with each status that the declaration has, and the state that it means."""
    statuses = statuses_of(name)
    if statuses:
        return [({"status": status}, MEANS[status]) for status in statuses]
    return [(plain, "accepted") for plain in WITHOUT_STATUS[name]]
