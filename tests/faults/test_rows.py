"""Every row of the list of faults is shown by tests that exist and bear its name."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import tests.faults

TESTS = Path(__file__).resolve().parent.parent
ROWS = [f"F{number}" for number in range(1, 23)]
ONE_TRANSPORT = {"F10": "J", "F11": "J", "F12": "J", "F13": "J", "F14": "J", "F17": "S"}
ONE_DATABASE = {"F14": "p", "F18": "s"}
_LINE = re.compile(r"(F\d+) +.{41} (J|S|JS) +(sp|s|p) ")


class Row(NamedTuple):
    """A row as the table has it."""

    over: str
    on: str
    tests: list[str]


def table() -> dict[str, Row]:
    """The rows of the table by their name."""
    found: dict[str, Row] = {}
    row = Row("", "", [])
    for line in (tests.faults.__doc__ or "").splitlines():
        if begins := _LINE.match(f"{line} "):
            row = found.setdefault(begins[1], Row(begins[2], begins[3], []))
        if named := re.search(r"\S+\.py::\S+", line):
            row.tests.append(named[0])
    return found


def test_every_row_is_there() -> None:
    assert list(table()) == ROWS


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_shown_where_it_matters(name: str) -> None:
    """Over both transports and on both databases, but for those that know only one of them."""
    row = table()[name]
    assert row.over == ONE_TRANSPORT.get(name, "JS")
    assert row.on == ONE_DATABASE.get(name, "sp")


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_a_test_of_its_name(name: str) -> None:
    """All tests that are listed exist."""
    listed = table()[name].tests
    assert [test for test in listed if not _exists(test)] == []
    assert any(f"_{name.lower()}_" in test for test in listed), listed


def _exists(listed: str) -> bool:
    file, _, function = listed.partition("::")
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
        for node in ast.walk(ast.parse((TESTS / file).read_text("utf-8")))
    )
