"""Each row of the table of hostile input has a test."""

import re
from pathlib import Path

import pytest

from tests.hostile.rows import ROWS

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
_MARKED = re.compile(r'^@row\("([^"]+)"\)\n(?:@.*\n|    .*\n|\)\n)*def test_', re.MULTILINE)


def marked() -> set[str]:
    """The rows that the tests of this folder name."""
    sources = (path.read_text("utf-8") for path in FOLDER.glob("test_*.py"))
    return {name for source in sources for name in _MARKED.findall(source)}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_a_test(name: str) -> None:
    """One of this folder that is marked with it, or those of others that it names."""
    assert ROWS[name] or name in marked()
    for place in ROWS[name]:
        file, _, test = place.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text("utf-8"), place
