"""Tables at size on PostgreSQL: what a question reads of a million meter values in a year's
partitions, and that a month goes without holding up who writes."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from csms import conf
from csms.models import ChargePoint, MeterValue, Transaction
from csms.partitions import DROP_WITHIN, make_all_months, make_months, month_start
from csms.services.inbox import Inbox
from csms.services.retention import months_keep
from csms.services.threads import in_thread
from tests import factories
from tests.api.caller import caller
from tests.services.harness import House, meter_value, sample

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.timeout(300),
    pytest.mark.django_db(transaction=True),
]

ROWS = 1_000_000
MONTHS = 12
CHARGERS = 100
READINGS = 100
"""Of a transaction."""
TRANSACTION, FIRST_KEY = 4711, 1_000_000
"""The transactionId that is asked for; the primary key of the first transaction."""
NOW = datetime.now(UTC).replace(microsecond=0)
FIRST = month_start(NOW.year, NOW.month - MONTHS + 1)

FILL = """
INSERT INTO csms_metervalue (bucket_at, charge_point_id, connector_id, transaction_id, timestamp,
    received_at, digest, samples, energy, power, soc, flags)
SELECT at, {first} + n % {chargers}, 1, {transaction} + n % {chargers}
    + {chargers} * (n / {chargers} / {readings}), at::text, at, n, '[]', 1000.0 + n, 7360.5, 64,
    '[]'
FROM (SELECT n, timestamptz '{start}' + n * interval '{step} seconds' AS at
    FROM generate_series(0, {rows} - 1) AS n) AS numbers
"""


class Filled(NamedTuple):
    """What was asked about: a charge point, and a transaction of its in the middle of the year."""

    charge_point: ChargePoint
    transaction: Transaction


@contextmanager
def filled(rows: int) -> Iterator[Filled]:
    """So many meter values, in order of their time, of all chargers in turns."""
    chargers = [factories.charge_point() for _ in range(CHARGERS)]
    first = chargers[0].pk
    assert chargers[-1].pk == first + CHARGERS - 1
    length = (NOW - FIRST).total_seconds()
    every = length / rows * CHARGERS
    before = rows // CHARGERS // READINGS // 2
    began = FIRST + timedelta(seconds=every * READINGS * before)
    row = factories.transaction(
        chargers[0],
        pk=FIRST_KEY + CHARGERS * before,
        transaction_id=TRANSACTION,
        started_at=began,
    )
    Transaction.objects.filter(pk=row.pk).update(
        stopped_at=began + timedelta(seconds=every * READINGS)
    )
    try:
        with connection.cursor() as cursor:
            for number in range(MONTHS):
                month = month_start(FIRST.year, FIRST.month + number)
                make_months(cursor, "csms_metervalue", now=month)
            cursor.execute(
                FILL.format(
                    first=first,
                    chargers=CHARGERS,
                    readings=READINGS,
                    transaction=FIRST_KEY,
                    start=FIRST.isoformat(),
                    step=length / rows,
                    rows=rows,
                )
            )
            cursor.execute("ANALYZE csms_metervalue")
        yield Filled(chargers[0], row)
    finally:
        with connection.cursor() as cursor:
            for name in months():
                cursor.execute(f"DROP TABLE {name}")
        make_all_months(connection, now=datetime.now(UTC))


def name_of(moment: datetime) -> str:
    """The partition of a month."""
    return f"csms_metervalue_{moment:%Y_%m}"


def months() -> list[str]:
    """The partitions of meter values, but for the default one, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits "
            "WHERE inhparent = 'csms_metervalue'::regclass ORDER BY name"
        )
        return [name for (name,) in cursor.fetchall() if not name.endswith("_default")]


# -------------------------------------------------------------------------- the two questions


class Read(NamedTuple):
    """What PostgreSQL read of meter values for one question."""

    partitions: set[str]
    """Those that were looked into."""
    with_rows: set[str]
    indexes: set[str]
    """Their names without that of the partition."""
    whole: set[str]
    """Partitions of which more than an index was gone through, although there are rows in them."""
    rows: int
    blocks: int
    """Of 8 KiB, in all."""


def reads(ask: Callable[[], Any]) -> list[Read]:
    """What is read for each query over meter values that a request makes."""
    with CaptureQueriesContext(connection) as captured:
        ask()
    queries = [query["sql"] for query in captured if 'FROM "csms_metervalue"' in query["sql"]]
    return [_read(query) for query in queries]


def _read(query: str) -> Read:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}")
        plan = cursor.fetchone()[0]
    (explained,) = json.loads(plan) if isinstance(plan, str) else plan
    nodes = [node for node in _nodes(explained["Plan"]) if node["Actual Loops"]]
    scans = [
        node for node in nodes if str(node.get("Relation Name", "")).startswith("csms_metervalue")
    ]
    names = [node.get("Index Name", "") for node in nodes]  # also of what a bitmap is made of
    top = explained["Plan"]
    return Read(
        partitions={scan["Relation Name"] for scan in scans},
        with_rows={scan["Relation Name"] for scan in scans if scan["Actual Rows"]},
        indexes={
            name.removeprefix("csms_metervalue_").lstrip("0123456789_").removeprefix("default_")
            for name in names
            if name.startswith("csms_metervalue")
        },
        whole={
            scan["Relation Name"]
            for scan in scans
            if scan["Node Type"] == "Seq Scan"
            and (scan["Actual Rows"] or scan.get("Rows Removed by Filter"))
        },
        rows=sum(scan["Actual Rows"] for scan in scans),
        blocks=top["Shared Hit Blocks"] + top["Shared Read Blocks"],
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def test_the_two_questions_read_one_index_and_little_else() -> None:
    """A charger's last hours lie in one partition, or two; a transaction's curve in one, or two,
    and of the others only the index is looked into."""
    integrator, browser = caller("read"), Client()
    browser.force_login(factories.operator())
    with filled(ROWS) as asked:
        assert MeterValue.objects.count() == ROWS
        hours = (
            f"charge_point={asked.charge_point.identity}&from={NOW - timedelta(hours=12):%FT%TZ}"
        )
        page = f"/admin/csms/transaction/{asked.transaction.pk}/change/"
        (last,) = reads(lambda: integrator.get(f"meter-values?{hours}"))
        curves = reads(lambda: browser.get(page))
        curves += reads(lambda: integrator.get(f"meter-values?transaction={TRANSACTION}&limit=500"))
    recent = {name_of(NOW), name_of(month_start(NOW.year, NOW.month - 1))}
    assert last.with_rows <= recent
    assert last.partitions.isdisjoint(name for name in months() if name < min(recent))
    assert last.indexes == {"charge_point_id_bucket_at_connector_key"}
    assert curves
    for curve in curves:
        assert curve.indexes == {"transaction_id_bucket_at_idx"}
        assert 1 <= len(curve.with_rows) <= 2
    for read in (last, *curves):
        assert not read.whole
        assert 0 < read.rows <= 3 * READINGS
        assert read.blocks < 500, read


# -------------------------------------------------------------------------------- retention


async def _messages(house: House, stop: asyncio.Event) -> list[float]:
    """Seconds that each message waited for its answer, until told to stop."""
    cp = await in_thread(house.charger)
    taken, number = [], 0
    while not stop.is_set():
        number += 1
        at = NOW - timedelta(seconds=number)
        reading = {"connectorId": 1, "meterValue": [meter_value(at, sample(number))]}
        incoming = await in_thread(lambda reading=reading: cp.plain("MeterValues", reading))
        began = time.monotonic()
        await house.inbox.submit(incoming)
        taken.append(time.monotonic() - began)
    return taken


def test_a_month_goes_without_holding_up_who_writes() -> None:
    """Dropped as a whole beside an ingest; and where somebody reads for long, the drop gives way
    within DROP_WITHIN, so that nobody waits behind it."""
    config = conf.read({"CSMS_METER_RETENTION_DAYS": "100", "CSMS_LOG_RETENTION_DAYS": "0"})
    kept = name_of(NOW - timedelta(days=100))

    async def scene() -> tuple[list[str], list[str], float]:
        house = House()
        house.inbox = Inbox(house.config)
        house.inbox.start()
        stop = asyncio.Event()
        writing = asyncio.create_task(_messages(house, stop))
        try:
            with reading():
                held = await in_thread(months_keep, now=NOW, config=config)
                await asyncio.sleep(0.2)
            dropped = await in_thread(months_keep, now=NOW, config=config)
            await asyncio.sleep(0.2)
        finally:
            stop.set()
            taken = await writing
            await house.inbox.stop()
        assert len(taken) > 5
        return held, dropped, max(taken)

    with filled(ROWS // 4):
        old = [name for name in months() if name < kept]
        assert len(old) >= MONTHS - 5
        held, dropped, slowest = asyncio.run(scene())
        left = months()
    assert held == []
    assert dropped == old
    assert left[0] == kept
    assert slowest < float(DROP_WITHIN.removesuffix("ms")) / 1000 + 0.7


@contextmanager
def reading() -> Iterator[None]:
    """Somebody reads the whole table in a transaction that stays open."""
    import psycopg

    known = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    with psycopg.connect(**{name: known[name] for name in names if name in known}) as reader:
        reader.execute("SELECT count(*) FROM csms_metervalue")
        yield
