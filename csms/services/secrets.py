"""Secrets in configuration keys: masked in whatever is stored or shown (WP A01.FR.09).

ChangeConfiguration carries a key and its value, the answer to GetConfiguration many of them; some
charge points tell their passwords there. What is masked is the value of each key whose name looks
like one: `AuthorizationKey`, `StationPassword`, `SimPIN`.
"""

import json
import re
from typing import Any

MASK = "•••"
"""Stands in the place of a secret."""

CARRIERS = frozenset({"ChangeConfiguration", "GetConfiguration"})
"""The actions that carry configuration keys and their values."""

_ANYWHERE = re.compile(r"passw|passphrase|secret|authorizationkey|privatekey|credential", re.I)
_WORDS = frozenset({"key", "pass", "pin", "psk", "puk", "pwd", "token"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_JSON_VALUE = re.compile(r'("value"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[^",}\]\s]+)')
_XML_TAG = re.compile(r"<(/?)(?:[\w.-]+:)?(configurationKey|key|value)\b[^<>]*>")


def is_secret(key: str) -> bool:
    """Whether the name of a configuration key looks like that of a secret."""
    return bool(_ANYWHERE.search(key)) or any(word.lower() in _WORDS for word in _WORD.findall(key))


def masked(plain: Any) -> Any:
    """Plain values (dicts, lists, …) of a request or reply, without the secrets in them."""
    if isinstance(plain, dict):
        secret = is_secret(str(plain.get("key", "")))
        return {
            name: MASK if secret and name == "value" and value else masked(value)
            for name, value in plain.items()
        }
    return [masked(item) for item in plain] if isinstance(plain, list | tuple) else plain


def masked_text(text: str) -> str:
    """A frame or an envelope as text, without the secrets in it; unchanged when it has none.

    Of a text that mentions a configuration key and cannot be read every value is masked.
    """
    if "value" not in text or not is_secret(text):
        return text
    if text.lstrip().startswith("<"):
        return _masked_xml(text)
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return _JSON_VALUE.sub(rf'\1"{MASK}"', text)
    cleaned = masked(frame)
    if cleaned == frame:
        return text
    written = json.dumps(cleaned, ensure_ascii=False, separators=(",", ":"))
    return written.encode("utf-8", "replace").decode()  # no database keeps a lone surrogate


def _masked_xml(text: str) -> str:
    """One pass over the tags: a configurationKey (or the whole request) has one key, one value."""
    spans: list[tuple[int, int]] = []
    key, begun = "", 0
    value: tuple[int, int] | None = None
    for tag in _XML_TAG.finditer(text):
        closing, name = tag[1] == "/", tag[2]
        if name == "configurationKey":
            if value is not None and is_secret(key):
                spans.append(value)
            key, value = "", None
        elif not closing:
            begun = tag.end()
        elif name == "key":
            key = text[begun : tag.start()]
        else:
            value = (begun, tag.start())
    if value is not None and is_secret(key):
        spans.append(value)
    for start, end in reversed(spans):
        text = f"{text[:start]}{MASK}{text[end:]}"
    return text
