"""Fills the tables of a prepared database by SQL, in seconds: what years of operation leave behind.

python -m bench.filling TRANSACTIONS METER_ROWS

The rows belong to all charge points alike and to the last sixty days; the samples of a meter value
are left out. They are made charge point after charge point, so that every index grows at its end.
"""

import os
import sys
from datetime import UTC, datetime, timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "csms.settings")

import django

django.setup()

from django.db import connection  # noqa: E402  after setup

from csms.models import ChargePoint  # noqa: E402

DAYS = 60
FIRST_ID = 1_000_000_000
"""The first transactionId; those of charge points are random."""

CONNECTORS = (
    "INSERT INTO csms_connector (charge_point_id, connector_id, status, error_code, info, "
    "vendor_id, vendor_error_code) "
    "SELECT id, 1, 'Available', 'NoError', '', '', '' FROM csms_chargepoint"
)
TRANSACTIONS = (
    "INSERT INTO csms_transaction (transaction_id, charge_point_id, connector_id, state, id_tag, "
    'id_tag_key, "authorization", start_timestamp, occurrence, started_at, start_received_at, '
    "meter_start, stopped_at, stop_received_at, meter_stop, stop_reason, stop_id_tag, energy, "
    "billable, flags) SELECT {first_id} + n, {charge_point}, 1, 'stopped', 'TAG', 'tag', "
    "'Accepted', {text}, n, {moment}, {moment}, 1000, {moment}, {moment}, 9000, 'Local', '', 8000, "
    "true, '[]' FROM {numbers}"
)
METER_VALUES = (
    "INSERT INTO csms_metervalue (bucket_at, charge_point_id, connector_id, transaction_id, "
    "timestamp, received_at, digest, samples, energy, power, soc, flags) "
    "SELECT {moment}, {charge_point}, 1, {transaction}, {text}, {moment}, n, '[]', "
    "1000.0 + n, 7360.5, 64.0, '[]' FROM {numbers}"
)


HASTY = {
    "sqlite": (
        ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-500000"),
        ("PRAGMA journal_mode=WAL",),
    ),
    "postgresql": (("SET synchronous_commit=off", "SET work_mem='256MB'"), ("CHECKPOINT",)),
}
"""Nothing is lost when filling is cut short: it begins anew."""


def fill(statement: str, rows: int, *, transactions: int = 0) -> None:
    """Run one of the statements above for so many rows."""
    first, count = charge_points()
    each = max(1, rows // count)
    start, step = datetime.now(UTC) - timedelta(days=DAYS), DAYS * 86_400 / each
    if connection.vendor == "postgresql":
        numbers = f"generate_series(0, {rows - 1}) AS n"
        moment = f"timestamptz '{start.isoformat()}' + (n % {each}) * {step} * interval '1 second'"
        text = f"({moment})::text"
    else:
        numbers = (
            "(WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers "
            f"WHERE n < {rows - 1}) SELECT n FROM numbers)"
        )
        seconds = f"{start.timestamp():.3f} + (n % {each}) * {step}"
        text = moment = f"strftime('%Y-%m-%d %H:%M:%f', {seconds}, 'unixepoch')"
    with connection.cursor() as cursor:
        cursor.execute(
            statement.format(
                numbers=numbers,
                moment=moment,
                text=text,
                first_id=FIRST_ID,
                charge_point=f"{first} + (n / {each}) % {count}",
                transaction=f"1 + n / {max(1, rows // max(1, transactions))}",
            )
        )


def charge_points() -> tuple[int, int]:
    """The first primary key, and how many there are in a row."""
    keys = ChargePoint.objects.order_by("pk").values_list("pk", flat=True)
    return keys[0], len(keys)


def main(transactions: int, meter_rows: int) -> None:
    before, after = HASTY.get(connection.vendor, ((), ()))
    with connection.cursor() as cursor:
        for statement in (*before, CONNECTORS):
            cursor.execute(statement)
    fill(TRANSACTIONS, transactions)
    fill(METER_VALUES, meter_rows, transactions=transactions)
    with connection.cursor() as cursor:
        for statement in ("ANALYZE", *after):
            cursor.execute(statement)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
