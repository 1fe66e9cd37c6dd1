"""What is refused wherever it stands, in either direction: no charger sends it by mistake."""

import re
from typing import Any

from csms.ocpp.errors import FormationViolation, PropertyConstraintViolation

DEEPEST = 32
"""How deeply a payload may be nested; OCPP 1.6 needs five levels."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_REFUSED = re.compile(f"{_CONTROL.pattern}|{_SURROGATE.pattern}")


def check_text(text: str, path: str) -> None:
    """Refuse control characters (tab and line ends are fine), U+FFFE and U+FFFF, lone surrogates.

    XML cannot carry them, PostgreSQL refuses NUL and SQLite fails on surrogates.
    """
    if text.isprintable():
        return
    if _CONTROL.search(text):
        raise FormationViolation("A text holds a control character.", path=path)
    if _SURROGATE.search(text):
        raise FormationViolation("A text holds half a surrogate pair.", path=path)


def check_plain(plain: Any) -> None:
    """Refuse what `check_text` refuses, NaN, infinities, giant numbers and deep nesting, in
    dicts, lists and their leaves; in fields that are not declared, too."""
    level = [plain]
    for _ in range(DEEPEST + 1):
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, str):
                if not value.isprintable() and _REFUSED.search(value):
                    _blame(plain)
            elif isinstance(value, dict):
                deeper += value
                deeper += value.values()
            elif isinstance(value, list | tuple):
                deeper += value
            elif isinstance(value, int | float) and not -1e100 < value < 1e100:
                _blame(plain)
        level = deeper
    if level:
        _blame(plain)


def _blame(plain: Any) -> None:
    """Raise the error of the value that is refused, with its path: slower than to see that there
    may be one."""
    todo: list[tuple[Any, str, int]] = [(plain, "", 0)]
    while todo:
        value, path, depth = todo.pop()
        if isinstance(value, str):
            check_text(value, path)
        elif isinstance(value, int | float):
            if not -1e100 < value < 1e100:
                raise PropertyConstraintViolation("A number is out of range.", path=path)
        elif isinstance(value, dict | list | tuple):
            if depth == DEEPEST:
                raise FormationViolation("The message is nested too deeply.")
            if isinstance(value, dict):
                todo += ((key, path, depth) for key in value)
                todo += ((v, below(path, key), depth + 1) for key, v in value.items())
            else:
                todo += ((v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value))


def below(path: str, name: str) -> str:
    """The path of a field of what stands at `path`."""
    return f"{path}.{name}" if path else name
