"""The verdicts as a table for people, on the terminal and in docs/reliability.md."""

from collections.abc import Sequence
from pathlib import Path

from tests.faults.runs import Run

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: written by `make faults ARGS=--write-docs` -->", "<!-- end -->"


def _lines(run: Run) -> list[tuple[str, str]]:
    verdict = run.verdict
    repeats = verdict.attempts - verdict.messages
    return [
        ("Chargers", f"{run.size.json} OCPP-J, {run.size.soap} OCPP-S"),
        ("Duration", f"{run.seconds / 60:.0f} min"),
        ("Transaction messages acknowledged", f"{verdict.acknowledged:,}"),
        ("Sent again by the chargers", f"{repeats:,}"),
        ("Transactions", f"{verdict.transactions:,}"),
        ("kill -9 of a server process", f"{run.kills:,}"),
        ("Other faults", f"{sum(run.others.values()):,}"),
        ("**Acknowledged and lost**", str(len(verdict.lost))),
        ("**Duplicated**", str(len(verdict.duplicated))),
        ("**Applied to another charger or transaction**", str(len(verdict.misapplied))),
        ("**Answered with an error**", str(len(verdict.refused))),
        ("**Two owners at one time, late writes**", str(len(verdict.disputed))),
        ("**Not delivered in the end**", str(verdict.undelivered)),
        ("Energy told to the central system", f"{verdict.energy_told / 1000:,.3f} kWh"),
        ("Energy stored", f"{verdict.energy_stored / 1000:,.3f} kWh"),
    ]


def as_text(run: Run) -> str:
    """One run for the terminal."""
    lines = [f"{name.strip('*'):44} {value:>16}" for name, value in _lines(run)]
    others = [f"    {count:4} × {what}" for what, count in sorted(run.others.items())]
    problems = [f"  WRONG  {problem}" for problem in run.problems[:50]]
    left_out = [f"  LEFT OUT  {why}" for why in run.left_out]
    return "\n".join([run.database, *lines, *others, *left_out, *problems, ""])


def as_markdown(machine: Sequence[tuple[str, str]], runs: Sequence[Run]) -> str:
    """The figures' part of docs/reliability.md."""
    columns = [_lines(run) for run in runs]
    parts = ["| | " + " | ".join(run.database for run in runs) + " |"]
    parts.append("|---|" + "---|" * len(runs))
    for cells in zip(*columns, strict=True):
        parts.append(f"| {cells[0][0]} | " + " | ".join(value for _, value in cells) + " |")
    for run in runs:
        parts += ["", f"The other faults on {run.database}:", ""]
        parts += [f"- {count} × {what}" for what, count in sorted(run.others.items())]
    parts += ["", "| Machine | |", "|---|---|", *(f"| {name} | {said} |" for name, said in machine)]
    return "\n".join(parts)


def write_document(machine: Sequence[tuple[str, str]], runs: Sequence[Run]) -> None:
    """Replace the figures in docs/reliability.md."""
    before, found, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{DOCUMENT.name} lacks the marks between which the figures stand.")
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{as_markdown(machine, runs)}\n\n{END}{after}", "utf-8")
