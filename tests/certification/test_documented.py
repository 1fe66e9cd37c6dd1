"""docs/certification.md names the tests of this folder, no others, and every case there is."""

import re
from pathlib import Path

HERE = Path(__file__).parent
TEST = re.compile(r"^def (test_tc_\w+)", re.MULTILINE)
NAMED = re.compile(r"`(test_tc_\w+)`")
PAGE = HERE.parent.parent / "docs" / "certification.md"

CASES = {
    "Core": "001 003 004_1 004_2 005_1 007 010 011_1 011_2 012 013 014 017_1 017_2 018_1 019_1 "
    "019_2 021 023_1 023_2 023_3 024 026 028 030 031 032_1 037_1 037_3 039 040_1 040_2 061 064",
    "Local authorization list": "042_1 042_2 043_1 043_3 043_4 043_5",
    "Firmware and diagnostics": "044_1 044_2 044_3 045_1 045_2",
    "Reservation": "046 047 048_1 048_2 048_3 048_4 049 051 052 053",
    "Remote trigger": "054 055",
    "Smart charging": "056 057 059 066 067",
    "Security (JSON only)": "073 074 075_1 075_2 076 077 078 079 080 081 083 085 086 087 088",
}
"""The 77 cases for a central system, by their numbers."""


def found_in(path: Path) -> set[str]:
    return set(TEST.findall(path.read_text("utf-8")))


def rows() -> dict[str, dict[str, str]]:
    """Each chapter of the page: its cases, and what the row says of each."""
    found: dict[str, dict[str, str]] = {}
    for chapter in PAGE.read_text("utf-8").split("\n## ")[1:]:
        lines = re.findall(r"^\| (\d{3}(?:_\d)?) \|(.*)\|$", chapter, re.MULTILINE)
        found[chapter.partition("\n")[0]] = dict(lines)
        assert len(lines) == len(dict(lines)), "each case has one row"
    return found


def test_each_test_is_documented() -> None:
    tests = {name for path in HERE.glob("test_*.py") for name in found_in(path)}
    assert set(NAMED.findall(PAGE.read_text("utf-8"))) == tests


def test_all_77_cases_are_accounted_for() -> None:
    assert {chapter: " ".join(cases) for chapter, cases in rows().items()} == CASES
    assert sum(len(cases.split()) for cases in CASES.values()) == 77


def test_each_case_is_shown_by_the_test_of_its_number() -> None:
    """Of the security cases some are shown by other tests, which their rows name."""
    for chapter, cases in rows().items():
        for number, said in cases.items():
            tests = NAMED.findall(said)
            if tests:
                (name,) = tests
                assert name.startswith(f"test_tc_{number.partition('_')[0]}"), number
                assert "passes" in said
            else:
                assert chapter.startswith("Security"), number
                assert re.search(r"shown by `tests/\w+/", said), number


def test_all_but_the_security_cases_are_tested_over_both_transports() -> None:
    """The fixture `case` is one of each transport."""
    for path in HERE.glob("test_*.py"):
        if path.name != "test_security.py":
            over_both = re.findall(r'^def (test_tc_\w+)\(case: "Case"\)', path.read_text(), re.M)
            assert set(over_both) == found_in(path), path.name
