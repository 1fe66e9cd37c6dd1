"""Rows made and inserted without Django's constructor are as Django makes them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import models

from csms.models import Transaction
from csms.models.transactions import TransactionState
from csms.services.rows import insert, new, read
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
