"""Tables partitioned by month on PostgreSQL: meter values and the message log.

SQLite has no partitions; there the same models are ordinary tables. In Django's eyes the primary
key is `id`; in PostgreSQL it is (id, bucket_at): a partitioned key holds the partition column.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import migrations, transaction

PARTITIONED = ("csms_metervalue", "csms_message")
MONTHS_BEHIND = 2
MONTHS_AHEAD = 3

RECEIVED = {"csms_metervalue": "received_at", "csms_message": "bucket_at"}
"""When a row was received: by that its age counts. `bucket_at` of a reading is the charge point's
time, which may be months before."""

DROP_WITHIN = "300ms"
"""Dropping a month needs the table for itself, and who comes later waits behind it: when it does
not get it within this time, it gives way and is tried again at the next upkeep."""


class CreatePartitionedModel(migrations.CreateModel):
    """CreateModel whose table is partitioned by month of `bucket_at` on PostgreSQL."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.name)
        sql, parameters = schema_editor.table_sql(model)
        columns = sql.rstrip()[:-1].replace(" PRIMARY KEY", "", 1)
        schema_editor.execute(
            f'{columns}, PRIMARY KEY ("id", "bucket_at")) PARTITION BY RANGE ("bucket_at")',
            parameters or None,
        )
        for index in model._meta.indexes:
            schema_editor.add_index(model, index)
        with schema_editor.connection.cursor() as cursor:
            table = model._meta.db_table
            cursor.execute(f'CREATE TABLE "{table}_default" PARTITION OF "{table}" DEFAULT')
            make_months(cursor, table, now=datetime.now(UTC))


def month_start(year: int, month: int) -> datetime:
    """The first moment of a month; months count on beyond 12 and below 1."""
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)


def make_months(cursor: Any, table: str, *, now: datetime, oldest: datetime | None = None) -> None:
    """Make the partitions from two months ago to three months ahead that do not exist yet, but for
    those of which nothing would be kept (all before `oldest`)."""
    for offset in range(-MONTHS_BEHIND, MONTHS_AHEAD + 1):
        start = month_start(now.year, now.month + offset)
        end = month_start(now.year, now.month + offset + 1)
        if oldest is None or end > oldest:
            name = f"{table}_{start:%Y_%m}"
            _make_month(cursor, table, name, start.isoformat(), end.isoformat())


def _make_month(cursor: Any, table: str, name: str, start: str, end: str) -> None:
    """Make one partition; rows of its month that went into the default one move over."""
    cursor.execute("SELECT to_regclass(%s)", [f'"{name}"'])
    if cursor.fetchone()[0] is not None:
        return
    span = f"bucket_at >= '{start}' AND bucket_at < '{end}'"
    cursor.execute(
        f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS)'
    )
    cursor.execute(
        f'WITH moved AS (DELETE FROM "{table}_default" WHERE {span} RETURNING *) '
        f'INSERT INTO "{name}" SELECT * FROM moved'
    )
    cursor.execute(
        f'ALTER TABLE "{table}" ATTACH PARTITION "{name}" '
        f"FOR VALUES FROM ('{start}') TO ('{end}')"
    )


def make_all_months(
    connection: Any, *, now: datetime, oldest: Mapping[str, datetime] | None = None
) -> None:
    """Keep the partitions of all partitioned tables ahead of time; nothing to do on SQLite."""
    if connection.vendor != "postgresql":
        return
    for table in PARTITIONED:
        with transaction.atomic(), connection.cursor() as cursor:
            make_months(cursor, table, now=now, oldest=(oldest or {}).get(table))


def drop_month(connection: Any, table: str, *, before: datetime) -> str:
    """Drop one month of a table that ended and was received before a moment; its name, or "".

    Raises OperationalError when the table is in use for longer than DROP_WITHIN.
    """
    if connection.vendor != "postgresql":
        return ""
    for name in _months(connection, table):
        year, month = (int(text) for text in name.removeprefix(f"{table}_").split("_"))
        if month_start(year, month + 1) > before:
            continue
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT {RECEIVED[table]} FROM {name} ORDER BY id DESC LIMIT 1")
            newest = cursor.fetchone()
            if newest is not None and newest[0] >= before:  # a replay of what happened offline
                continue
            cursor.execute(f"SET LOCAL lock_timeout = '{DROP_WITHIN}'")
            cursor.execute(f"DROP TABLE {name}")
        return name
    return ""


def _months(connection: Any, table: str) -> list[str]:
    """The names of a table's partitions that hold a month, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [table],
        )
        names = sorted(name for (name,) in cursor.fetchall())
    return [name for name in names if re.fullmatch(rf"{table}_\d{{4}}_\d\d", name)]


def delete_oldest(connection: Any, table: str, *, before: datetime, most: int) -> int:
    """Delete rows that were received before a moment, at most so many; how many there were.

    They are looked for at the lower end of the key, where the oldest are: no index is needed. On
    PostgreSQL only in the default partition; months are dropped as a whole.
    """
    part = f"{table}_default" if connection.vendor == "postgresql" else table
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM (SELECT id, {RECEIVED[table]} AS received FROM {part} "
            f"ORDER BY id LIMIT {most}) AS oldest WHERE received < %s",
            [before],
        )
        ids = [number for (number,) in cursor.fetchall()]
        if ids:
            marks = ", ".join(["%s"] * len(ids))
            cursor.execute(f"DELETE FROM {part} WHERE id IN ({marks})", ids)
    return len(ids)
