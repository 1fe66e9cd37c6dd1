"""The results as a table for people, on the terminal and in docs/performance.md."""

from collections.abc import Sequence
from pathlib import Path

from bench.figures import Line, Result

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `make bench ARGS=--write-docs` -->", "<!-- end -->"


def _ratio(line: Line) -> str:
    if line.ratio is None:
        return ""
    return (
        f"{line.ratio:.1f} {line.against}" if line.at_most else f"{line.ratio:.2f} × {line.against}"
    )


def _required(line: Line) -> str:
    if line.required is None:
        return ""
    verdict = "met" if line.passed else "missed"
    return f"{'≤' if line.at_most else '≥'} {line.required:g}: {verdict}"


def cells(line: Line) -> tuple[str, str, str, str]:
    return line.what, line.value, _ratio(line), _required(line)


def as_text(result: Result) -> str:
    """One scenario for the terminal."""
    rows = [cells(line) for line in result.lines]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([result.title, f"  {result.note}", *lines, ""])


def as_markdown(machine: Sequence[tuple[str, str]], results: Sequence[Result]) -> str:
    """The figures' part of docs/performance.md."""
    parts = ["| Machine | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine)]
    for result in results:
        parts += ["", f"### {result.title}", "", result.note, ""]
        parts += ["| | measured | ratio | required |", "|---|---|---|---|"]
        parts += ["| " + " | ".join(cells(line)) + " |" for line in result.lines]
    return "\n".join(parts)


def write_document(machine: Sequence[tuple[str, str]], results: Sequence[Result]) -> None:
    """Replace the figures in docs/performance.md."""
    before, found, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{DOCUMENT.name} lacks the marks between which the figures stand.")
    figures = as_markdown(machine, results)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}", "utf-8")


def missed(results: Sequence[Result]) -> list[str]:
    """What was required and is not so."""
    return [
        f"{result.title}: {line.what}: {_ratio(line)}, required {_required(line)}"
        for result in results
        for line in result.lines
        if line.passed is False
    ]
