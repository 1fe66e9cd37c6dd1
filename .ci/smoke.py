"""Runs `make run` in a clone until a demo transaction has stopped on each transport.

    python3 .ci/smoke.py CLONE [MAKE_VARIABLE=value ...]

Then ends it as an operator would (SIGTERM) and starts it once more: the data must still be there
and no second administrator made. Standard library only; exit code 0 when all was seen.
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

INSTALLATION = 300  # seconds until the admin answers, the packages' installation included
SESSIONS = 240  # seconds until both transports have a stopped transaction
END = 60  # seconds from SIGTERM to the end

STOPPED = """
    SELECT charge_point.transport, count(*)
    FROM csms_transaction JOIN csms_chargepoint AS charge_point
      ON charge_point.id = csms_transaction.charge_point_id
    WHERE csms_transaction.state = 'stopped' GROUP BY charge_point.transport
"""


class Failed(Exception):
    """What was expected did not happen."""


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def stopped(clone: Path) -> dict[str, int]:
    """How many transactions have stopped, for each transport."""
    database = clone / "data" / "csms.sqlite3"
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as opened:
            return dict(opened.execute(STOPPED).fetchall())
    except sqlite3.OperationalError:  # not there yet, or without its tables
        return {}


def admin_answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Run:
    """One `make run`, its output in a file."""

    def __init__(self, clone: Path, *variables: str) -> None:
        self.http_port, json_port = free_ports()
        self.output = clone.with_name(f"{clone.name}.log")
        environment = os.environ | {
            "CSMS_HOST": "127.0.0.1",
            "CSMS_HTTP_PORT": str(self.http_port),
            "CSMS_JSON_PORT": str(json_port),
        }
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", "--no-print-directory", "run", *variables],
                cwd=clone,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, what: str, seconds: int, seen: Callable[[], bool]) -> None:
        started = time.monotonic()
        while not seen():
            if self.process.poll() is not None:
                raise Failed(f"make run ended with {self.process.returncode} before {what}")
            if time.monotonic() - started > seconds:
                raise Failed(f"{what}: not within {seconds} s")
            time.sleep(1)
        print(f"{what}: after {time.monotonic() - started:.0f} s", flush=True)

    def end(self) -> None:
        """SIGTERM; make and all that it started must be gone in time."""
        started = time.monotonic()
        self.process.terminate()
        while self.is_running():
            if time.monotonic() - started > END:
                raise Failed(f"after SIGTERM: not ended within {END} s")
            time.sleep(0.2)
        print(f"ended: {time.monotonic() - started:.1f} s after SIGTERM", flush=True)

    def is_running(self) -> bool:
        """Whether make or what it started lives; the dead that nobody collected do not count."""
        self.process.poll()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _parent, group = stat.read_text().rpartition(")")[2].split()[:3]
            except OSError:  # ended meanwhile
                continue
            if int(group) == self.process.pid and state != "Z":
                return True
        return False

    def kill(self) -> None:
        if self.is_running():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def until_the_admin_answers(self) -> None:
        self.wait_for("the admin answers", INSTALLATION, lambda: admin_answers(self.http_port))

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            print(self.output.read_text(errors="replace")[-20_000:])
        self.kill()


def first_run(clone: Path, *variables: str) -> dict[str, int]:
    """With the simulated fleet, until both transports have charged; how often they did."""
    with Run(clone, *variables) as run:
        run.until_the_admin_answers()
        run.wait_for(
            "a transaction has stopped on each transport",
            SESSIONS,
            lambda: {"json", "soap"} <= set(stopped(clone)),
        )
        run.end()
    return stopped(clone)


def second_run(clone: Path, *variables: str, before: dict[str, int]) -> None:
    """Without the fleet: everything is still there."""
    with Run(clone, *variables, "DEMO=0") as run:
        run.until_the_admin_answers()
        run.end()
        if stopped(clone) != before:
            raise Failed(
                f"the second run has {stopped(clone)} transactions, the first had {before}"
            )
        if "password" in run.output.read_text(errors="replace").lower():
            raise Failed("the second run made another administrator")


if __name__ == "__main__":
    place, settings = Path(sys.argv[1]).resolve(), sys.argv[2:]
    try:
        second_run(place, *settings, before=first_run(place, *settings))
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
