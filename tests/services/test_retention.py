"""What is deleted with age, without anybody waiting for it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from csms import conf
from csms.models import Message, MeterValue, Transaction
from csms.partitions import month_start
from csms.services import clock
from csms.services.inbox import Inbox
from csms.services.messages import BATCH, messages_trim
from csms.services.retention import meter_values_trim, months_keep
from csms.services.threads import in_thread
from tests import factories
from tests.services.harness import House

NOW = datetime.now(UTC).replace(microsecond=0)
DAYS = {"CSMS_METER_RETENTION_DAYS": "100"}
LONG_AGO = NOW - timedelta(days=200)


def readings(count: int, received_at: datetime, bucket_at: datetime | None = None) -> None:
    """Raw meter values; on PostgreSQL those of long ago lie in the default partition."""
    cp = factories.charge_point()
    MeterValue.objects.bulk_create(
        MeterValue(
            charge_point=cp,
            connector_id=1,
            bucket_at=bucket_at or received_at,
            timestamp=str(number),
            received_at=received_at,
            digest=number,
            samples=[],
        )
        for number in range(count)
    )


def trim(**environment: str) -> list[int]:
    """How many rows went with each batch."""
    config = conf.read(environment)
    gone = []
    while count := meter_values_trim(now=NOW, config=config):
        gone.append(count)
    return gone


def months(**environment: str) -> list[str]:
    """The months of meter values that are dropped."""
    dropped = months_keep(now=NOW, config=conf.read(environment))
    return [name for name in dropped if "metervalue" in name]


def exists(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        return bool(cursor.fetchone()[0])


def partition(moment: datetime, table: str = "csms_metervalue") -> str:
    """Make a month's partition; its name."""
    from csms.partitions import make_months

    with connection.cursor() as cursor:
        make_months(cursor, table, now=moment)
    return f"{table}_{moment:%Y_%m}"


# ------------------------------------------------------------------------------ what goes


@pytest.mark.django_db
def test_readings_are_kept_for_their_days() -> None:
    readings(BATCH + 70, LONG_AGO)
    readings(3, NOW - timedelta(days=99))
    assert trim(**DAYS) == [BATCH, 70]
    assert MeterValue.objects.count() == 3


@pytest.mark.django_db
def test_readings_are_kept_for_ever_by_default() -> None:
    readings(3, LONG_AGO)
    assert trim() == []
    assert months() == []
    assert MeterValue.objects.count() == 3


@pytest.mark.django_db
def test_age_counts_from_the_receipt() -> None:
    """F8: what a charger replays after months offline is kept as long as anything else."""
    readings(3, NOW - timedelta(days=1), bucket_at=LONG_AGO)
    assert trim(**DAYS) == []
    assert months(**DAYS) == []
    assert MeterValue.objects.count() == 3


@pytest.mark.django_db
def test_a_transaction_keeps_its_energy() -> None:
    cp = factories.charge_point()
    row = factories.transaction(cp, started_at=LONG_AGO)
    factories.meter_value(cp, transaction=row, bucket_at=LONG_AGO)
    assert trim(**DAYS) == [1]
    kept = Transaction.objects.get()
    assert (kept.energy, kept.meter_start, kept.meter_stop) == (12_500, 1_000, 13_500)
    assert not kept.meter_values.exists()


# ---------------------------------------------------------------------- months (PostgreSQL)


@pytest.mark.postgres
@pytest.mark.django_db
def test_months_are_dropped_as_a_whole() -> None:
    old = partition(LONG_AGO)
    readings(3000, LONG_AGO)
    with CaptureQueriesContext(connection) as queries:
        assert old in months(**DAYS)
    assert not exists(old)
    assert not MeterValue.objects.exists()
    assert not any("DELETE" in query["sql"] and "_default" not in query["sql"] for query in queries)


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_month_that_is_not_over_stays_whole() -> None:
    limit = NOW - timedelta(days=100)
    name = partition(limit)
    readings(3, month_start(limit.year, limit.month))
    assert name not in months(**DAYS)
    assert MeterValue.objects.count() == 3


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_month_with_a_late_replay_stays() -> None:
    """F8: readings of that month that came yesterday."""
    old = partition(LONG_AGO)
    readings(3, LONG_AGO)
    readings(1, NOW - timedelta(days=1), bucket_at=LONG_AGO)
    assert old not in months(**DAYS)
    assert MeterValue.objects.count() == 4


@pytest.mark.postgres
@pytest.mark.django_db
def test_what_was_dropped_is_not_made_again() -> None:
    config = conf.read({"CSMS_LOG_RETENTION_DAYS": "1", "CSMS_METER_RETENTION_DAYS": "1"})
    assert months_keep(now=NOW, config=config) != []
    assert months_keep(now=NOW, config=config) == []
    assert exists(f"csms_message_{NOW:%Y_%m}")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_month_in_use_is_left_for_the_next_time() -> None:
    """Who reads the table holds up the drop; the drop does not hold up who comes after it."""
    import psycopg

    old = partition(LONG_AGO)
    try:
        with psycopg.connect(**_parameters()) as reader:
            reader.execute("SELECT count(*) FROM csms_metervalue")  # and its transaction stays open
            began = time.monotonic()
            assert old not in months(**DAYS)
            assert time.monotonic() - began < 10
            assert exists(old)
        assert old in months(**DAYS)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {old}")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_dump_keeps_months_from_being_made_and_nobody_waits() -> None:
    """Who reads all tables for hours, as a dump does, is in the way of a new month: nobody waits
    behind it, what there is to delete is deleted, and the month is made afterwards."""
    import psycopg

    then, config, before = NOW + timedelta(days=400), conf.read({}), partitions()
    try:
        with psycopg.connect(**_parameters()) as dump, waiting() as longest:
            dump.execute("LOCK TABLE csms_metervalue, csms_message IN ACCESS SHARE MODE")
            months_keep(now=then, config=config)
            assert partitions() == before
        assert longest() < 2
        months_keep(now=then, config=config)
        assert f"csms_metervalue_{then:%Y_%m}" in partitions() - before
    finally:
        with connection.cursor() as cursor:
            for name in partitions() - before:
                cursor.execute(f"DROP TABLE {name}")


def partitions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "JOIN pg_class ON oid = inhrelid AND relkind = 'r'"
        )
        return {name for (name,) in cursor.fetchall()}


@contextmanager
def waiting() -> Iterator[Callable[[], float]]:
    """Somebody reads the default partition again and again; the longest wait (s), afterwards."""
    import psycopg

    longest, over = 0.0, threading.Event()

    def read() -> None:
        nonlocal longest
        with psycopg.connect(**_parameters(), autocommit=True) as reader:
            while not over.wait(0.01):
                began = time.monotonic()
                reader.execute("SELECT 1 FROM csms_metervalue_default LIMIT 1")
                longest = max(longest, time.monotonic() - began)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield lambda: longest
    finally:
        over.set()
        thread.join()


def _parameters() -> dict[str, Any]:
    return {
        name: value
        for name, value in connection.get_connection_params().items()
        if name in ("dbname", "user", "password", "host", "port")
    }


# -------------------------------------------------------------------------- beside ingest


@pytest.mark.django_db
def test_no_statement_touches_more_than_a_batch() -> None:
    """What a writer waits for at most: one transaction of two statements, of BATCH rows."""
    readings(3 * BATCH, LONG_AGO)
    Message.objects.bulk_create(
        Message(bucket_at=LONG_AGO, identity="X", request="") for _ in range(3 * BATCH)
    )
    for step in (meter_values_trim, messages_trim):
        with CaptureQueriesContext(connection) as queries:
            assert step(now=NOW, config=conf.read(DAYS)) == BATCH
        deletes = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
        assert len(deletes) == 1
        assert deletes[0].count(",") < BATCH


@pytest.mark.django_db(transaction=True)
def test_ingest_goes_on_while_old_rows_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two batches of what is deleted, messages get their turn."""
    monkeypatch.setenv("CSMS_METER_RETENTION_DAYS", "100")
    monkeypatch.setenv("CSMS_LOG_RETENTION_DAYS", "0")  # the messages of this house are old at once
    conf.settings.cache_clear()
    readings(12 * BATCH, LONG_AGO)
    house = House()
    cp = house.charger()
    messages = iter([cp.message(cp.start(meter_start=meter)) for meter in range(4000)])
    turns: list[str] = []
    deleting = meter_values_trim

    def noted(**arguments: Any) -> int:
        count = deleting(**arguments)
        turns.append("deleted")
        return count

    monkeypatch.setattr(clock, "meter_values_trim", noted)

    async def scene() -> None:
        inbox = Inbox(house.config)
        inbox.start()
        upkeep = asyncio.create_task(clock.run())
        left = True
        while left:
            for _ in range(5):
                await inbox.submit(next(messages))
                turns.append("answered")
                await asyncio.sleep(0.005)
            left = await in_thread(
                MeterValue.objects.filter(received_at__lt=NOW - timedelta(days=100)).exists
            )
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)
        await inbox.stop()

    try:
        asyncio.run(scene())
    finally:
        conf.settings.cache_clear()
    first, last = turns.index("deleted"), len(turns) - 1 - turns[::-1].index("deleted")
    between = "".join(turn[0] for turn in turns[first:last])
    assert between.count("a") >= 6
    assert 10 * "d" not in between
