"""Tables partitioned by month on PostgreSQL: meter values and the message log.

SQLite has no partitions; there the same models are ordinary tables. In Django's eyes the primary
key is `id`; in PostgreSQL it is (id, bucket_at): a partitioned key holds the partition column.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import migrations, transaction

PARTITIONED = ("csms_metervalue", "csms_message")
MONTHS_BEHIND = 2
MONTHS_AHEAD = 3


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


def make_months(cursor: Any, table: str, *, now: datetime) -> None:
    """Make the partitions from two months ago to three months ahead that do not exist yet."""
    for offset in range(-MONTHS_BEHIND, MONTHS_AHEAD + 1):
        start = month_start(now.year, now.month + offset)
        end = month_start(now.year, now.month + offset + 1)
        _make_month(cursor, table, f"{table}_{start:%Y_%m}", start.isoformat(), end.isoformat())


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


def make_all_months(connection: Any, *, now: datetime) -> None:
    """Keep the partitions of all partitioned tables ahead of time; nothing to do on SQLite."""
    if connection.vendor != "postgresql":
        return
    for table in PARTITIONED:
        with transaction.atomic(), connection.cursor() as cursor:
            make_months(cursor, table, now=now)
