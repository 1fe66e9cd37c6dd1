"""Which version an image holds: a charge point knows it from the file, not from the request."""

import re
from urllib.parse import unquote, urlsplit

LOOKED_AT = 4096
"""Bytes at the beginning of an image in which it may name its version."""
_INSIDE = re.compile(rb"(?i)firmware[ _-]?version\s*[:=]\s*([!-~]{1,50})")
_IN_NAME = re.compile(r"\d+(?:\.\d+)+")
_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")


def version_of(content: bytes | None, location: str, before: str) -> str:
    """The version that an image brings: as it says itself (`firmwareVersion: 2.0.0`), else as its
    name does (`wallbox-2.0.0.bin`), else the one after `before`."""
    inside = _INSIDE.search((content or b"")[:LOOKED_AT])
    if inside is not None:
        return inside[1].decode()
    named = _IN_NAME.search(unquote(urlsplit(location).path).rpartition("/")[2])
    if named is not None:
        return named[0][:50]
    number = _LAST_NUMBER.search(before)
    if number is None:
        return f"{before}.1"[-50:]
    return f"{before[: number.start()]}{int(number[0]) + 1}{before[number.end() :]}"
