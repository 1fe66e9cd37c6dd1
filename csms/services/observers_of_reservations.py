"""Observers of reservations: Reserved, and later the transaction that used one."""

import re
from datetime import datetime

from csms.models import Command, Connector, Message, Transaction
from csms.models.charge_points import ChargePointStatus
from csms.models.commands import CommandState, Effect
from csms.services.observers import (
    CLOCK_TOLERANCE,
    CONNECTOR,
    MOST_MESSAGES,
    Verdict,
    observes,
    seen,
)


@observes("ReserveNow")
def reserve_now(command: Command) -> Verdict | None:
    """§5.13: status Reserved, later the transaction that used the reservation."""
    used = reservation_used(command)
    if used is not None:
        return used
    if command.payload["connectorId"] == 0:
        return Verdict(Effect.ASSUMED, "A reservation on connector 0 shows on no connector.")
    reserved = Connector.objects.filter(
        charge_point=command.charge_point_id,
        connector_id=command.payload["connectorId"],
        status=ChargePointStatus.RESERVED,
    )
    if command.state != CommandState.ACCEPTED:  # it may be Reserved for somebody else
        reserved = reserved.filter(received_at__gte=command.sent_at)
    if reserved.exists():
        return seen("The connector is Reserved.")
    return seen("The connector was Reserved.") if _was_reserved(command) else None


_RESERVED = re.compile(r'status(?:"\s*:\s*"|[^<>]*>\s*)Reserved\b')


def _was_reserved(command: Command) -> bool:
    """Whether a StatusNotification since then said so, even if others followed at once."""
    told = Message.objects.filter(
        charge_point=command.charge_point_id,
        direction="in",
        action="StatusNotification",
        bucket_at__gte=command.sent_at,
    )
    number = command.payload["connectorId"]
    return any(
        _RESERVED.search(text) and re.search(CONNECTOR.format(number), text)
        for text in told.order_by("id").values_list("request", flat=True)[:MOST_MESSAGES]
    )


def reservation_used(command: Command) -> Verdict | None:
    """The transaction that used a reservation, before it expired, was replaced or cancelled.

    §5.13: the same reservationId replaces a reservation.
    """
    assert command.sent_at is not None
    number = command.payload["reservationId"]
    rows = Transaction.objects.filter(
        charge_point=command.charge_point_id,
        reservation_id=number,
        start_received_at__gte=command.sent_at,
        started_at__gte=command.sent_at - CLOCK_TOLERANCE,
        started_at__lte=datetime.fromisoformat(command.payload["expiryDate"]),
    ).exclude(commands__action="ReserveNow")
    ended = (
        Command.objects.filter(
            charge_point=command.charge_point_id,
            action__in=["ReserveNow", "CancelReservation"],
            id__gt=command.pk,
            state=CommandState.ACCEPTED,
            payload__reservationId=number,
        )
        .order_by("id")
        .first()
    )
    if ended is not None:
        rows = rows.filter(start_received_at__lt=ended.sent_at)
    row = rows.order_by("id").first()
    return None if row is None else seen(f"Used by transaction {row}.", row)
