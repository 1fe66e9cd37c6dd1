"""Secrets in messages: masked in whatever is stored or shown (WP A01.FR.09).

ChangeConfiguration carries a key and its value, the answer to GetConfiguration many of them; some
charge points tell their passwords there. The location of a file carries the password of its server:
`ftp://user:password@host/`, that of one of ours its signature: `/files/firmware/…/signature/name`.
What is masked is the value of each key whose name looks like that of a secret (`AuthorizationKey`,
`StationPassword`, `SimPIN`), and the password of each URL, wherever it stands.
"""

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import unquote

MASK = "•••"
"""Stands in the place of a secret."""

CARRIERS = frozenset({"ChangeConfiguration", "GetConfiguration"})
"""The actions that carry configuration keys and their values."""

LOCATIONS = frozenset({"location", "remoteLocation"})
"""The fields that hold nothing but a URL, or what a charge point takes for one."""

SHORTEST = 4
"""Characters; shorter secrets are no words that could be found again in a text."""

_ANYWHERE = re.compile(r"passw|passphrase|secret|authorizationkey|privatekey|credential", re.I)
_WORDS = frozenset({"key", "pass", "pin", "psk", "puk", "pwd", "token"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_JSON_VALUE = re.compile(r'("value"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[^",}\]\s]+)')
_XML_TAG = re.compile(r"<(/?)(?:[\w.-]+:)?(configurationKey|key|value)\b[^<>]*>")

# RFC 3986 3.2: a password ends at the last @ of the authority, and that at the first / ? or #.
# People also write passwords with these in them, for which a port is not taken.
_URL = re.compile(
    r'(:\\?/\\?/[^\s/?#@:"<>\\]*:)'
    r'([^\s/?#"<>]*|(?!\d{1,5}\\?[/?#])[^\s"<>]{0,128})(?=@)'
)
# csms/services/locations.py
_OURS = re.compile(
    r"(/files\\?/(?:firmware|uploads)\\?/[\w.-]{1,80}\\?/)([\w-]{16,80})(?![\w-])", re.ASCII
)
_LOCATION = re.compile(
    r"\A((?:[^/?#@:]*://)?[^/?#@:]*:)([^/?#]*|(?!//|\d{1,5}[/?#]).*)(?=@)", re.DOTALL
)


def is_secret(key: str) -> bool:
    """Whether the name of a configuration key looks like that of a secret."""
    return bool(_ANYWHERE.search(key)) or any(word.lower() in _WORDS for word in _WORD.findall(key))


# ------------------------------------------------------------------------- plain values


def masked(plain: Any) -> Any:
    """Plain values (dicts, lists, …) of a request or reply, without the secrets in them."""
    if isinstance(plain, dict):
        secret = is_secret(str(plain.get("key", "")))
        return {
            name: MASK if secret and name == "value" and value else _masked_field(name, value)
            for name, value in plain.items()
        }
    if isinstance(plain, list | tuple):
        return [masked(item) for item in plain]
    return _without_passwords(plain) if isinstance(plain, str) else plain


def _without_passwords(text: str) -> str:
    return _OURS.sub(rf"\1{MASK}", _URL.sub(rf"\1{MASK}", text))


def _masked_field(name: str, value: Any) -> Any:
    if name in LOCATIONS and isinstance(value, str):
        return _OURS.sub(rf"\1{MASK}", _LOCATION.sub(rf"\1{MASK}", value))
    return masked(value)


def secrets_of(plain: Any, name: str = "") -> frozenset[str]:
    """What `masked` takes out of plain values."""
    return frozenset(text for text in _secrets(plain, name) if text)


def _secrets(plain: Any, name: str) -> Iterator[str]:
    if isinstance(plain, dict):
        secret = is_secret(str(plain.get("key", "")))
        for field, value in plain.items():
            if secret and field == "value":
                yield str(value)
            else:
                yield from _secrets(value, field)
    elif isinstance(plain, list | tuple):
        for item in plain:
            yield from _secrets(item, "")
    elif isinstance(plain, str):
        pattern = _LOCATION if name in LOCATIONS else _URL
        for found in (pattern, _OURS):
            yield from (match[2] for match in found.finditer(plain))


def holds_mask(plain: Any) -> bool:
    """Whether a secret of these plain values was masked."""
    if isinstance(plain, dict):
        return any(holds_mask(value) for value in plain.values())
    if isinstance(plain, list | tuple):
        return any(holds_mask(item) for item in plain)
    return isinstance(plain, str) and MASK in plain


# ------------------------------------------------------------------- frames and envelopes


def without(text: str, secrets: frozenset[str]) -> str:
    """A text without these secrets, however JSON, XML or a URL writes them."""
    forms = {
        form
        for secret in secrets
        if len(secret) >= SHORTEST
        for plain in (secret, unquote(secret))
        for form in (plain, json.dumps(plain)[1:-1], escape(plain), escape(plain, quote=False))
    }
    for form in sorted(forms, key=len, reverse=True):
        if form in text:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text)
    return text


def masked_text(text: str) -> str:
    """A frame or an envelope as text, without the secrets in it; unchanged when it has none.

    Of a text that mentions a configuration key and cannot be read every value is masked.
    """
    keys = "value" in text and is_secret(text)
    return _masked_text(text, keys) if keys else masked_urls(text)


def masked_urls(text: str) -> str:
    """A text without the passwords of the URLs in it. Costs nothing where there are none."""
    if "@" not in text and "\\u0040" not in text and "/files" not in text:
        return text
    return _masked_text(text, keys=False)


def _masked_text(text: str, keys: bool) -> str:
    if text.lstrip().startswith("<"):
        return _without_passwords(_masked_xml(text) if keys else text)
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        if keys:
            text = _JSON_VALUE.sub(rf'\1"{MASK}"', text)
        return _without_passwords(text)
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
