"""The central system in processes of its own, over one database, behind one proxy.

One process on SQLite; on PostgreSQL as many as wanted, each of which holds other chargers.
"""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from csms import conf
from tests.faults import audit
from tests.faults.clocks import TurnedClock, swept
from tests.faults.databases import Postgres, SmallDisk
from tests.faults.proxy import Address, Proxy
from tests.servers import free_port
from tests.serving import Environment, Served, manage, rows

ROOT = Path(__file__).resolve().parent.parent.parent
SOAP_PATH = "/ocpp/soap"


@dataclass
class Process:
    """One `manage.py serve`, on ports that last over its restarts; `name` tells it in the audit."""

    name: str
    environment: Environment
    http_port: int
    json_port: int
    served: Served | None = None

    @property
    def http(self) -> Address:
        return "127.0.0.1", self.http_port

    @property
    def json(self) -> Address:
        return "127.0.0.1", self.json_port

    @property
    def pid(self) -> int:
        assert self.served is not None
        return self.served.process.pid

    def start(self) -> None:
        """Return once it listens."""
        served = Served(self.environment)
        try:
            served.__enter__()
        except BaseException:
            served.__exit__()
            raise
        self.served = served

    def kill(self) -> None:
        """kill -9."""
        assert self.served is not None
        self.served.kill()
        self._ended()

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        assert self.served is not None
        status = self.served.terminate()
        self._ended()
        return status

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _ended(self) -> None:
        assert self.served is not None
        self.served.__exit__()
        swept(self.pid)
        self.served = None

    def end(self) -> None:
        """However it is doing."""
        if self.served is not None:
            with contextlib.suppress(ProcessLookupError):
                self.resume()
            self._ended()


class Site:
    """A database, the processes that serve it, and the proxies before their ports."""

    def __init__(
        self,
        folder: Path,
        *,
        postgres: Postgres | None = None,
        database: str = "csms",
        names: str = "a",
        clock: TurnedClock | None = None,
        disk: SmallDisk | None = None,
        **more: str,
    ) -> None:
        """`clock`: that of the processes; `disk`: where PostgreSQL has this database."""
        self.folder = folder
        self.postgres = postgres
        self.database = database
        self.clock = clock
        self.disk = disk
        known = {setting.metadata["name"] for setting in fields(conf.Settings)}
        self.environment: Environment = {
            name: text for name, text in os.environ.items() if name not in known
        } | {
            "CSMS_DATA_DIR": str(folder),
            "CSMS_SECRET_KEY": "only for tests",
            "CSMS_HOST": "127.0.0.1",
            "CSMS_UNKNOWN_CHARGERS": "accept",
            "CSMS_SOAP_CALLBACK_NETWORKS": "127.0.0.0/8",
            "DJANGO_SETTINGS_MODULE": "csms.settings",
            "PYTHONPATH": str(ROOT),
            **({} if clock is None else clock.environment),
            **more,
        }
        if postgres is not None:
            self.environment["DATABASE_URL"] = postgres.url(database)
        self.processes = {name: self._process(name) for name in names}
        self.http, self.json = Proxy(), Proxy()

    def _process(self, name: str) -> Process:
        http_port, json_port = free_port(), free_port()
        ports = {"CSMS_HTTP_PORT": str(http_port), "CSMS_JSON_PORT": str(json_port)}
        return Process(name, self.environment | ports | {"PGAPPNAME": name}, http_port, json_port)

    @property
    def first(self) -> Process:
        return next(iter(self.processes.values()))

    @property
    def json_url(self) -> str:
        return f"ws://127.0.0.1:{self.json.port}"

    @property
    def soap_url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}{SOAP_PATH}"

    @property
    def sqlite(self) -> Path:
        return self.folder / "csms.sqlite3"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        return rows(self.environment, query)

    async def says(self, query: str, expected: list[tuple[Any, ...]]) -> bool:
        """Whether the database says so now."""
        return await asyncio.to_thread(self.rows, query) == expected

    def prepare(self) -> None:
        """Make the database with its tables, the idTag of the fleet and the audit."""
        if self.postgres is not None:
            self.postgres.make(self.database, folder=self.disk.folder if self.disk else None)
        manage(self.environment, "migrate", "--verbosity", "0")
        manage(self.environment, "id_tag", "add", "TAG", "--max-transactions", "0")
        audit.install(self)

    def lead_to(self, *names: str) -> None:
        """New connections go to these processes."""
        chosen = [self.processes[name] for name in names]
        self.http.targets = [process.http for process in chosen]
        self.json.targets = [process.json for process in chosen]

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Site"]:
        """All its processes, running; whatever happens, they are gone afterwards."""
        try:
            await asyncio.to_thread(self.start_all)
            async with self.http, self.json:
                self.lead_to(*self.processes)
                yield self
        finally:
            for process in self.processes.values():
                await asyncio.to_thread(process.end)

    def start_all(self) -> None:
        for process in self.processes.values():
            process.start()


def short_folder() -> Path:
    """A folder outside of pytest's long paths."""
    return Path(tempfile.mkdtemp(prefix="csms-faults-", dir="/tmp"))
