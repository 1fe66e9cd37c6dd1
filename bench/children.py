"""Every process that the benchmarks start: all of them are ended with the block that uses them."""

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_WITHIN = 60.0
END_WITHIN = 30.0


class ChildFailed(Exception):
    """A process that was started ended early or said nothing; the message holds its output."""


class Child:
    """A process whose lines are read as they come; what it complains of goes to a file."""

    def __init__(
        self, command: list[str], *, environment: dict[str, str] | None = None, log: Path
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | (environment or {}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
            )
        self._buffer = b""

    def line(self, within: float) -> str:
        """Its next line. Raises ChildFailed."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + within
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, left))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                said = self.log.read_text(errors="replace")[-3000:]
                raise ChildFailed(f"{self.process.args!r} did not answer:\n{said}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def facts(self, within: float = START_WITHIN) -> dict[str, Any]:
        """What it says with its next line."""
        said: dict[str, Any] = json.loads(self.line(within))
        return said

    def seconds(self) -> float:
        """The processor's time that it has taken so far (Linux)."""
        return seconds_of(self.process.pid)

    def resident(self) -> int:
        """Its resident memory in bytes (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def release(self) -> None:
        """Its input ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self) -> None:
        """SIGTERM, and SIGKILL when that is not heard."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def seconds_of(pid: int) -> float:
    """Of a process, and of those of its children that have ended or are running."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    taken = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                taken += seconds_of(int(child))
    return taken


class Workshop:
    """A folder of its own for the files of one run, and the processes that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = iter(range(1_000_000))

    def _new(self, name: str) -> Path:
        return self.folder / f"{name}-{next(self._numbers)}"

    @contextlib.contextmanager
    def child(
        self, *arguments: str, environment: dict[str, str] | None = None, program: str = ""
    ) -> Iterator[Child]:
        """A process of Python, or of another `program`."""
        command = [program] if program else [sys.executable, "-W", "ignore"]
        child = Child([*command, *arguments], environment=environment, log=self._new("log"))
        try:
            yield child
        finally:
            child.end()

    @contextlib.contextmanager
    def module(self, name: str, **options: object) -> Iterator[Child]:
        """A module of `bench`, its options as keywords."""
        arguments = ["-m", f"bench.{name}"]
        for option, value in options.items():
            flag = "--" + option.replace("_", "-")
            if value is not False:
                arguments += [flag] if value is True else [flag, str(value)]
        with self.child(*arguments) as child:
            yield child

    def run(self, *arguments: str, environment: dict[str, str], within: float) -> None:
        """Run a Python program to its end. Raises ChildFailed."""
        with self.child(*arguments, environment=environment) as child:
            if child.process.wait(within):
                raise ChildFailed(child.log.read_text(errors="replace"))

    def database(
        self, *, json: int = 0, soap: int = 0, keys: int = 0, database_url: str = ""
    ) -> dict[str, str]:
        """The environment of a fresh database that knows so many chargers; the first `keys` of
        them have one to prove who they are (security profile 1)."""
        environment = {
            "CSMS_DATA_DIR": str(self._new("data")),
            "CSMS_HOST": "127.0.0.1",
            "CSMS_HTTP_PORT": "0",
            "CSMS_JSON_PORT": "0",
            "CSMS_DEMO": "0",
            "CSMS_MAX_CONNECTIONS_PER_ADDRESS": "20000",
            "DATABASE_URL": database_url,
        }
        arguments = ("-m", "bench.prepare", str(json), str(soap), str(keys))
        self.run(*arguments, environment=environment, within=START_WITHIN)
        return environment

    @contextlib.contextmanager
    def central_system(self, **chargers: Any) -> Iterator["CentralSystem"]:
        """`manage.py serve` with a fresh `database`."""
        with self.serving(self.database(**chargers)) as central:
            yield central

    @contextlib.contextmanager
    def serving(self, environment: dict[str, str]) -> Iterator["CentralSystem"]:
        """`manage.py serve` with what a database's environment says."""
        with self.child("manage.py", "serve", environment=environment) as child:
            yield CentralSystem(child, Path(environment["CSMS_DATA_DIR"]), environment)


class CentralSystem:
    """A running `manage.py serve`."""

    def __init__(self, child: Child, data: Path, environment: dict[str, str]) -> None:
        self.child = child
        self.environment = environment
        self.database = data / "csms.sqlite3"
        said = [child.line(START_WITHIN) for _ in range(3)]
        ports = [re.search(r":(\d+)/", line) for line in said]
        assert all(ports), said
        self.http_port, _, self.json_port = (int(port[1]) for port in ports if port)


@contextlib.contextmanager
def workshop(parent: Path | None = None) -> Iterator[Workshop]:
    folder = Path(tempfile.mkdtemp(prefix="csms-bench-", dir=parent))
    try:
        yield Workshop(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def peer(workshop: Workshop, name: str) -> Iterator[tuple[Child, int]]:
    """A server that we are compared with, and its port."""
    with workshop.module(f"peers.{name}") as child:
        yield child, child.facts()["port"]
