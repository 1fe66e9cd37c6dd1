"""Every SOAP Fault we send, and the one table from errors to fault codes.

S4 names five subcodes, each a QName in the namespace of the central system's service. It prints
that namespace without the WSDL's trailing slash; here it is the WSDL's (`urn://Ocpp/Cs/2015/10/`),
because that is the one every other name of the message is in.
"""

from typing import NamedTuple

from lxml import etree

from csms.ocpp.errors import (
    IdentityMismatch,
    InternalFailure,
    ProtocolError,
    RpcViolation,
    SecurityViolation,
    UnknownAction,
    UnsupportedAction,
)
from ocpp_soap.addressing import append_answer_headers
from ocpp_soap.errors import NotUnderstood, VersionMismatch
from ocpp_soap.namespaces import BODY, CS, ENVELOPE, FAULT, FAULT_ACTION, HEADER, SOAP, WSA, XML


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
    envelope = etree.Element(ENVELOPE, nsmap={"env": SOAP, "wsa": WSA, "cs": CS})
    header = etree.SubElement(envelope, HEADER)
    append_answer_headers(header, action=FAULT_ACTION, relates_to=relates_to)
    if isinstance(error, NotUnderstood):
        _append_not_understood(header, error)
    elif isinstance(error, VersionMismatch):
        _append_upgrade(header)
    fault = etree.SubElement(etree.SubElement(envelope, BODY), FAULT)
    outer = etree.SubElement(fault, f"{{{SOAP}}}Code")
    etree.SubElement(outer, f"{{{SOAP}}}Value").text = f"env:{code.code}"
    if code.subcode:
        inner = etree.SubElement(outer, f"{{{SOAP}}}Subcode")
        etree.SubElement(inner, f"{{{SOAP}}}Value").text = f"cs:{code.subcode}"
    reason = etree.SubElement(fault, f"{{{SOAP}}}Reason")
    text = etree.SubElement(reason, f"{{{SOAP}}}Text", {f"{{{XML}}}lang": "en"})
    text.text = _printable(error.description) or _REASONS.get(code.subcode, type(error).__doc__)
    return etree.tostring(envelope, encoding="unicode")


def _printable(description: str) -> str:
    """The description without what XML cannot carry."""
    return "".join(c if c.isprintable() else "?" for c in description)


def _append_not_understood(header: etree._Element, error: NotUnderstood) -> None:
    # SOAP 1.2 part 1, 5.4.8: one NotUnderstood block for each header block that was not understood.
    for namespace, name in error.blocks:
        block = etree.SubElement(
            header,
            f"{{{SOAP}}}NotUnderstood",
            nsmap={"block": namespace} if namespace else None,
        )
        block.set("qname", f"block:{name}" if namespace else name)


def _append_upgrade(header: etree._Element) -> None:
    # SOAP 1.2 part 1, 5.4.7: the envelope versions that would have been understood.
    upgrade = etree.SubElement(header, f"{{{SOAP}}}Upgrade")
    etree.SubElement(upgrade, f"{{{SOAP}}}SupportedEnvelope").set("qname", "env:Envelope")
