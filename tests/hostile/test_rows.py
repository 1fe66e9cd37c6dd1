"""Each row of the table of hostile input has a test."""

import re
from pathlib import Path

import pytest

from tests.hostile.rows import HERE, ROWS

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
_MARKED = re.compile(r'^@row\("([^"]+)"\)\n(?:@.*\n|    .*\n|\)\n)*def test_', re.MULTILINE)


def marked() -> set[str]:
    """The rows that the tests of this folder name."""
    sources = (path.read_text("utf-8") for path in FOLDER.glob("test_*.py"))
    return {name for source in sources for name in _MARKED.findall(source)}


@pytest.mark.parametrize("name", [name for name, place in ROWS.items() if place == HERE])
def test_a_row_of_this_folder_has_a_test(name: str) -> None:
    assert name in marked()


@pytest.mark.parametrize("name", [name for name, place in ROWS.items() if place != HERE])
def test_a_row_of_another_folder_has_a_test(name: str) -> None:
    file, _, test = ROWS[name].partition("::")
    assert f"def {test or 'test_'}" in (ROOT / file).read_text("utf-8")
