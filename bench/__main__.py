"""`python -m bench [--quick] [--only NAME …] [--write-docs]`: run, compare, judge.

Exit status 1 when something that is required was missed.
"""

import argparse
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from bench import machine, report, scale, scenarios
from bench.children import workshop


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="The benchmarks.")
    parser.add_argument("--quick", action="store_true", help="a short run; figures vary more")
    parser.add_argument(
        "--only", nargs="+", choices=list(scenarios.ALL), default=list(scenarios.ALL)
    )
    parser.add_argument("--idle", type=int, help="chargers whose memory is measured")
    parser.add_argument(
        "--folder", type=Path, help="where the databases are made: on the disk to be measured"
    )
    parser.add_argument("--write-docs", action="store_true", help="to docs/performance.md")
    options = parser.parse_args()
    if options.write_docs and (options.quick or len(options.only) < len(scenarios.ALL)):
        parser.error("--write-docs needs the whole run.")

    size = scale.QUICK if options.quick else scale.FULL
    if options.idle:
        size = replace(size, idle=options.idle)
    results, failed = [], []
    with workshop(options.folder) as shop:
        described = machine.describe(shop.folder)
        for name, value in described:
            print(f"{name}: {value}")
        print(f"{size.rounds} rounds of {size.seconds:g} s; median (range)\n", flush=True)
        for name in options.only:
            try:
                results.append(scenarios.ALL[name](shop, size))
            except Exception:  # the others are measured all the same
                traceback.print_exc()
                failed.append(f"{name}: it could not be measured")
                continue
            print(report.as_text(results[-1]), flush=True)
    if options.write_docs and not failed:
        report.write_document(described, results)
    problems = [*failed, *report.missed(results)]
    for problem in problems:
        print(f"MISSED  {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
