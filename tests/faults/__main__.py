"""`python -m tests.faults`: the long run, on both databases.

Exit status 1 when anything was lost, doubled or misapplied, or the run was shorter than asked for.
"""

import argparse
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench import machine
from tests.faults import report
from tests.faults.runs import Size, perform

FULL = 200, 100_000
"""Kills and messages from which on a run is one for the documentation."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=FULL[0], help="kills of a server process")
    parser.add_argument(
        "--messages", type=int, help="acknowledged transaction messages; default: 500 a round"
    )
    parser.add_argument("--minutes", type=float, default=60, help="at most, for each database")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--on", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"]
    )
    parser.add_argument("--write-docs", action="store_true", help="to docs/reliability.md")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # however it is ended, its servers end with it
        signal.signal(number, signal.default_int_handler)
    size = Size(
        rounds=options.rounds,
        messages=options.messages or 500 * options.rounds,
        seconds=60 * options.minutes,
        seed=options.seed,
    )
    whole = size.rounds >= FULL[0] and size.messages >= FULL[1] and len(options.on) == 2
    if options.write_docs and not whole:
        parser.error("--write-docs needs the whole run on both databases.")
    described = machine.describe(Path(tempfile.gettempdir()))
    runs = []
    for name in options.on:
        say = partial(print, f"{name}:", flush=True)
        runs.append(perform(size, postgresql=name == "postgresql", say=say))
        print(report.as_text(runs[-1]), flush=True)
    if options.write_docs:
        report.write_document(described, runs)
    return 1 if any(run.problems for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
