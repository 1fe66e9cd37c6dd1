"""What becomes of a reservation because of what became of commands (OCPP 1.6 §5.4, §5.13).

A row is made with its ReserveNow, whoever asked for it, and follows that command's state.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Max
from django.utils import timezone

from csms.models import Command, Reservation, Transaction
from csms.models.authorization import fold
from csms.models.commands import CommandState
from csms.models.reservations import HELD_STATES, NEVER_HELD, OPEN_STATES, ReservationState

REFUSED_WORDS = {
    "Faulted": "Faulted: the connector, or the charge point, has a fault.",
    "Occupied": "Occupied: the connector, or every connector, is in use or reserved.",
    "Rejected": "Rejected: the charge point takes no reservations, or none of this connector.",
    "Unavailable": "Unavailable: the connector, or the charge point, is out of service.",
}
"""ReservationStatus (§7.41) in words."""

ACTIONS = frozenset({"CancelReservation", "ReserveNow"})
NOT_THERE = "Rejected: the charge point has no such reservation."
REPLACED = "A later ReserveNow with the same reservationId has replaced it."


def reservations_noted(commands: Iterable[Command]) -> None:
    """The state of commands has changed, or they were made. To be called in their transaction."""
    concerned = [command for command in commands if command.action in ACTIONS]
    asking = [command for command in concerned if command.action == "ReserveNow"]
    known = {row.command_id: row for row in Reservation.objects.filter(command__in=asking)}
    Reservation.objects.bulk_create(
        _requested(command)
        for command in asking
        if command.pk not in known and command.state == CommandState.QUEUED
    )
    for command in concerned:
        if command.action == "CancelReservation":
            _follow_cancellation(command)
        elif command.pk in known:
            _follow(known[command.pk], command)


def _requested(command: Command) -> Reservation:
    asked: dict[str, Any] = command.payload
    return Reservation(
        charge_point_id=command.charge_point_id,
        command=command,
        connector_id=asked["connectorId"],
        id_tag=asked["idTag"],
        id_tag_key=fold(asked["idTag"]),
        parent_id_tag=asked.get("parentIdTag", ""),
        expiry_date=datetime.fromisoformat(asked["expiryDate"]),
        reservation_id=asked["reservationId"],
        requested_at=command.created_at,
    )


def _follow(row: Reservation, command: Command) -> None:
    """What a ReserveNow's state makes of its reservation, unless that has ended meanwhile."""
    if row.state not in (ReservationState.REQUESTED, ReservationState.UNKNOWN):
        return
    now = command.finished_at or timezone.now()
    match command.state:
        case CommandState.QUEUED:  # it certainly was not received, and waits again
            row.held_from = None
            row.save(update_fields=["held_from"])
        case CommandState.SENT:
            latest = Transaction.objects.aggregate(latest=Max("id"))["latest"]
            row.held_from, row.transactions_before = command.sent_at, latest or 0
            row.save(update_fields=["held_from", "transactions_before"])
        case CommandState.ACCEPTED:
            reservation_hold(row, at=now)
        case CommandState.TIMED_OUT:
            row.state = ReservationState.UNKNOWN
            row.reason = "No answer came: whether it was made is not known."
            row.save(update_fields=["state", "reason"])
        case CommandState.REJECTED:
            status = str((command.answer or {}).get("status", ""))
            words = REFUSED_WORDS.get(status, status)
            reservation_end(row, ReservationState.REFUSED, words, at=now)
        case CommandState.ERROR:
            reservation_end(row, ReservationState.REFUSED, command.error, at=now)
        case CommandState.EXPIRED:
            reservation_end(row, ReservationState.EXPIRED, "It was never sent.", at=now)
        case CommandState.CANCELLED:
            reservation_end(row, ReservationState.CANCELLED, "It was never sent.", at=now)


def reservation_hold(row: Reservation, *, at: datetime, reason: str = "") -> None:
    """A charge point has made a reservation. §5.13: the same reservationId replaces."""
    same = Reservation.objects.filter(
        charge_point=row.charge_point_id, reservation_id=row.reservation_id
    ).exclude(pk=row.pk)
    later = same.filter(command__gt=row.command_id, held_from__isnull=False)
    if later.exclude(state__in=NEVER_HELD | {ReservationState.UNKNOWN}).exists():
        reservation_end(row, ReservationState.REPLACED, REPLACED, at=at)
        return
    for other in same.filter(state__in=HELD_STATES):
        reservation_end(other, ReservationState.REPLACED, REPLACED, at=at)
    Reservation.objects.filter(pk=row.pk, state=row.state).update(
        state=ReservationState.ACTIVE, reason=reason, held_from=at
    )
    row.state, row.reason, row.held_from = ReservationState.ACTIVE, reason, at


def reservation_end(
    row: Reservation, state: ReservationState, reason: str = "", *, at: datetime
) -> bool:
    """A reservation is over; False when it has changed since it was read."""
    unchanged = Reservation.objects.filter(pk=row.pk, state=row.state)
    if not unchanged.update(state=state, reason=reason[:255], ended_at=at):
        return False
    row.state, row.reason, row.ended_at = state, reason[:255], at
    return True


def _follow_cancellation(command: Command) -> None:
    """§5.4: Accepted ends the reservation; Rejected says that there is none."""
    rows = Reservation.objects.filter(
        charge_point=command.charge_point_id,
        reservation_id=command.payload["reservationId"],
        command__lt=command.pk,
    )
    if command.state == CommandState.QUEUED:
        rows.filter(state__in=OPEN_STATES).update(cancellation=command)
    at = command.finished_at or timezone.now()
    if command.state == CommandState.ACCEPTED:
        for row in rows.filter(state__in=HELD_STATES):
            reservation_end(row, ReservationState.CANCELLED, at=at)
    elif command.state == CommandState.REJECTED:
        for row in rows.filter(state__in=HELD_STATES):
            reservation_end(row, ReservationState.ENDED, NOT_THERE, at=at)
