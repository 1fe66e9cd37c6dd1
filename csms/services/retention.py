"""What is deleted with age: raw meter values, months of the message log as a whole, security
events, and what was noted of changes.

A transaction keeps its energy and its meter readings at start and stop for ever; only the readings
in between go. Each step is small: on SQLite nobody waits longer than for one batch, on PostgreSQL a
month is dropped without touching its rows. (csms/services/messages.py trims the log to the day.)
"""

import logging
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction

from csms.conf import Settings
from csms.models import AuditEntry, SecurityEvent
from csms.partitions import DROP_WITHIN, delete_oldest, drop_month, make_all_months
from csms.services.messages import BATCH

logger = logging.getLogger(__name__)


def retention_limits(*, now: datetime, config: Settings) -> dict[str, datetime]:
    """For each table with a retention: what was received before this moment goes."""
    days = {
        "csms_message": config.log_retention_days,
        "csms_metervalue": config.meter_retention_days,
    }
    return {table: now - timedelta(days=kept) for table, kept in days.items() if kept}


def meter_values_trim(*, now: datetime, config: Settings) -> int:
    """Delete one batch of meter values that are older than their retention.

    Returns how many rows went; call again until it is 0.
    """
    before = retention_limits(now=now, config=config).get("csms_metervalue")
    if before is None:
        return 0
    return delete_oldest(connection, "csms_metervalue", before=before, most=BATCH)


def records_trim(*, now: datetime, config: Settings) -> int:
    """Delete one batch of security events, or of changes, that are older than their retention.

    They are looked for at the lower end of the key, where the oldest are. Returns how many rows
    went; call again until it is 0.
    """
    return _trim(SecurityEvent, "received_at", now, config.event_retention_days) or _trim(
        AuditEntry, "at", now, config.audit_retention_days
    )


def _trim(model: type[AuditEntry | SecurityEvent], column: str, now: datetime, days: int) -> int:
    """Delete what is older than so many days of the oldest batch; 0 days keep all."""
    if not days:
        return 0
    limit = now - timedelta(days=days)
    oldest = model._default_manager.order_by("id").values_list("id", column)[:BATCH]
    ids = [pk for pk, at in oldest if at < limit]
    if ids:
        with transaction.atomic():
            model._default_manager.filter(id__in=ids).delete()
    return len(ids)


def months_keep(*, now: datetime, config: Settings) -> list[str]:
    """PostgreSQL: drop the months of which nothing is to be kept, make those to come.

    Returns the names of what was dropped. A table that is in use is left for the next time: who
    waits for it holds up all who come later, and a dump reads for hours.
    """
    limits = retention_limits(now=now, config=config)
    dropped = []
    for table, before in limits.items():
        try:
            while name := drop_month(connection, table, before=before):
                dropped.append(name)
        except OperationalError as error:
            logger.info("A month of %s is dropped later: %s", table, error)
    try:
        _months_make(now, limits)
    except OperationalError as error:
        logger.info("The months to come are made later: %s", error)
    return dropped


def _months_make(now: datetime, limits: dict[str, datetime]) -> None:
    """Make the months to come, which takes the default partition for a moment."""
    if connection.vendor != "postgresql":
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{DROP_WITHIN}'")
        make_all_months(connection, now=now, oldest=limits)
