"""Frames and envelopes, indented for reading. The result is plain text: the page escapes it."""

import json

from lxml import etree

LIMIT = 200_000
"""Characters that are shown at most; the log holds the whole text."""


def pretty(text: str) -> str:
    """JSON or XML indented; anything else, and anything odd, as it came."""
    if len(text) > LIMIT:
        return f"{text[:LIMIT]}\n… {len(text) - LIMIT:,} more characters are in the log"
    stripped = text.lstrip()
    if stripped.startswith(("[", "{")):
        return _json(text)
    if stripped.startswith("<"):
        return _xml(stripped)
    return text


def _json(text: str) -> str:
    try:
        return json.dumps(json.loads(text, parse_float=_Kept), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


class _Kept(float):
    """A number that is shown as it was sent: 1.10 is not 1.1."""

    def __new__(cls, text: str) -> "_Kept":
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __repr__(self) -> str:
        return self.text


def _xml(text: str) -> str:
    if "<!" in text[:1000] and "<!--" not in text[:1000]:
        return text
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_blank_text=True
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return text
    return etree.tostring(root, pretty_print=True, encoding="unicode")
