"""Write what a batch recorded: each table in one statement, in a fixed order of tables.

Rows are updated before others are inserted, since a new transaction may take the connector of one
that this batch ended.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, cast

import msgspec
from django.db import connection, models

from csms.models import (
    CertificateSigningRequest,
    ChargePoint,
    Connector,
    Message,
    MeterValue,
    SecurityEvent,
    Transaction,
    TransferStatus,
)
from csms.services.rows import encoded, insert, kind_of, kinds, preparation, sources, stored
from csms.services.webhook_events import note_batch
from csms.services.world import MeterRow, World

UPDATED: tuple[type[models.Model], ...] = (ChargePoint, Connector, Transaction)
CREATED: tuple[type[models.Model], ...] = (
    Connector,
    Transaction,
    TransferStatus,
    SecurityEvent,
    CertificateSigningRequest,
)
METER_COLUMNS = (
    "bucket_at",
    "charge_point_id",
    "connector_id",
    "transaction_id",
    "timestamp",
    "received_at",
    "digest",
    "samples",
    "energy",
    "power",
    "soc",
    "flags",
)
LOG_COLUMNS = (
    "bucket_at",
    "charge_point_id",
    "identity",
    "transport",
    "direction",
    "action",
    "message_id",
    "request",
    "answer",
    "duration",
    "error",
    "notes",
    "remote_address",
)
MOST_KNOCKS = 10_000
"""Unknown identities kept at most: anybody can knock."""

READING_COLUMNS = ("charge_point_id", "connector_id", "timestamp", "digest")
Reading = tuple[int, int, str, int]
"""Charge point, connectorId, timestamp as sent, digest of the samples."""

_json = msgspec.json.Encoder()


def flush(world: World) -> None:
    """Write a batch; the caller holds the transaction."""
    for model in UPDATED:
        _update(model, [each for (kind, _), each in world.changed.items() if kind is model])
    for model in CREATED:
        rows = world.created.get(model)
        if rows:
            insert(model, rows)
    note_batch(world)
    _append_meter_values(world)
    _count_deviations(world)
    _quarantine(world)
    _knock(world)
    append_log(world.log)


def _update(model: type[models.Model], rows: list[tuple[models.Model, set[str]]]) -> None:
    """Update the columns named, rows of the same columns in one statement.

    All belong to charge points that `load` has locked, in a fixed order: no two processes come
    here with the same rows, and none waits for the other.
    """
    groups: dict[tuple[str, ...], list[models.Model]] = defaultdict(list)
    for row, names in rows:
        groups[tuple(sorted(names))].append(row)
    for columns, members in groups.items():
        statement, types, prepared = _updating(model, columns)
        members.sort(key=attrgetter("pk"))
        values = [
            [*(prepare(row.__dict__[name]) for name, prepare in prepared), row.pk]
            for row in members
        ]
        with connection.cursor() as cursor:
            for source, some in sources(cursor, types, values):
                cursor.execute(statement % source, some)


@cache
def _updating(
    model: type[models.Model], names: tuple[str, ...]
) -> tuple[str, tuple[str, ...], list[tuple[str, Callable[[Any], Any]]]]:
    """How to change these columns: the statement (but for its rows), types and preparations."""
    fields = [cast("models.Field[Any, Any]", model._meta.get_field(name)) for name in names]
    table = connection.ops.quote_name(model._meta.db_table)
    columns = [connection.ops.quote_name(str(field.column)) for field in fields]
    changes = ", ".join(f"{column} = new.column{i}" for i, column in enumerate(columns, 1))
    return (
        f"UPDATE {table} SET {changes} FROM (%s) AS new "
        f"WHERE {table}.id = new.column{len(columns) + 1}",
        (*(kind_of(field) for field in fields), "bigint"),
        [(field.attname, preparation(field)) for field in fields],
    )


def _append(
    model: type[models.Model],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    tail: str = "",
) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.cursor() as cursor:
        for source, values in sources(cursor, kinds(model, columns), rows):
            cursor.execute(f"INSERT INTO {model._meta.db_table} ({names}) {source} {tail}", values)


def _append_meter_values(world: World) -> None:
    """A retry is the same row: (charge point, connector, timestamp, digest, bucket) is unique."""
    meter_rows = _without_known_readings(world.meter_rows)
    if not meter_rows:
        return
    rows = [
        (
            stored(row.bucket_at),
            row.charge_point_id,
            row.connector_id,
            None if row.transaction is None else row.transaction.pk,
            row.timestamp,
            stored(row.received_at),
            row.digest,
            encoded(row.samples),
            row.energy,
            row.power,
            row.soc,
            encoded(_json.encode(row.flags).decode()),
        )
        for row in meter_rows
    ]
    _append(MeterValue, METER_COLUMNS, rows, "ON CONFLICT DO NOTHING")


def _without_known_readings(rows: list[MeterRow]) -> list[MeterRow]:
    """Leave out retries of readings for whose timestamp the time of receipt stands in.

    Their bucket is another each time, so that the unique key does not find them. What came without
    any timestamp is kept: nothing tells a retry of it from the next reading.
    """
    clockless = {_reading(row) for row in rows if _has_no_clock(row)}
    if not clockless:
        return rows
    known = _known_readings(sorted(clockless))
    kept = []
    for row in rows:
        if _has_no_clock(row):
            if _reading(row) in known:
                continue
            known.add(_reading(row))
        kept.append(row)
    return kept


def _has_no_clock(row: MeterRow) -> bool:
    return row.bucket_at == row.received_at and row.timestamp != ""


def _reading(row: MeterRow) -> Reading:
    return row.charge_point_id, row.connector_id, row.timestamp, row.digest


def _known_readings(readings: list[Reading]) -> set[Reading]:
    """Those of the readings that are stored, as the index `meter_value_clockless` finds them."""
    # Joined in this order: for IN, SQLite reads the whole table.
    query = (
        "SELECT old.charge_point_id, old.connector_id, old.timestamp, old.digest "
        "FROM (%s) AS new CROSS JOIN csms_metervalue AS old "
        "WHERE old.charge_point_id = new.column1 AND old.connector_id = new.column2 "
        "AND old.timestamp = new.column3 AND old.digest = new.column4 "
        "AND old.bucket_at = old.received_at"
    )
    known: set[Reading] = set()
    with connection.cursor() as cursor:
        for source, values in sources(cursor, kinds(MeterValue, READING_COLUMNS), readings):
            cursor.execute(query % source, values)
            known.update(cursor.fetchall())
    return known


def append_log(rows: list[tuple[Any, ...]]) -> None:
    """Append rows of LOG_COLUMNS to the message log."""
    if rows:
        _append(Message, LOG_COLUMNS, rows)


def _count_deviations(world: World) -> None:
    if not world.deviations:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO csms_deviation (charge_point_id, name, count, first_at, last_at, example) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (charge_point_id, name) DO UPDATE SET "
            "count = csms_deviation.count + excluded.count, last_at = excluded.last_at, "
            "example = excluded.example",
            [
                (pk, name[:100], count, stored(at), stored(at), example)
                for (pk, name), (count, example, at) in sorted(world.deviations.items())
            ],
        )


def _quarantine(world: World) -> None:
    """One row for each message; the same again is counted."""
    if not world.quarantine:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO csms_quarantinedmessage (charge_point_id, identity, transport, action, "
            "message_id, raw, reason, received_at, digest, count, resolved) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s) "
            "ON CONFLICT (identity, action, digest) DO UPDATE SET "
            "count = csms_quarantinedmessage.count + 1",
            [
                (
                    item["charge_point_id"],
                    item["identity"],
                    item["transport"],
                    item["action"],
                    item["message_id"],
                    item["raw"],
                    item["reason"],
                    stored(item["received_at"]),
                    item["digest"],
                    False,
                )
                for item in world.quarantine
            ],
        )


def _knock(world: World) -> None:
    if not world.knocks:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO csms_unknownchargepoint (identity, transport, remote_address, vendor, "
            "model, count, first_at, last_at) SELECT %s, %s, %s, %s, %s, %s, %s, %s "
            "WHERE (SELECT count(*) FROM csms_unknownchargepoint) < %s OR EXISTS (SELECT 1 "
            "FROM csms_unknownchargepoint WHERE identity = %s AND transport = %s) "
            "ON CONFLICT (identity, transport) DO UPDATE SET "
            "remote_address = excluded.remote_address, "
            "count = csms_unknownchargepoint.count + excluded.count, last_at = excluded.last_at, "
            "vendor = CASE WHEN excluded.vendor = '' THEN csms_unknownchargepoint.vendor "
            "ELSE excluded.vendor END, "
            "model = CASE WHEN excluded.model = '' THEN csms_unknownchargepoint.model "
            "ELSE excluded.model END",
            [
                (
                    identity[:255],
                    transport,
                    knock["remote_address"],
                    knock["vendor"],
                    knock["model"],
                    knock["count"],
                    stored(knock["at"]),
                    stored(knock["at"]),
                    MOST_KNOCKS,
                    identity[:255],
                    transport,
                )
                for (identity, transport), knock in sorted(world.knocks.items())
            ],
        )
