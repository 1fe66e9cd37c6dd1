"""What a deletion takes with it, in numbers: a list of it could be a million rows long."""

from collections.abc import Iterable

from csms.admin.paginator import bounded_count, bounded_text
from csms.admin.show import visible
from csms.models import (
    ChargePoint,
    Command,
    Connector,
    Deviation,
    QuarantinedMessage,
    Reservation,
    SecurityEvent,
    Transaction,
    TransferStatus,
)

TAKEN = (
    Connector,
    Deviation,
    Command,
    Reservation,
    QuarantinedMessage,
    SecurityEvent,
    TransferStatus,
)

USED = "Some have transactions: reject those"

Deletion = tuple[list[str], dict[str, str], set[str], list[str]]


def bounded_deletion(charge_points: Iterable[ChargePoint]) -> Deletion:
    """Django's get_deleted_objects for charge points: (names, counts, permissions, protected)."""
    rows = list(charge_points)
    keys = [row.pk for row in rows]
    counts = {"charge points": f"{len(rows):,}"}
    for model in TAKEN:
        count = bounded_count(model._default_manager.filter(charge_point__in=keys))
        if count:
            counts[str(model._meta.verbose_name_plural)] = bounded_text(count)
    transactions = bounded_count(Transaction.objects.filter(charge_point__in=keys))
    protected = []
    if transactions:
        it_has = "It has transactions: reject it" if len(rows) == 1 else USED
        protected = [f"{bounded_text(transactions)} transactions", f"{it_has} instead."]
    return [visible(row.identity) for row in rows], counts, set(), protected
