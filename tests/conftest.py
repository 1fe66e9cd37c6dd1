"""What all tests share: the database they run on, the official contracts, servers.

The suite runs on SQLite; with `CSMS_TEST_DATABASE=postgresql` those tests run that use the
database, on a PostgreSQL server that is started for the run. `CSMS_NO_SKIP=1` makes a skipped test
a failure, so that a run that lacks something does not look complete.
"""

import atexit
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from csms import conf
from tests import servers

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = Path(os.environ.get("CSMS_CONTRACTS", ROOT.parent / "shared" / "contracts"))
ON_POSTGRESQL = os.environ.get("CSMS_TEST_DATABASE", "sqlite") == "postgresql"
NO_SKIP = os.environ.get("CSMS_NO_SKIP", "") not in ("", "0")
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

ALIKE = frozenset(
    {"certification", "http", "interop", "monitoring", "ocpp_json", "ocpp_soap", "simulator"}
    | {"smart_charging", "tls"}
)
"""Folders whose tests find nothing of their own on PostgreSQL: they run there when named."""
SELDOM = frozenset({"access", "admin", "field", "hostile", "security"})
"""Those that find little: there they run with --slow."""

# Why the tests of this run cannot run, when PostgreSQL was asked for and is not there.
_no_database = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also what takes more than ten seconds")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the environment before Django reads it; pytest-xdist's workers inherit it."""
    if IS_WORKER:
        config.stash[_no_database] = os.environ.get("CSMS_TEST_DATABASE_MISSING", "")
        return
    for setting in fields(conf.Settings):  # what the caller's shell has set decides no test
        os.environ.pop(setting.metadata["name"], None)
    data = tempfile.mkdtemp(prefix="csms-tests-")
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "csms.settings"
    os.environ["CSMS_DATA_DIR"] = data
    os.environ["CSMS_SECRET_KEY"] = "only for tests"
    config.stash[_no_database] = ""
    if ON_POSTGRESQL:
        try:
            server = servers.start_postgresql()
        except servers.Missing as missing:
            config.stash[_no_database] = str(missing)
            os.environ["CSMS_TEST_DATABASE_MISSING"] = str(missing)
        else:
            atexit.register(server.stop)
            os.environ["DATABASE_URL"] = server.url.removesuffix("/postgres") + "/csms"
    from django.conf import settings

    settings.DATABASES  # noqa: B018  reads the settings now; pytest-django sets Django up next


@pytest.fixture(scope="session", autouse=True)
def _tables_are_emptied_quickly() -> Iterator[None]:
    from tests import emptying

    with emptying.quickly():
        yield


if ON_POSTGRESQL:

    @pytest.fixture(scope="session", autouse=True)
    def _nobody_else_is_left(django_db_setup: None) -> Iterator[None]:
        """The database is dropped at the end: a process that a test has killed may still be in."""
        yield
        import psycopg
        from django.db import connection

        server = os.environ["DATABASE_URL"].removesuffix("/csms") + "/postgres"
        with psycopg.connect(server, autocommit=True) as others:
            others.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [connection.settings_dict["NAME"]],
            )


def _uses_database(item: pytest.Item) -> bool:
    used = {"db", "transactional_db", "process_environment"}
    marks = ("django_db", "postgres")
    return bool(used.intersection(getattr(item, "fixturenames", ()))) or any(
        item.get_closest_marker(mark) for mark in marks
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this run's database does not concern; slow tests unless they are named."""
    named = config.args != config.getini("testpaths")
    slow = named or config.getoption("--slow")
    left_out = frozenset() if named else ALIKE

    def concerns(item: pytest.Item) -> bool:
        if item.get_closest_marker("slow") and not slow:
            return False
        if ON_POSTGRESQL:
            if "visitor" in getattr(item, "fixturenames", ()):  # a page looks the same on both
                return False
            if item.get_closest_marker("postgres"):
                return True
            if (left_out if slow else left_out | SELDOM).intersection(item.path.parts):
                return False
            return _uses_database(item) and not item.get_closest_marker("sqlite")
        return not item.get_closest_marker("postgres")

    others = [item for item in items if not concerns(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if concerns(item)]
    if config.stash[_no_database]:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=config.stash[_no_database]))


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NO_SKIP and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CSMS_NO_SKIP=1, but this was skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests (`@pytest.mark.anyio`) run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def contracts() -> Path:
    """Folder of the official WSDL files and JSON schemas (they are not ours to carry)."""
    if not CONTRACTS.is_dir():
        pytest.skip(f"The official OCPP files are not in {CONTRACTS}; CSMS_CONTRACTS says where.")
    return CONTRACTS


@pytest.fixture(scope="session")
def field_frames() -> list[dict[str, Any]]:
    """Frames that real chargers sent, with what we should do: id, raw, quirk, expected, source."""
    path = CONTRACTS.parent / "field" / "frames.jsonl"
    if not path.is_file():
        pytest.skip(f"The frames of real chargers are not in {path}.")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server, whatever this run's own database is."""
    if ON_POSTGRESQL:
        yield os.environ["DATABASE_URL"]
        return
    try:
        server = servers.start_postgresql()
    except servers.Missing as missing:
        pytest.skip(str(missing))
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """URL of an empty Redis server."""
    try:
        server = servers.start_redis()
    except servers.Missing as missing:
        pytest.skip(str(missing))
    yield server.url
    server.stop()


@pytest.fixture
def process_environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment for processes of ours (`manage.py serve`): a data folder and a database alone.

    Ports are 0: each process takes free ones. The database is of the kind this run is on, without
    tables yet.
    """
    environment = os.environ | {
        "CSMS_DATA_DIR": str(tmp_path / "data"),
        "CSMS_HOST": "127.0.0.1",
        "CSMS_HTTP_PORT": "0",
        "CSMS_JSON_PORT": "0",
        "PYTHONPATH": str(ROOT),
    }
    if not ON_POSTGRESQL:
        yield environment
        return
    import psycopg

    parts = urlsplit(os.environ["DATABASE_URL"])
    name = f"process_{uuid.uuid4().hex}"
    with psycopg.connect(parts._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield environment | {"DATABASE_URL": parts._replace(path=f"/{name}").geturl()}
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium under playwright's control."""
    try:
        program = servers.chromium()
    except servers.Missing as missing:
        pytest.skip(str(missing))
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # playwright's event loop runs in the tests' thread, where the tests use the ORM too.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()
