"""Rows made and inserted without Django's constructor are as Django makes them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from csms.models import Transaction
from csms.models.transactions import TransactionState
from csms.services.flush import _known_readings
from csms.services.rows import insert, new, read
from csms.services.world import Needs, load
from tests import factories

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def columns(**more: Any) -> dict[str, Any]:
    return {
        "transaction_id": 17,
        "charge_point_id": factories.charge_point().pk,
        "connector_id": 1,
        "started_at": NOW,
        "start_received_at": NOW,
        "start_timestamp": "2026-01-02T03:04:05Z",
        "meter_start": 0,
        **more,
    }


def values(row: models.Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.django_db
@pytest.mark.parametrize("more", [{}, {"flags": ["x"]}, {"state": TransactionState.STOPPED}])
def test_a_new_row_is_as_django_makes_it(more: dict[str, Any]) -> None:
    known = columns(**more)
    row = new(Transaction, **known)
    assert values(row) == values(Transaction(**known))
    insert(Transaction, [row])
    stored = Transaction.objects.get()
    assert values(stored) == values(row)
    (again,) = read(Transaction, "id > 0")
    assert values(again) == values(stored)


@pytest.mark.django_db
def test_new_rows_share_no_lists() -> None:
    one, other = new(Transaction), new(Transaction)
    one.flags.append("x")
    assert other.flags == []


@pytest.mark.sqlite
@pytest.mark.django_db
def test_the_questions_of_the_inbox_read_no_whole_table() -> None:
    """Also when all transactions are of one idTag, and the statistics say so."""
    charger = factories.charge_point()
    stopped = columns(charge_point_id=charger.pk, state=TransactionState.STOPPED, id_tag_key="tag")
    Transaction.objects.bulk_create(
        Transaction(**stopped | {"transaction_id": n, "start_timestamp": str(n)})
        for n in range(1, 1000)
    )
    for n in range(1000):
        factories.meter_value(charger, timestamp=str(n), digest=n, bucket_at=NOW)
    with connection.cursor() as cursor, CaptureQueriesContext(connection) as queries:
        cursor.execute("ANALYZE")
        needs = Needs(
            connectors=(1,),
            id_tags=("tag",),
            running_of_tags=True,
            transaction_ids=(5,),
            open_transactions=True,
            starts=((1, "tag", "x", 0),),
        )
        load([(charger.pk, needs)])
        _known_readings([(charger.pk, 1, "x", 5)])
    asked = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert len(asked) >= 6
    with connection.cursor() as cursor:
        for question in asked:
            steps = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {question}").fetchall()]
            scanned = [step for step in steps if step.startswith("SCAN") and "csms_" in step]
            assert not scanned, question
