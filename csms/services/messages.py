"""The message log's retention, and the quarantine."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from csms.conf import Settings
from csms.models import Message, QuarantinedMessage

BATCH = 500
"""Rows deleted in one transaction, so that ingest never waits long."""

BYTES_A_ROW = 1_100
"""About what a row of the log takes, its indexes included."""


def messages_trim(*, now: datetime, config: Settings) -> int:
    """Delete one batch of the log that is older than its retention or beyond its size cap.

    Returns how many rows went; call again until it is 0.
    """
    oldest = Message.objects.order_by("id")
    doomed = list(oldest.values_list("id", "bucket_at")[:BATCH])
    if not doomed:
        return 0
    ids: list[int] = []
    if config.log_retention_days:
        limit = now - timedelta(days=config.log_retention_days)
        ids = [pk for pk, at in doomed if at < limit]
    if not ids and config.log_max_mb and connection.vendor == "sqlite":
        last = Message.objects.order_by("-id").values_list("id", flat=True)[0]
        if last - doomed[0][0] > config.log_max_mb * 1_000_000 // BYTES_A_ROW:
            ids = [pk for pk, _ in doomed]
    if ids:
        with transaction.atomic():
            Message.objects.filter(id__in=ids).delete()
    return len(ids)


def quarantine_resolve(*, message: QuarantinedMessage, resolved: bool = True) -> None:
    """Mark a quarantined message as dealt with."""
    message.resolved = resolved
    message.save(update_fields=["resolved"])
