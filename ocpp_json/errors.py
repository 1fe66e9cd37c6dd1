"""From the protocol's errors to the codes of a CALLERROR: the one table of this edge."""

from csms.ocpp import errors
from csms.ocpp.errors import ProtocolError

LONGEST_DESCRIPTION = 255  # 4.2.3: errorDescription is a string of at most 255 characters

CODES: dict[type[ProtocolError], str] = {
    errors.UnknownAction: "NotImplemented",  # 4.2.3: "Requested Action is not known by receiver"
    errors.UnsupportedAction: "NotSupported",  # "recognized but the receiver does not support it"
    errors.FormationViolation: "FormationViolation",  # permanently so, not FormatViolation
    errors.PropertyConstraintViolation: "PropertyConstraintViolation",
    errors.OccurrenceConstraintViolation: "OccurenceConstraintViolation",  # permanently one r
    errors.TypeConstraintViolation: "TypeConstraintViolation",
    errors.RpcViolation: "ProtocolError",  # "Payload for Action is incomplete"
    errors.IdentityMismatch: "SecurityError",
    errors.SecurityViolation: "SecurityError",
    errors.InternalFailure: "InternalError",
}


def code(error: ProtocolError) -> str:
    """The errorCode of an error, as 4.2.3 spells it; GenericError for what has no code."""
    for kind in type(error).__mro__:
        if kind in CODES:
            return CODES[kind]
    return "GenericError"


def description(error: ProtocolError) -> str:
    """What is wrong and where, for the charge point's log: at most 255 characters."""
    text = error.description or type(error).__doc__ or ""
    path = error.path
    if path and path not in text:
        text = f"{path}: {text}"
    if len(text) > LONGEST_DESCRIPTION:
        text = text[: LONGEST_DESCRIPTION - 1] + "…"
    return text
