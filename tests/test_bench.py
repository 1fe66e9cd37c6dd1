"""Each benchmark works; nothing is timed here."""

from dataclasses import replace
from typing import NoReturn

import pytest

from bench import node, report, scenarios
from bench.children import workshop
from bench.figures import Line, Result
from bench.scale import TINY

pytestmark = [pytest.mark.slow, pytest.mark.sqlite]


@pytest.mark.parametrize("name", [name for name in scenarios.ALL if name != "json"])
def test_each_scenario_runs(name: str) -> None:
    with workshop() as shop:
        result = scenarios.ALL[name](shop, TINY)
    assert not shop.folder.exists()
    assert result.lines
    assert result.title in report.as_text(result)


def test_the_json_scenario_runs_without_postgresql_and_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> NoReturn:
        raise node.Missing("Node is not installed.")

    monkeypatch.setattr(scenarios, "on_postgresql", lambda *_: [])
    monkeypatch.setattr(node, "program", missing)
    with workshop() as shop:
        result = scenarios.ALL["json"](shop, replace(TINY, rounds=2))
    assert [line.passed is None for line in result.lines] == [False, True, True, True, True]
    assert result.lines[3].value == "left out: Node is not installed."


def test_a_missed_requirement_is_named() -> None:
    lines = [
        Line("fast", "20 /s", 2.1, "peer", required=2.0),
        Line("slow", "10 /s", 1.9, "peer", required=2.0),
        Line("small", "9 KiB", 9.0, "KiB", required=30.0, at_most=True),
        Line("large", "31 KiB", 31.0, "KiB", required=30.0, at_most=True),
        Line("told", "1 /s"),
    ]
    missed = report.missed([Result("Title", "", lines)])
    assert [text.split(": ")[1] for text in missed] == ["slow", "large"]


def test_the_document_has_its_place_for_figures() -> None:
    text = report.DOCUMENT.read_text("utf-8")
    assert text.count(report.BEGIN) == text.count(report.END) == 1
    assert "| Processor |" in text
