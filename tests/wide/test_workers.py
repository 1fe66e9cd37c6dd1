"""`manage.py serve --workers N`: several processes on one port."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.faults.conftest import NewSite, new_site, postgres
from tests.faults.site import Site
from tests.faults.wire import JsonCharger, json_charger, until
from tests.servers import free_port
from tests.serving import ENDS_WITHIN, MANAGE, STARTS_WITHIN, manage

__all__ = ["new_site", "postgres"]

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.slow]

CONNECTED = "SELECT DISTINCT owner FROM csms_chargepoint WHERE connected"


class Supervisor:
    """`manage.py serve --role … --workers 2` of a site, on one port."""

    def __init__(self, site: Site, role: str) -> None:
        self.port, self.watch = free_port(), free_port()
        kind = "JSON" if role == "json" else "HTTP"
        ports = {f"CSMS_{kind}_PORT": str(self.port), "CSMS_WATCH_PORT": str(self.watch)}
        self.process = subprocess.Popen(
            [sys.executable, MANAGE, "serve", "--role", role, "--workers", "2"],
            env=site.environment | ports | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            self._said += self.process.stdout

    @property
    def output(self) -> str:
        return "".join(self._said)

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    def ready(self, *watched: int) -> None:
        """Return once the processes that answer at these ports take messages."""
        deadline = time.monotonic() + STARTS_WITHIN
        for port in watched or (self.watch, self.watch + 1):
            while not _is_ready(port):
                assert time.monotonic() < deadline, self.output
                time.sleep(0.1)

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(ENDS_WITHIN)


def _is_ready(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    return False


@contextlib.contextmanager
def supervised(site: Site, role: str) -> Iterator[Supervisor]:
    supervisor = Supervisor(site, role)
    try:
        supervisor.ready()
        yield supervisor
    finally:
        workers = supervisor.workers() if supervisor.process.poll() is None else []
        for pid in (supervisor.process.pid, *workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        supervisor.process.wait()


def is_there(pid: int) -> bool:
    """It has not ended (and is no zombie)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextlib.asynccontextmanager
async def led(site: Site, supervisor: Supervisor) -> AsyncIterator[None]:
    """The site's address for OCPP-J leads there."""
    async with site.json:
        site.json.targets = [("127.0.0.1", supervisor.port)]
        yield


async def connected(site: Site, number: int) -> list[JsonCharger]:
    return [await json_charger(site, f"json-{n}") for n in range(number)]


async def commanded(site: Site, chargers: list[JsonCharger]) -> None:
    """Send all of them a command, which each receives and accepts."""
    await asyncio.to_thread(manage, site.environment, "send", "--all", "ClearCache", "--no-wait")
    for charger in chargers:
        frame = await charger.receive()
        assert frame[2] == "ClearCache"
        await charger.socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
    await until(lambda: site.says("SELECT DISTINCT state FROM csms_command", [("accepted",)]))


async def test_workers_share_a_port(new_site: NewSite) -> None:
    """Both have chargers, and their commands reach them; one that is killed is started again and
    has chargers again; at the end all are drained."""
    site = new_site(names="")
    with supervised(site, "json") as supervisor:
        async with led(site, supervisor):
            chargers = await connected(site, 16)
            owners = site.rows(CONNECTED)
            assert len(owners) == 2
            assert {name.rpartition("/")[2] for (name,) in owners} == {"1", "2"}
            await commanded(site, chargers)
            numbers = [_connections(supervisor.watch + n) for n in (0, 1)]
            assert sum(numbers) == 16
            assert min(numbers) > 0

            before = supervisor.workers()
            os.kill(before[0], signal.SIGKILL)
            await until(lambda: _other_workers(supervisor, before), within=60)
            await asyncio.to_thread(supervisor.ready)
            ended = [charger for charger in chargers if await _is_gone(charger)]
            assert 0 < len(ended) < 16
            again = [await json_charger(site, f"json-{chargers.index(c)}") for c in ended]
            kept = [charger for charger in chargers if charger not in ended]
            await commanded(site, [*kept, *again])
            assert await asyncio.to_thread(supervisor.terminate) == 0
            ends = [(await charger.told()).closed for charger in (*kept, *again)]
            assert set(ends) == {1012}
    assert site.rows("SELECT count(*) FROM csms_chargepoint WHERE connected") == [(0,)]
    assert site.rows("SELECT count(*) FROM csms_gateway") == [(0,)]
    assert "Traceback" not in supervisor.output


async def _ended(pids: list[int]) -> bool:
    return not any(is_there(pid) for pid in pids)


async def _other_workers(supervisor: Supervisor, before: list[int]) -> bool:
    now = supervisor.workers()
    return len(now) == 2 and now != before


async def _is_gone(charger: JsonCharger) -> bool:
    try:
        await (await charger.socket.ping())
    except ConnectionClosed:
        return True
    return False


def metrics(port: int) -> str:
    """What a process counts."""
    return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text


def _connections(port: int) -> int:
    found = re.search(r'^csms_connections\{transport="json"\} (\d+)', metrics(port), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_workers_end_with_who_started_them(new_site: NewSite) -> None:
    """kill -9 of the supervisor: else its workers and those of the next one would have the same
    names and take the leases from each other."""
    site = new_site(names="")
    with supervised(site, "json") as supervisor:
        workers = supervisor.workers()
        async with led(site, supervisor):
            chargers = await connected(site, 4)
            os.kill(supervisor.process.pid, signal.SIGKILL)
            assert {(await charger.told()).closed for charger in chargers} == {1012}
        await until(lambda: _ended(workers), within=ENDS_WITHIN)
    assert site.rows("SELECT count(*) FROM csms_gateway") == [(0,)]


async def test_web_processes_share_a_port(new_site: NewSite) -> None:
    """`--role http --workers N`: both answer at one port; each has its own for who watches it."""
    site = new_site(names="")
    with supervised(site, "http") as supervisor:
        url = f"http://127.0.0.1:{supervisor.port}/admin/login/"
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(10):
                assert (await client.get(url)).status_code == 200
        pages = [metrics(supervisor.watch + n) for n in (0, 1)]
        assert all("process_start_time_seconds" in page for page in pages)
        assert len(set(supervisor.workers())) == 2
        assert await asyncio.to_thread(supervisor.terminate) == 0
