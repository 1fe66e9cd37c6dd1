"""The envelope around a message: WS-Addressing headers, chargeBoxIdentity, the one body element.

S3: "SOAP 1.2 […] WS-Addressing"; header blocks are known by their namespace, never by their
prefix. Reading never fails: what is wrong is kept in `Envelope.error`, so that the identity can
be checked and the message be logged before the error is answered.
"""

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

_TEXTS = {f"{{{WSA}}}{name}": name for name in ("Action", "MessageID", "To", "RelatesTo")}
_REFERENCES = {f"{{{WSA}}}{name}": name for name in ("From", "ReplyTo", "FaultTo")}
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
    body_name: str = ""
    """Its local name: `bootNotificationRequest`."""
    body_action: str = ""
    """The action that it asks for, "" when it is no request."""
    error: ProtocolError | None = None
    """The first rule that was broken."""
    notes: list[Note] = field(default_factory=list)
    """Deviations that the tolerant reading accepts."""

    def broken(self, error: ProtocolError) -> None:
        """Keep the first error."""
        if self.error is None:
            self.error = error


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
    header_tag = HEADER if namespace == SOAP else f"{{{namespace}}}Header"
    body_tag = BODY if namespace == SOAP else f"{{{namespace}}}Body"
    header, bodies = None, []
    for child in root:
        if child.tag == body_tag:
            bodies.append(child)
        elif child.tag == header_tag and header is None:
            header = child
    if header is not None:
        _read_header(envelope, header, service)
    children = list(bodies[0]) if len(bodies) == 1 else []
    if len(children) == 1:
        envelope.body = children[0]
        name = envelope.body_name = _split(children[0].tag)[1]
        asked = name.removesuffix("Request")
        envelope.body_action = asked[:1].upper() + asked[1:] if asked != name else ""
    else:
        envelope.broken(RpcViolation("The envelope must hold one body with one element."))
    return envelope


def _read_header(envelope: Envelope, header: etree._Element, service: str) -> None:
    texts: dict[str, str] = {}
    unknown: list[tuple[str, str]] = []
    for block in header:
        tag = block.tag
        if (key := _TEXTS.get(tag, "")) != "":
            text = _text(block)
        elif (key := _REFERENCES.get(tag, "")) != "":
            text = next((_text(each) for each in block if each.tag == _ADDRESS), "")
        else:
            namespace, local = _split(tag)
            if local.casefold() != _IDENTITY:
                if block.get(MUST_UNDERSTAND, "").strip() in _TRUE:
                    unknown.append((namespace, local))
                continue
            # N22: the name of chargeBoxIdentity is case-insensitive.
            if namespace != service or local != "chargeBoxIdentity":
                envelope.notes.append(Note("header_name", "chargeBoxIdentity", str(tag)))
            key, text = _IDENTITY, _text(block)
        if texts.setdefault(key, text) != text:
            envelope.broken(RpcViolation(f"The header {_split(tag)[1]} is given twice."))
        if len(text) > LONGEST or not text.isprintable():
            envelope.broken(RpcViolation(f"The header {_split(tag)[1]} cannot be read."))
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
