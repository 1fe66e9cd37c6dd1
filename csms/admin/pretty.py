"""Frames and envelopes, indented for reading. The result is plain text: the page escapes it."""

import json
import re

from lxml import etree

LIMIT = 200_000
"""Characters that are shown at most; the log holds the whole text."""

_JSON_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def pretty(text: str) -> str:
    """JSON or XML indented; anything else, and anything odd, as it came."""
    if len(text) > LIMIT:
        return f"{text[:LIMIT]}\n… {len(text) - LIMIT:,} more characters are in the log"
    start = text.lstrip()[:1]
    if start in ("[", "{"):
        return _json(text)
    if start == "<":
        return _xml(text)
    return text


def _json(text: str) -> str:
    """Indented piece by piece: numbers, escapes and repeated keys stay as they were sent."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    lines = [""]
    depth = 0
    before = ""
    for piece in _JSON_PIECE.findall(text):
        if piece in "]}":
            depth -= 1
            if before not in ("[", "{"):
                lines.append("  " * depth)
        elif before in ("[", "{", ","):
            lines.append("  " * depth)
        lines[-1] += ": " if piece == ":" else piece
        if piece in "[{":
            depth += 1
        before = piece
    return "\n".join(lines)


def _xml(text: str) -> str:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return text
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_blank_text=True
    )
    try:
        root = etree.fromstring(_XML_DECLARATION.sub("", text).encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return text
    return str(etree.tostring(root, pretty_print=True, encoding="unicode"))
