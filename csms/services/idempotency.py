"""Requests that are done once however often they are repeated (the Idempotency-Key header)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db import transaction

from csms.models import IdempotencyKey
from csms.services import bus

KEPT = timedelta(hours=24)
"""For how long a repeat is recognised."""

TRIMMED_AT_ONCE = 500


class KeyReused(ValueError):
    """The Idempotency-Key was used for another request before."""


class Answered(NamedTuple):
    """An answer as it leaves."""

    status: int
    text: str


def once(*, user: User, key: str, digest: str, act: Callable[[], Answered]) -> Answered:
    """Do what `act` does in one transaction, or give the earlier answer of the same user and key.

    `digest` tells requests apart. The key is kept only when `act` ends well, with what it did: a
    refused request may be corrected and tried again. Of two at the same time the second waits for
    the first (unique key). An empty key is never remembered. Raises KeyReused, and what `act`
    raises.
    """
    with transaction.atomic():
        if not key:
            answered = act()
        else:
            row, first = IdempotencyKey.objects.get_or_create(
                user=user, key=key, defaults={"digest": digest}
            )
            if row.digest != digest:
                raise KeyReused(KeyReused.__doc__)
            if not first:
                return Answered(row.status, row.response)
            answered = act()
            row.status, row.response = answered
            row.save(update_fields=["status", "response"])
    # What act published before its commit may have woken those who could not see it yet.
    bus.publish("charge_points")
    return answered


def idempotency_trim(*, now: datetime) -> int:
    """Forget keys older than a day, a few hundred at once; how many."""
    due = IdempotencyKey.objects.filter(created_at__lt=now - KEPT).order_by("created_at")
    ids = list(due.values_list("pk", flat=True)[:TRIMMED_AT_ONCE])
    if ids:
        IdempotencyKey.objects.filter(pk__in=ids).delete()
    return len(ids)
