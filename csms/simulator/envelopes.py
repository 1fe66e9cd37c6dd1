"""OCPP-S 1.6 envelopes, made and read by a simulated charge point.

SOAP 1.2 with WS-Addressing 1.0. Requests to the central system and its answers are in the Cs
namespace, its requests to the charge point and their answers in the Cp namespace (OCPP-S 1.6 §3).
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from lxml import etree
from msgspec import inspect

from csms.ocpp.base import Payload

ENV = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
CS = "urn://Ocpp/Cs/2015/10/"
CP = "urn://Ocpp/Cp/2015/10/"
ANONYMOUS = f"{WSA}/anonymous"
CONTENT_TYPE = "application/soap+xml; charset=utf-8"

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)


class BadEnvelope(Exception):
    """This is no envelope of OCPP-S 1.6."""


class Fault(Exception):
    """The answer is a Fault; `subcode` is its local name."""

    def __init__(self, subcode: str, reason: str) -> None:
        super().__init__(f"{subcode}: {reason}")
        self.subcode = subcode
        self.reason = reason


class Envelope(NamedTuple):
    """What stood in an envelope: its headers by local name, and the one element of its body."""

    headers: Mapping[str, str]
    body: etree._Element

    @property
    def name(self) -> str:
        """The local name of the body's element."""
        return etree.QName(self.body).localname


def element_name(action: str, kind: str) -> str:
    """`bootNotificationRequest` (all element names of the WSDL are formed so)."""
    return f"{action[0].lower()}{action[1:]}{kind}"


# --- making


def request(
    action: str,
    payload: Payload,
    *,
    identity: str,
    message_id: str,
    to: str,
    sender: str,
    namespace: str = CS,
) -> bytes:
    """A request; `sender` is the address at which this charge point can be called (wsa:From)."""
    root, header, body = _envelope(namespace)
    _understood(header, f"{{{namespace}}}chargeBoxIdentity", identity)
    _text(header, f"{{{WSA}}}MessageID", message_id)
    _text(etree.SubElement(header, f"{{{WSA}}}From"), f"{{{WSA}}}Address", sender)
    _understood(header, f"{{{WSA}}}To", to)
    reply_to = etree.SubElement(header, f"{{{WSA}}}ReplyTo", {f"{{{ENV}}}mustUnderstand": "true"})
    _text(reply_to, f"{{{WSA}}}Address", ANONYMOUS)
    _understood(header, f"{{{WSA}}}Action", f"/{action}")
    _payload(body, element_name(action, "Request"), payload, namespace)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def response(
    action: str, payload: Payload, *, relates_to: str, identity: str, namespace: str = CP
) -> bytes:
    """An answer."""
    root, header, body = _envelope(namespace)
    _text(header, f"{{{namespace}}}chargeBoxIdentity", identity)
    _answer_headers(header, f"/{action}Response", relates_to)
    _payload(body, element_name(action, "Response"), payload, namespace)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def fault(
    subcode: str, reason: str, *, relates_to: str, sender: bool = True, namespace: str = CP
) -> bytes:
    """A Fault with a sub-code of OCPP-S 1.6 §4."""
    root, header, body = _envelope(namespace)
    _answer_headers(header, f"{WSA}/fault", relates_to)
    element = etree.SubElement(body, f"{{{ENV}}}Fault")
    code = etree.SubElement(element, f"{{{ENV}}}Code")
    _text(code, f"{{{ENV}}}Value", "env:Sender" if sender else "env:Receiver")
    _text(etree.SubElement(code, f"{{{ENV}}}Subcode"), f"{{{ENV}}}Value", f"ocpp:{subcode}")
    text = etree.SubElement(etree.SubElement(element, f"{{{ENV}}}Reason"), f"{{{ENV}}}Text")
    text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
    text.text = reason
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _envelope(namespace: str) -> tuple[etree._Element, etree._Element, etree._Element]:
    nsmap = {"env": ENV, "wsa": WSA, "ocpp": namespace}
    root = etree.Element(f"{{{ENV}}}Envelope", nsmap=nsmap)
    header = etree.SubElement(root, f"{{{ENV}}}Header")
    return root, header, etree.SubElement(root, f"{{{ENV}}}Body")


def _answer_headers(header: etree._Element, action: str, relates_to: str) -> None:
    _text(header, f"{{{WSA}}}MessageID", f"urn:uuid:{uuid4()}")
    _text(header, f"{{{WSA}}}To", ANONYMOUS)
    _text(header, f"{{{WSA}}}Action", action)
    if relates_to:
        _text(header, f"{{{WSA}}}RelatesTo", relates_to)


def _text(parent: etree._Element, tag: str, text: str) -> etree._Element:
    element = etree.SubElement(parent, tag)
    element.text = text
    return element


def _understood(parent: etree._Element, tag: str, text: str) -> None:
    _text(parent, tag, text).set(f"{{{ENV}}}mustUnderstand", "true")


def _payload(body: etree._Element, name: str, payload: Payload, namespace: str) -> None:
    plain = msgspec.to_builtins(payload, builtin_types=(datetime, Decimal))
    _fill(etree.SubElement(body, f"{{{namespace}}}{name}"), plain, namespace)


def _fill(parent: etree._Element, plain: dict[str, Any], namespace: str) -> None:
    """Fields in the order of their declaration; a list is its element, repeated."""
    for name, value in plain.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            element = etree.SubElement(parent, f"{{{namespace}}}{name}")
            if isinstance(item, dict):
                _fill(element, item, namespace)
            else:
                element.text = _lexical(item)


def _lexical(value: Any) -> str:
    """The form of XML Schema."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


# --- reading


def read(content: bytes) -> Envelope:
    """What an envelope holds; raises BadEnvelope, or Fault when it holds one."""
    try:
        root = etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError as error:
        raise BadEnvelope(f"not well-formed: {error}") from error
    body = root.find(f"{{{ENV}}}Body")
    if root.tag != f"{{{ENV}}}Envelope" or body is None or len(body) != 1:
        raise BadEnvelope("there is no SOAP 1.2 body with one element")
    header = root.find(f"{{{ENV}}}Header")
    headers = {}
    for element in header if header is not None else ():
        address = element.find(f"{{{WSA}}}Address")
        text = element.text if address is None else address.text
        headers[etree.QName(element).localname] = (text or "").strip()
    if body[0].tag == f"{{{ENV}}}Fault":
        subcode = body[0].findtext(f"{{{ENV}}}Code/{{{ENV}}}Subcode/{{{ENV}}}Value") or "none"
        reason = body[0].findtext(f"{{{ENV}}}Reason/{{{ENV}}}Text") or ""
        raise Fault(subcode.rpartition(":")[2], reason)
    return Envelope(headers, body[0])


def payload_of(element: etree._Element, declaration: type[Payload], namespace: str) -> Payload:
    """The body as its declaration; raises BadEnvelope."""
    described = inspect.type_info(declaration)
    assert isinstance(described, inspect.StructType)
    try:
        plain = _plain(element, described, namespace)
        return msgspec.convert(plain, declaration, strict=False)
    except msgspec.ValidationError as error:
        raise BadEnvelope(str(error)) from error


def _plain(
    element: etree._Element, described: inspect.StructType, namespace: str
) -> dict[str, Any]:
    """Plain values under their wire names; order, namespace and number of elements are checked."""
    order = {field.encode_name: place for place, field in enumerate(described.fields)}
    plain: dict[str, Any] = {}
    last = 0
    for child in element:
        name = etree.QName(child)
        if name.namespace != namespace or name.localname not in order:
            raise BadEnvelope(f"{child.tag} does not belong into {element.tag}")
        place = order[name.localname]
        if place < last:
            raise BadEnvelope(f"{name.localname} is out of order")
        last = place
        kind = described.fields[place].type
        if isinstance(kind, inspect.VarTupleType):
            plain.setdefault(name.localname, []).append(_value(child, kind.item_type, namespace))
        elif name.localname in plain:
            raise BadEnvelope(f"{name.localname} is repeated")
        else:
            plain[name.localname] = _value(child, kind, namespace)
    return plain


def _value(element: etree._Element, kind: inspect.Type, namespace: str) -> Any:
    if isinstance(kind, inspect.StructType):
        return _plain(element, kind, namespace)
    text = element.text or ""
    return text if isinstance(kind, inspect.StrType) else text.strip()
