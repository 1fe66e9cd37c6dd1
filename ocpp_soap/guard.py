"""What stands in front of the parser: sizes, encodings, compression, DOCTYPE, then one parse.

Everything here is refused with `errors.Refused`, which carries its HTTP status. The limits hold
memory and CPU time linear in what was received (measured without them: 80,000 attributes in
869 KB cost spyne 15 s of CPU time).
"""

import codecs
import re
import zlib
from functools import lru_cache

from lxml import etree

from ocpp_soap import familiar
from ocpp_soap.errors import Refused

MOST_ATTRIBUTES = 64
"""Attributes of one element."""
LONGEST = 1024 * 1024
"""Bytes of an envelope, unless a setting says otherwise."""
BYTES_EACH = 42
"""Elements of an envelope: one in so many bytes of the longest that is taken, which makes 25,000
with the default. A StopTransaction of eight hours has about 20,000."""
BYTES_OF_SAMPLE = 208
"""The same for samples of meter values, which cost most: 5,000, where that has about 3,000."""
MOST_NAMESPACES = 4_096
"""Namespace declarations of one envelope."""
DEEPEST = 32
"""Levels of elements."""
MOST_EXPANSION = 200
"""How many times its size a compressed body may unfold to; up to 64 KiB are always allowed."""
ALWAYS_UNFOLDED = 65_536

_ENCODINGS = {
    "utf-8": "utf-8",
    "ascii": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "iso8859-1": "iso8859-1",
    "iso8859-15": "iso8859-15",
    "cp1252": "cp1252",
}
"""The encodings that are read, by Python's names: nothing that could hide markup from us."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)
_PROLOG = re.compile(r"(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)

_within = etree.XPath(
    f"count(//*) <= $most and not(//@*[{MOST_ATTRIBUTES + 1}]) and not({'/*' * (DEEPEST + 1)})"
)


def declared_size(value: str | None, limit: int) -> int | None:
    """The Content-Length of a request, None when it has none."""
    if value is None:
        return None
    text = value.strip()
    if not (text.isascii() and text.isdecimal()) or len(text) > 15:
        raise Refused("Content-Length is no number.", 400)
    if int(text) > limit:
        raise Refused("The message is too large.", 413)
    return int(text)


def unfold(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding (gzip, or deflate in both its forms; S6.1)."""
    coding = encoding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, 16 + zlib.MAX_WBITS, limit)
    if coding == "deflate":
        # RFC 9110 8.4.1.2: deflate is zlib data; "some non-conformant implementations" send it raw.
        is_zlib = (
            len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        )
        return _inflate(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, limit)
    raise Refused("This Content-Encoding is not supported.", 415)


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    cap = min(limit, max(ALWAYS_UNFOLDED, MOST_EXPANSION * len(body)))
    engine = zlib.decompressobj(window)
    try:
        unfolded = engine.decompress(body, cap + 1)
    except zlib.error:
        raise Refused("The compressed body cannot be unfolded.", 400) from None
    if len(unfolded) > cap:
        raise Refused("The message is too large.", 413)
    if not engine.eof or engine.unused_data:
        raise Refused("The compressed body is cut off or followed by other data.", 400)
    return unfolded


def decode(body: bytes, content_type: str) -> str:
    """The body as text, by byte order mark, charset of the content type, or XML declaration."""
    if not body.strip():
        raise Refused("The body is empty.", 400)
    try:
        text = body.decode(_encoding(body, content_type))
    except UnicodeError:
        raise Refused("The body is not valid in its encoding.", 400) from None
    return text


def _encoding(body: bytes, content_type: str) -> str:
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return encoding
    charset = _charset(content_type)
    if charset is None:
        declared = _DECLARED.match(body)
        charset = declared[1].decode() if declared else _silent(body)
        status = 400
    else:
        status = 415
    try:
        return _ENCODINGS[codecs.lookup(charset).name]
    except (LookupError, ValueError):
        raise Refused("The encoding of the body is not supported.", status) from None


@lru_cache(256)
def _charset(content_type: str) -> str | None:
    """What a content type names; a charge point sends the same again and again."""
    found = _CHARSET.search(content_type)
    return found[1] if found else None


def _silent(body: bytes) -> str:
    """Neither mark nor name: XML is UTF-8 then, but UTF-16 shows by its zero bytes."""
    if body[:2] == b"\0<":
        return "utf-16-be"
    return "utf-16-le" if body[:2] == b"<\0" else "utf-8"


def parse(text: str, limit: int = LONGEST) -> etree._Element:
    """The document's root; `limit` is the length in bytes of the longest. Raises Refused (400)."""
    most = limit // BYTES_EACH
    # Each element begins and ends; each attribute has its sign.
    crowded = text.count("<") > 2 * most or text.count("=") > most
    if crowded or text.count("sampledValue>") > 2 * limit // BYTES_OF_SAMPLE:
        raise Refused("The envelope is too complex.", 400)
    if text.startswith("<!DOCTYPE", _prolog_end(text)):
        # SOAP 1.2 part 1, 5: "A SOAP message MUST NOT contain a Document Type Declaration".
        raise Refused("A SOAP message must not contain a DOCTYPE.", 400)
    if text.count("xmlns") > MOST_NAMESPACES:
        raise Refused("The envelope is too complex.", 400)
    try:
        root = familiar.fromstring(text)
    except (etree.XMLSyntaxError, UnicodeError):
        raise Refused("The body is no well-formed XML.", 400) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Refused("A SOAP message must not contain a DOCTYPE.", 400)
    if not _within(root, most=most):
        raise Refused("The envelope is too complex.", 400)
    return root


def _prolog_end(text: str) -> int:
    found = _PROLOG.match(text)
    return found.end() if found else 0


_SALVAGED = re.compile(
    r"<(?:[\w.-]+:)?(chargeBoxIdentity|Action|MessageID)\b[^<>]{0,200}>([^<]{1,255})<"
)


def salvage(text: str) -> dict[str, str]:
    """What the log can be told of an envelope that is no XML: identity, action, message id."""
    found = {name: value.strip() for name, value in _SALVAGED.findall(text[:8192])}
    return {name: value for name, value in found.items() if value.isprintable()}
