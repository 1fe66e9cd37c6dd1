"""docs/certification.md names the tests of this folder, and no others."""

import re
from pathlib import Path

HERE = Path(__file__).parent
TEST = re.compile(r"^def (test_tc_\w+)", re.MULTILINE)
NAMED = re.compile(r"`(test_tc_\w+)`")


def test_each_case_is_documented() -> None:
    tests = {name for path in HERE.glob("test_*.py") for name in TEST.findall(path.read_text())}
    page = HERE.parent.parent / "docs" / "certification.md"
    assert set(NAMED.findall(page.read_text("utf-8"))) == tests
