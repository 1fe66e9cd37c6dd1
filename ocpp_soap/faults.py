"""Every SOAP Fault we send, and the one table from errors to fault codes.

S4 names five subcodes, each a QName in the namespace of the central system's service. It prints
that namespace without the WSDL's trailing slash; here it is the WSDL's (`urn://Ocpp/Cs/2015/10/`),
because that is the one every other name of the message is in.
"""

from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from csms.ocpp.errors import (
    IdentityMismatch,
    InternalFailure,
    ProtocolError,
    RpcViolation,
    SecurityViolation,
    UnknownAction,
    UnsupportedAction,
)
from ocpp_soap.errors import NotUnderstood, VersionMismatch
from ocpp_soap.namespaces import FAULT_ACTION
from ocpp_soap.writing import envelope, escaped


class Code(NamedTuple):
    """A fault's Code, its Subcode ("" for none) and the HTTP status it travels with."""

    code: str
    subcode: str
    status: int


# SOAP 1.2 part 2, 7.5.2.2: env:Sender goes with 400, every other code with 500.
_SENDER, _RECEIVER = 400, 500

CODES: dict[type[ProtocolError], Code] = {
    SecurityViolation: Code("Sender", "SecurityError", _SENDER),
    IdentityMismatch: Code("Sender", "IdentityMismatch", _SENDER),
    UnknownAction: Code("Receiver", "NotSupported", _RECEIVER),
    UnsupportedAction: Code("Receiver", "NotSupported", _RECEIVER),
    InternalFailure: Code("Receiver", "InternalError", _RECEIVER),
    VersionMismatch: Code("VersionMismatch", "", _RECEIVER),
    NotUnderstood: Code("MustUnderstand", "", _RECEIVER),
    RpcViolation: Code("Sender", "ProtocolError", _SENDER),
    ProtocolError: Code("Sender", "ProtocolError", _SENDER),
}

_REASONS: dict[str, str] = {
    "SecurityError": "Not authenticated, or not allowed to do this.",
    "IdentityMismatch": "The message names another charge point than its sender.",
    "ProtocolError": "The message does not comply with OCPP 1.6.",
    "NotSupported": "The central system does not support this operation.",
    "InternalError": "An internal error occurred.",
}


def code_of(error: ProtocolError) -> Code:
    """The fault code of an error: that of its class or the nearest class above."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def fault_text(error: ProtocolError, *, relates_to: str = "") -> str:
    """The whole envelope of the Fault that answers message `relates_to`."""
    code = code_of(error)
    subcode = (
        f"<env:Subcode><env:Value>cs:{code.subcode}</env:Value></env:Subcode>"
        if code.subcode
        else ""
    )
    reason = _printable(error.description) or _REASONS.get(code.subcode) or type(error).__doc__
    return envelope(
        f"<env:Fault><env:Code><env:Value>env:{code.code}</env:Value>{subcode}</env:Code>"
        f'<env:Reason><env:Text xml:lang="en">{escaped(str(reason))}</env:Text></env:Reason>'
        "</env:Fault>",
        action=FAULT_ACTION,
        relates_to=relates_to,
        blocks=_blocks(error),
    )


def _printable(description: str) -> str:
    """The description without what XML cannot carry."""
    return "".join(c if c.isprintable() else "?" for c in description)


def _blocks(error: ProtocolError) -> str:
    """The headers that say more of an error."""
    if isinstance(error, NotUnderstood):
        # SOAP 1.2 part 1, 5.4.8: one for each header block that was not understood.
        return "".join(_not_understood(*block) for block in error.blocks)
    if isinstance(error, VersionMismatch):
        # SOAP 1.2 part 1, 5.4.7: the envelope versions that would have been understood.
        return '<env:Upgrade><env:SupportedEnvelope qname="env:Envelope"/></env:Upgrade>'
    return ""


def _not_understood(namespace: str, name: str) -> str:
    declared = f" xmlns:block={quoteattr(namespace)}" if namespace else ""
    qname = quoteattr(f"block:{name}" if namespace else name)
    return f"<env:NotUnderstood{declared} qname={qname}/>"
