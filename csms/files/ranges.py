"""Which part of a file a Range header asks for (RFC 9110 §14)."""

import re

_ONE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


def part_of(header: str, size: int) -> range | None:
    """The bytes that are asked for; None: all of them, as for several parts, units that nobody
    knows, and no header (§14.2: "A server MAY ignore the Range header field"); empty: the file has
    no such part (416)."""
    found = _ONE.fullmatch(header)
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:  # the last so many bytes
        return range(max(0, size - int(found[2])), size)
    first = int(found[1])
    if not found[2]:
        return range(first, size)
    if int(found[2]) < first:
        return None
    return range(first, min(int(found[2]) + 1, size))
