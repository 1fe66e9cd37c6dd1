"""Where the central system's time goes, as text: `python -m bench.profiles [NAME …]`.

Each hot path is driven as in the benchmarks while py-spy (PyPI) looks 250 times a second at the
thread that holds Python's global lock; docs/profiles/NAME.txt is written anew.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.children import ROOT, Workshop, workshop
from bench.defence import load
from bench.scale import FULL

FOLDER = ROOT / "docs" / "profiles"
SECONDS = 8
A_SECOND = 250
MOST = 30
"""Lines of a profile."""

PATHS = {
    f"{work}-{database}": (work, database)
    for work in ("meter", "sessions", "soap")
    for database in ("sqlite", "postgresql")
}
WORKS = {
    "meter": "MeterValues over WebSocket",
    "sessions": "StartTransaction and StopTransaction over WebSocket",
    "soap": "MeterValues over SOAP",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.profiles")
    parser.add_argument("names", nargs="*", choices=[[], *PATHS], default=[])
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which(
        "py-spy"
    )
    if program is None:
        parser.error("py-spy is not installed: pip install py-spy")
    FOLDER.mkdir(exist_ok=True)
    for name in parser.parse_args().names or PATHS:
        with workshop() as shop, ExitStack() as stack:
            work, database = PATHS[name]
            stacks, rate = _watched(shop, stack, program, work, database)
        lines = [
            f"{WORKS[work]}, {database}: {rate:,.0f} a second while it was watched.",
            f"Written by: python -m bench.profiles {name}",
            "",
            "Share of the samples in which a function or what it calls held the global lock.",
            "",
            *_table(stacks),
        ]
        (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n", "utf-8")
        print(f"docs/profiles/{name}.txt", flush=True)


def _watched(
    shop: Workshop, stack: ExitStack, program: str, work: str, database: str
) -> tuple[list[tuple[list[str], int]], float]:
    """Stacks of functions, each with its number of samples, and the rate of messages."""
    url = ""
    if database == "postgresql":
        from tests import servers

        server = servers.start_postgresql(durable=True)
        stack.callback(server.stop)
        url = server.url
    chargers = {"soap": 50} if work == "soap" else {"json": FULL.connections}
    central = stack.enter_context(shop.central_system(**chargers, database_url=url))
    output = shop.folder / "stacks"
    command = [program, "record", "--pid", str(central.child.process.pid), "--gil", "--threads"]
    command += ["--rate", str(A_SECOND), "--duration", str(SECONDS)]
    spy = subprocess.Popen(
        ["sh", "-c", 'sleep 3; exec "$@"', "sh", *command, "--format", "raw", "-o", str(output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(spy.wait)
    options: dict[str, Any] = {"warm_up": 2.0, "seconds": SECONDS + 3.0}
    if work == "soap":
        said = load(shop, FULL, "http", port=central.http_port, connections=50, **options)
    else:
        options |= {"work": work, "connections": FULL.connections}
        said = load(shop, FULL, "websocket", port=central.json_port, **options)
    while spy.poll() is None:
        time.sleep(0.1)
    return [_stack(line) for line in output.read_text("utf-8").splitlines()], said["rate"]


def _stack(line: str) -> tuple[list[str], int]:
    """`thread (1): inbox;f (a.py:1);g (b.py:2) 17`: the functions without their lines, and 17."""
    text, _, count = line.rpartition(" ")
    thread, *frames = text.split(";")
    functions = [frame.rpartition(":")[0] + ")" for frame in frames]
    return [thread.rpartition(": ")[2].rstrip("_0123456789"), *functions], int(count)


def _table(stacks: list[tuple[list[str], int]]) -> list[str]:
    """The functions of each thread in which most of the time went, the largest share first."""
    total = sum(count for _, count in stacks)
    with_callees: Counter[tuple[str, str]] = Counter()
    alone: Counter[tuple[str, str]] = Counter()
    threads: Counter[str] = Counter()
    for (thread, *functions), count in stacks:
        threads[thread] += count
        for function in set(functions):
            with_callees[thread, function] += count
        alone[thread, functions[-1] if functions else ""] += count
    lines = [
        f"{100 * count / total:5.1f} %  thread {name}" for name, count in threads.most_common(4)
    ]
    lines += ["", "  with   alone  thread      function"]
    shown = [key for key, _ in with_callees.most_common() if _ours(key[1])][:MOST]
    return lines + [
        f"{100 * with_callees[key] / total:5.1f} % {100 * alone[key] / total:5.1f} %  "
        f"{key[0]:<11} {key[1]}"
        for key in shown
    ]


def _ours(function: str) -> bool:
    """Functions of this tree and of the libraries between it and the wire or the database."""
    return any(
        place in function
        for place in ("csms/services", "csms/ocpp", "ocpp_json", "ocpp_soap", "websockets/", "db/")
    )


if __name__ == "__main__":
    main()
