"""What no text of a message may hold, in either direction."""

import re

from csms.ocpp.errors import FormationViolation

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_text(text: str, path: str) -> None:
    """Refuse control characters (tab and line ends are fine) and lone surrogates.

    XML cannot carry them, PostgreSQL refuses NUL and SQLite fails on surrogates.
    """
    if text.isprintable():
        return
    if _CONTROL.search(text):
        raise FormationViolation("A text holds a control character.", path=path)
    if _SURROGATE.search(text):
        raise FormationViolation("A text holds half a surrogate pair.", path=path)
