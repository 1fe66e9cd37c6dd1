"""Sites for single faults: processes over a fresh copy of a prepared database."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.conftest import ON_POSTGRESQL
from tests.faults.databases import Postgres, SmallDisk
from tests.faults.site import Site, short_folder

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
        **more: str,
    ) -> Site:
        folder = folder or short_folder()
        folder.mkdir(exist_ok=True)
        folders.append(folder)
        if not ON_POSTGRESQL:
            shutil.copy(request.getfixturevalue("prepared"), folder)
            return Site(folder, postgres=None, **more)
        server: Postgres = request.getfixturevalue("postgres")
        database = f"site_{next(_numbers)}"
        databases.append(database)
        server.make(database, "prepared", folder=disk.folder if disk else None)
        return Site(folder, postgres=server, database=database, names=names, **more)

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
