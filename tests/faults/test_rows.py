"""Every row of the list of faults is shown by tests that exist."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import tests.faults

TESTS = Path(__file__).resolve().parent.parent
ROWS = [f"F{number}" for number in range(1, 23)]


def table() -> dict[str, list[str]]:
    """Row → the tests named for it."""
    found: dict[str, list[str]] = defaultdict(list)
    row = ""
    for line in (tests.faults.__doc__ or "").splitlines():
        if begins := re.match(r"(F\d+) ", line):
            row = begins[1]
        if named := re.search(r"\S+\.py::\S+", line):
            found[row].append(named[0])
    return found


def test_every_row_is_shown() -> None:
    assert list(table()) == ROWS


def test_the_tests_that_are_named_exist() -> None:
    missing = []
    for named in (name for names in table().values() for name in names):
        file, _, function = named.partition("::")
        tree = ast.parse((TESTS / file).read_text("utf-8"))
        functions = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        if function not in functions:
            missing.append(named)
    assert missing == []
