"""Sites for single faults: processes over a fresh copy of a prepared database; and charge points
at the edges of a system in this process."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers
from tests.conftest import ON_POSTGRESQL
from tests.faults.clocks import TurnedClock
from tests.faults.databases import Postgres, SmallDisk
from tests.faults.site import Site, short_folder
from tests.fixtures import lasting_system, system

if TYPE_CHECKING:
    from tests.faults.edges import Edge
    from tests.running import System

__all__ = ["connect", "edge", "lasting_system", "new_site", "site", "small_disk", "system"]

Connect = Callable[..., "Edge"]
NewSite = Callable[..., Site]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that tests may end, with a prepared database."""
    try:
        server = Postgres()
    except servers.Missing as missing:
        pytest.skip(str(missing))
    folder = short_folder()
    Site(folder, postgres=server, database="prepared").prepare()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def prepared() -> Iterator[Path]:
    """A SQLite database that is ready."""
    site = Site(short_folder())
    site.prepare()
    yield site.sqlite
    shutil.rmtree(site.folder, ignore_errors=True)


@pytest.fixture
def new_site(
    request: pytest.FixtureRequest, process_environment: dict[str, str]
) -> Iterator[NewSite]:
    """Make a site on this run's kind of database (that is why the environment is asked for); gone
    after the test."""
    folders, databases = [], []

    def make(
        *,
        folder: Path | None = None,
        disk: SmallDisk | None = None,
        names: str = "a",
        clock: TurnedClock | None = None,
        **more: str,
    ) -> Site:
        folder = folder or short_folder()
        folder.mkdir(exist_ok=True)
        folders.append(folder)
        if not ON_POSTGRESQL:
            shutil.copy(request.getfixturevalue("prepared"), folder)
            return Site(folder, postgres=None, clock=clock, disk=None, **more)
        server: Postgres = request.getfixturevalue("postgres")
        database = f"site_{next(_numbers)}"
        databases.append(database)
        server.make(database, "prepared", folder=disk.folder if disk else None)
        return Site(
            folder,
            postgres=server,
            database=database,
            names=names,
            clock=clock,
            disk=disk,
            **more,
        )

    yield make
    if databases:
        server = request.getfixturevalue("postgres")
        server.mend()
        for database in databases:
            server.drop(database)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(new_site: NewSite) -> Site:
    """One with the settings that all have."""
    return new_site()


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    """A file system that is soon full."""
    try:
        disk = SmallDisk(64)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    yield disk
    disk.remove()


@pytest.fixture
def connect(system: "System") -> "Iterator[Connect]":
    """Connect a charge point of a transport until the end of the test; TAG may charge."""
    from tests import factories  # models: Django is set up by now
    from tests.faults.edges import EDGES

    factories.id_tag("TAG", max_transactions=0)
    with ExitStack() as opened:

        def connected(transport: str, **columns: Any) -> "Edge":
            made = EDGES[transport](system, factories.charge_point(transport=transport, **columns))
            opened.callback(made.close)
            return made

        yield connected


@pytest.fixture(params=["json", "soap"])
def edge(request: pytest.FixtureRequest, connect: Connect) -> "Edge":
    """One charge point, of each transport in turn."""
    return connect(request.param)
