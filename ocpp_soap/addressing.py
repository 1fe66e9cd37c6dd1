"""The envelope around a message: WS-Addressing headers, chargeBoxIdentity, the one body element.

S3: "SOAP 1.2 […] WS-Addressing"; header blocks are known by their namespace, never by their
prefix. Reading never fails: what is wrong is kept in `Envelope.error`, so that the identity can
be checked and the message be logged before the error is answered.
"""

import uuid
from dataclasses import dataclass, field

from lxml import etree

from csms.ocpp.errors import IdentityMismatch, ProtocolError, RpcViolation
from csms.ocpp.tolerance import Note
from ocpp_soap.errors import NotUnderstood, VersionMismatch
from ocpp_soap.namespaces import (
    ANONYMOUS,
    BODY,
    CS,
    ENVELOPE,
    HEADER,
    MUST_UNDERSTAND,
    SOAP,
    WSA,
)

_TEXTS = frozenset({"Action", "MessageID", "To", "RelatesTo"})
_REFERENCES = frozenset({"From", "ReplyTo", "FaultTo"})
_ADDRESS = f"{{{WSA}}}Address"
_IDENTITY = "chargeboxidentity"
_TRUE = ("true", "1")

LONGEST = 2048
"""Characters of a header's text that are read; longer ones are refused."""


@dataclass(slots=True)
class Envelope:
    """What an envelope says. Texts are trimmed and "" when their header is missing."""

    identity: str = ""
    action: str = ""
    """The WS-Addressing action as sent: `/BootNotification`."""
    message_id: str = ""
    sender: str = ""
    """wsa:From, the address at which the charge point wants to be called."""
    to: str = ""
    relates_to: str = ""
    reply_to: str = ""
    body: etree._Element | None = None
    """The one child of soap:Body."""
    error: ProtocolError | None = None
    """The first rule that was broken."""
    notes: list[Note] = field(default_factory=list)
    """Deviations that the tolerant reading accepts."""

    def broken(self, error: ProtocolError) -> None:
        """Keep the first error."""
        if self.error is None:
            self.error = error

    @property
    def body_name(self) -> str:
        """The local name of the body element: `bootNotificationRequest`."""
        return "" if self.body is None else _split(self.body.tag)[1]

    @property
    def body_action(self) -> str:
        """The action that the body element asks for, or "" when it is no request."""
        name = self.body_name.removesuffix("Request")
        return name[:1].upper() + name[1:] if name and name != self.body_name else ""


def read_envelope(root: etree._Element, service: str = CS) -> Envelope:
    """Read an envelope of either direction; `service` is the namespace of the service called."""
    envelope = Envelope()
    namespace = SOAP
    if root.tag != ENVELOPE:
        if etree.QName(root).localname != "Envelope":
            envelope.broken(RpcViolation("The document is no SOAP envelope."))
            return envelope
        envelope.broken(VersionMismatch("Only SOAP 1.2 envelopes are understood."))
        namespace = etree.QName(root).namespace or ""
    header = _child(root, HEADER if namespace == SOAP else f"{{{namespace}}}Header")
    if header is not None:
        _read_header(envelope, header, service)
    bodies = list(root.iterchildren(BODY if namespace == SOAP else f"{{{namespace}}}Body"))
    children = list(bodies[0]) if len(bodies) == 1 else []
    if len(children) == 1:
        envelope.body = children[0]
    else:
        envelope.broken(RpcViolation("The envelope must hold one body with one element."))
    return envelope


def _read_header(envelope: Envelope, header: etree._Element, service: str) -> None:
    texts: dict[str, str] = {}
    unknown: list[tuple[str, str]] = []
    for block in header:
        namespace, local = _split(block.tag)
        if local.casefold() == _IDENTITY:
            # N22: the name of chargeBoxIdentity is case-insensitive.
            if namespace != service or local != "chargeBoxIdentity":
                envelope.notes.append(Note("header_name", "chargeBoxIdentity", str(block.tag)))
            key, text = _IDENTITY, _text(block)
        elif namespace == WSA and local in _TEXTS:
            key, text = local, _text(block)
        elif namespace == WSA and local in _REFERENCES:
            address = _child(block, _ADDRESS)
            key, text = local, "" if address is None else _text(address)
        else:
            if block.get(MUST_UNDERSTAND, "").strip() in _TRUE:
                unknown.append((namespace, local))
            continue
        if texts.setdefault(key, text) != text:
            envelope.broken(RpcViolation(f"The header {local} is given twice."))
        if len(text) > LONGEST or not text.isprintable():
            envelope.broken(RpcViolation(f"The header {local} cannot be read."))
            texts[key] = ""
    envelope.identity = texts.get(_IDENTITY, "")
    envelope.action = texts.get("Action", "")
    envelope.message_id = texts.get("MessageID", "")
    envelope.sender = texts.get("From", "")
    envelope.to = texts.get("To", "")
    envelope.relates_to = texts.get("RelatesTo", "")
    envelope.reply_to = texts.get("ReplyTo", "")
    if unknown:
        envelope.broken(NotUnderstood(tuple(unknown)))


def _split(tag: str) -> tuple[str, str]:
    """Namespace ("" for none) and local name, without making an `etree.QName`."""
    namespace, _, local = tag.rpartition("}")
    return namespace[1:], local


def _child(element: etree._Element, tag: str) -> etree._Element | None:
    """The first child of that name; `find` reads a path language for it."""
    return next(element.iterchildren(tag), None)


def _text(element: etree._Element) -> str:
    """The text of a header; toolkits pretty-print line ends into it."""
    return (element.text or "").strip()


def check_request(envelope: Envelope) -> None:
    """Hold a request's envelope to S3; what is broken is kept in `envelope.error`."""
    if envelope.reply_to not in ("", ANONYMOUS):
        # S3: answers travel in the HTTP response, so ReplyTo is anonymous.
        envelope.broken(RpcViolation("ReplyTo must be the anonymous address."))
    asked = envelope.body_action
    if envelope.body is not None and envelope.action:
        named = envelope.action.rpartition("/")[2]
        if named != asked:
            envelope.broken(RpcViolation("Action does not fit the body element."))
        elif envelope.action != f"/{asked}":
            envelope.notes.append(Note("action_form", "Action", envelope.action))
    for name, text in (
        ("Action", envelope.action),
        ("MessageID", envelope.message_id),
        ("From", envelope.sender),
        ("To", envelope.to),
    ):
        if not text:
            envelope.notes.append(Note("missing_header", name, ""))


def check_strictly(envelope: Envelope) -> None:
    """What the tolerant reading only notes is an error of a strict charge point."""
    if envelope.notes:
        note = envelope.notes[0]
        envelope.broken(RpcViolation(f"The header {note.path} is missing or malformed."))


def check_identity(claimed: str, proven: str) -> None:
    """Raise IdentityMismatch unless the message names the one who was told by path or password."""
    if proven and claimed != proven:
        raise IdentityMismatch("chargeBoxIdentity names another charge point than the request.")


def append_answer_headers(header: etree._Element, *, action: str, relates_to: str) -> None:
    """The headers of our answer, as S3 shows them."""
    _append(header, "Action", action, must_understand=True)
    _append(header, "MessageID", f"urn:uuid:{uuid.uuid4()}")
    _append(header, "To", ANONYMOUS, must_understand=True)
    if relates_to:
        _append(header, "RelatesTo", relates_to)


def _append(header: etree._Element, name: str, text: str, *, must_understand: bool = False) -> None:
    block = etree.SubElement(header, f"{{{WSA}}}{name}")
    block.text = text
    if must_understand:
        block.set(MUST_UNDERSTAND, "true")
