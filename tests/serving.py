"""`manage.py` in processes of its own: as an operator starts, ends and kills it."""

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

MANAGE = str(Path(__file__).resolve().parent.parent / "manage.py")
STARTS_WITHIN = 40.0
ENDS_WITHIN = 30.0
"""Seconds, on a busy machine."""

Environment = dict[str, str]


def manage(
    environment: Environment, *arguments: str, ok: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Run a command; with `ok` it must succeed."""
    done = subprocess.run(
        [sys.executable, MANAGE, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN,
        check=False,
    )
    assert not ok or done.returncode == 0, done.stderr
    return done


def fails_in_one_line(environment: Environment, *arguments: str) -> str:
    """The one line with which a command refuses."""
    done = manage(environment, *arguments, ok=False)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    return lines[0]


def rows(environment: Environment, query: str) -> list[tuple[Any, ...]]:
    """What the processes' database says."""
    url = environment.get("DATABASE_URL", "")
    if url:
        import psycopg

        with psycopg.connect(url) as opened:
            return list(opened.execute(query).fetchall())
    import sqlite3
    from contextlib import closing

    path = Path(environment["CSMS_DATA_DIR"]) / "csms.sqlite3"
    with closing(sqlite3.connect(path, timeout=20)) as database:
        return list(database.execute(query).fetchall())


class Served:
    """`manage.py serve` in a process of its own."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, MANAGE, "serve"],
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def _url(self, name: str) -> str:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            found = re.search(rf"^{re.escape(name)} +(\S+)$", self.output, re.MULTILINE)
            if found is not None:
                return found[1]
            assert self.process.poll() is None, self.output
            time.sleep(0.02)
        raise AssertionError(self.output)

    def __enter__(self) -> Self:
        self.admin_url = _local(self._url("Admin"))
        self.soap_url = _local(self._url("OCPP-S (SOAP)"))
        self.json_url = _local(self._url("OCPP-J (WebSocket)").removesuffix("/<identity>"))
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ENDS_WITHIN)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def _local(url: str) -> str:
    """The same URL without asking for a name's addresses."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
