"""/health/live and /health/ready over HTTP: what is checked, and what is told to anybody."""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.db import connection

from csms.sampling import Sample
from tests import servers
from tests.monitoring.reading import ask
from tests.running import System, running, wait_for
from tests.services.test_outage import halt
from tests.serving import Environment, Served, manage

WELL = {"database": True, "migrations": True, "inbox": True}


def checks(response: httpx.Response) -> dict[str, bool]:
    """The checks of an answer, which holds nothing else."""
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert all(set(line) == {"check", "ok"} for line in lines)
    assert response.status_code == (200 if all(line["ok"] for line in lines) else 503)
    return {line["check"]: line["ok"] for line in lines}


def ready(system: System) -> dict[str, bool]:
    return checks(ask(system, "/health/ready"))


def stale() -> None:
    """Wait until what the database said no longer holds."""
    time.sleep(1.1)


def test_a_process_that_is_well(system: System) -> None:
    assert checks(ask(system, "/health/live")) == {"loop": True}
    response = ask(system, "/health/ready")
    assert checks(response) == WELL
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["cache-control"] == "no-store"
    assert ask(system, "/health/ready/").status_code == 404
    assert httpx.post(system.http_url + "/health/ready", trust_env=False).status_code == 405


@pytest.mark.parametrize("host", ["10.1.2.3", "pod-7:8000", "[::1]"])
def test_probes_need_no_host_and_no_https(
    host: str, strict: System, transactional_db: None
) -> None:
    """Probes ask by address and over plain HTTP, whatever the pages for people want."""
    assert ask(strict, "/health/live", host=host).status_code == 200
    assert ask(strict, "/health/ready", host=host).status_code == 200


@pytest.fixture(scope="module")
def strict(django_db_setup: None) -> Iterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        from django.conf import settings

        patch.setattr(settings, "ALLOWED_HOSTS", ["csms.example.com"])
        patch.setattr(settings, "SECURE_SSL_REDIRECT", True)
        with running() as system:
            yield system


def test_an_inbox_that_has_ended(system: System) -> None:
    assert ready(system) == WELL
    system.run(system.inbox.stop())
    try:
        assert ready(system) == WELL | {"inbox": False}
        assert checks(ask(system, "/health/live")) == {"loop": True}
    finally:
        system.inbox.start()
    assert ready(system) == WELL


def test_an_inbox_that_is_full(transactional_db: None) -> None:
    from csms.services.metrics import meters
    from tests import factories

    with running(CSMS_INBOX_SIZE="2") as system:
        charger = system.charger(factories.charge_point())
        charger.call("Heartbeat")
        assert ready(system) == WELL
        with meters.lock:  # the worker cannot count what it answered, and so not go on
            charger.call("Heartbeat")
            charger.send(json.dumps([2, "waits", "Heartbeat", {}]))
            wait_for(lambda: ready(system) == WELL | {"inbox": False})
        assert charger.receive()[1] == "waits"
        assert ready(system) == WELL
        system.settle()


def test_a_migration_that_is_missing(system: System) -> None:
    assert ready(system) == WELL
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, name FROM django_migrations WHERE app = 'csms' ORDER BY id DESC LIMIT 1"
        )
        pk, name = cursor.fetchone()
        cursor.execute("UPDATE django_migrations SET name = 'other' WHERE id = %s", [pk])
        try:
            stale()
            assert ready(system) == WELL | {"migrations": False}
        finally:
            cursor.execute("UPDATE django_migrations SET name = %s WHERE id = %s", [name, pk])
    stale()
    assert ready(system) == WELL


def test_much_asking_is_one_question(transactional_db: None) -> None:
    """A database that hangs is asked once, and nobody waits longer than said."""
    asked, go_on = [], threading.Event()

    def hang() -> bool:
        asked.append(threading.current_thread().name)
        return go_on.wait(20)

    async def scene() -> None:
        sample = Sample(hang, keep=60, within=0.1)
        begun = time.monotonic()
        answers = await asyncio.gather(*(sample.read() for _ in range(50)))
        assert answers == [None] * 50
        assert time.monotonic() - begun < 5
        go_on.set()
        await asyncio.sleep(0.5)
        assert await sample.read() is True

    asyncio.run(scene())
    assert len(asked) == 1
    assert asked[0].startswith("sample")


def _state(served: Served) -> dict[str, bool]:
    url = served.admin_url.replace("/admin/", "/health/ready")
    begun = time.monotonic()
    found = checks(httpx.get(url, trust_env=False, timeout=20))
    assert time.monotonic() - begun < 4
    return found


def _becomes(served: Served, wanted: dict[str, bool]) -> None:
    deadline = time.monotonic() + 30
    while (found := _state(served)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


NO_DATABASE = {"database": False, "migrations": False, "inbox": True}


@pytest.mark.sqlite
@pytest.mark.slow
def test_f3_sqlite_that_cannot_be_opened(process_environment: Environment) -> None:
    manage(process_environment, "migrate", "--verbosity", "0")
    database = Path(process_environment["CSMS_DATA_DIR"]) / "csms.sqlite3"
    away = database.with_name("away")
    with Served(process_environment) as served:
        assert _state(served) == WELL
        database.rename(away)
        database.mkdir()
        _becomes(served, NO_DATABASE)
        shutil.rmtree(database)
        away.rename(database)
        _becomes(served, WELL)


@pytest.mark.postgres
@pytest.mark.slow
def test_f3_postgresql_that_is_gone(process_environment: Environment) -> None:
    server = servers.start_postgresql()
    try:
        environment = process_environment | {"DATABASE_URL": server.url}
        manage(environment, "migrate", "--verbosity", "0")
        with Served(environment) as served:
            assert _state(served) == WELL
            halt(server)
            _becomes(served, NO_DATABASE)
    finally:
        server.stop()
