"""F3: PostgreSQL goes away under an inbox, and comes back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import servers

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def server() -> Iterator[servers.Server]:
    server = servers.start_postgresql()
    yield server
    server.stop()


def restart(server: servers.Server) -> None:
    """Start a stopped server again, on its data and port."""
    log = server.folder / "log again"
    with log.open("wb") as output:
        server.process = subprocess.Popen(
            server.process.args,
            cwd=server.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **servers._owner(server.folder),
        )
    servers._wait_until(
        server, log, lambda: "ready to accept connections" in log.read_text(errors="replace")
    )


def halt(server: servers.Server) -> None:
    server.process.send_signal(signal.SIGINT)  # does not wait for clients
    server.process.wait(20)


@pytest.mark.postgres
@pytest.mark.slow
def test_f3_server_stops_and_returns(server: servers.Server, tmp_path: Path) -> None:
    environment = os.environ | {
        "DATABASE_URL": server.url,
        "CSMS_DATA_DIR": str(tmp_path),
        "OUTAGE_PATIENCE": "1",
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.services.outage"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None

    def start(number: int) -> str:
        child.stdin.write(f"{number}\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
        return child.stdout.readline()  # type: ignore[union-attr]

    try:
        first = start(1)
        assert first.startswith("Outcome ")
        halt(server)
        assert start(2) == "Unavailable \n"
        restart(server)
        # Connections of before may still be tried first: within a few messages all is well.
        answers = [start(number) for number in (2, 1)]
        assert all(answer.startswith("Outcome ") for answer in answers)
        assert answers[1] == first  # kept, although everything was restarted
    finally:
        child.stdin.close()
        child.wait(20)
        child.stdout.close()
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT count(*) FROM csms_transaction").fetchone()
    assert row == (2,)
