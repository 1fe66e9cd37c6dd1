"""Reservations that people ask for, cancel, and that run out: what of them is commands.

What becomes of them by themselves: reservation_states.py and reservation_uses.py.
"""

import secrets
from datetime import datetime

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from msgspec import UNSET

from csms.models import ChargePoint, Command, ConfigurationKey, Connector, IdTag, Reservation
from csms.models.authorization import fold
from csms.models.commands import BY_CLOCK, CommandState
from csms.models.reservations import HELD_STATES, OPEN_STATES, ReservationState
from csms.ocpp.reservation import CancelReservation, ReserveNow
from csms.services.commands import (
    CommandRefused,
    PayloadRefused,
    command_cancel,
    command_send,
    commands_cancel,
)
from csms.services.reservation_states import reservation_end

LONGEST_WAIT = 30 * 86_400
"""Seconds for which a command may wait for its charge point."""
PAGE = 500
ZERO_KEY = "reserveconnectorzerosupported"


class ReservationOver(CommandRefused):
    """There is nothing left to cancel, or it is being cancelled already."""


# --------------------------------------------------------------------- asking for one


def zero_supported(charge_point: ChargePoint) -> bool:
    """Whether any connector may be reserved, without naming one; yes where it is not known.

    §9.3 ReserveConnectorZeroSupported.
    """
    known = ConfigurationKey.objects.filter(charge_point=charge_point, folded=ZERO_KEY)
    values = known.filter(known=True).values_list("value", flat=True)
    return all(value.strip().casefold() != "false" for value in values)


def reservable_connectors(charge_point: ChargePoint) -> list[tuple[int, str]]:
    """The connectors that can be reserved with what is known of their status; 0 first, for any."""
    rows = Connector.objects.filter(charge_point=charge_point, connector_id__gt=0)
    known = list(rows.order_by("connector_id").values_list("connector_id", "status"))
    some = known or [(1, "")]
    return [(0, "any connector"), *some] if zero_supported(charge_point) else some


def reservation_create(
    *,
    charge_point: ChargePoint,
    connector_id: int,
    id_tag: str,
    expiry_date: datetime,
    parent_id_tag: str | None = None,
    now: datetime,
    by: str = "",
) -> Reservation:
    """Ask a charge point to keep a connector (0: any) for an idTag until a time.

    `parent_id_tag`: whose idTags may use it as well; None: those of the idTag's own group. The
    command waits for the charge point as long as it makes sense. Raises CommandRefused.
    """
    if connector_id == 0 and not zero_supported(charge_point):
        raise PayloadRefused(
            f"{charge_point} reserves no connector 0: ReserveConnectorZeroSupported is false.",
            path="connectorId",
        )
    parent = parent_of(id_tag) if parent_id_tag is None else parent_id_tag
    request = ReserveNow(
        connector_id=connector_id,
        expiry_date=expiry_date,
        id_tag=id_tag,
        parent_id_tag=parent or UNSET,
        reservation_id=_new_id(charge_point),
    )
    command = command_send(
        charge_point=charge_point,
        request=request,
        by=by,
        expires_in=_wait(expiry_date, now),
    )
    return Reservation.objects.get(command=command)


def parent_of(id_tag: str) -> str:
    """The parentIdTag of a known idTag, else ""."""
    found = IdTag.objects.filter(key=fold(id_tag)).values_list("parent_id_tag", flat=True)
    return found.first() or ""


def _new_id(charge_point: ChargePoint) -> int:
    """Random, positive, 31 bits, and not that of another which it would replace (§5.13)."""
    taken = Reservation.objects.filter(charge_point=charge_point, state__in=OPEN_STATES)
    while True:
        number = secrets.randbelow(2**31 - 1) + 1
        if not taken.filter(reservation_id=number).exists():
            return number


def _wait(until: datetime, now: datetime) -> int:
    return min(max(int((until - now).total_seconds()), 1), LONGEST_WAIT)


# ----------------------------------------------------------------------- who has which


def with_reservation(connectors: QuerySet[Connector]) -> QuerySet[Connector]:
    """The same connectors, each with what it is kept for: `reservation_key`, `reserved_for` (an
    idTag) and `reserved_until`, None without an active reservation. In the same query."""
    held = Reservation.objects.filter(
        charge_point=OuterRef("charge_point"),
        connector_id=OuterRef("connector_id"),
        state=ReservationState.ACTIVE,
    ).order_by("-id")
    return connectors.annotate(
        reservation_key=Subquery(held.values("pk")[:1]),
        reserved_for=Subquery(held.values("id_tag")[:1]),
        reserved_until=Subquery(held.values("expiry_date")[:1]),
    )


# ------------------------------------------------------------------------- giving it up


def reservation_cancel(*, reservation: Reservation, now: datetime, by: str = "") -> Reservation:
    """Cancel a reservation: its ReserveNow when that still waits, else with CancelReservation.

    Raises ReservationOver, and CommandRefused when the charge point can take no command.
    """
    with transaction.atomic():
        rows = Reservation.objects.select_related("command", "cancellation", "charge_point")
        row = rows.select_for_update(of=("self",)).get(pk=reservation.pk)
        if not row.is_open:
            raise ReservationOver(f"The reservation is over: {row.get_state_display()}.")
        asked = row.cancellation
        if asked is not None and asked.state in (CommandState.QUEUED, CommandState.SENT):
            raise ReservationOver(f"It is being cancelled: CancelReservation is {asked.state}.")
        waits = row.state == ReservationState.REQUESTED and row.command is not None
        if not (waits and row.command and command_cancel(command=row.command, by=by)):
            command_send(
                charge_point=row.charge_point,
                request=CancelReservation(reservation_id=row.reservation_id),
                by=by,
                expires_in=_wait(row.expiry_date, now),
            )
    return rows.get(pk=row.pk)


# ------------------------------------------------------------------------- by the clock


def reservations_expire(*, now: datetime) -> int:
    """End what has run out; what was never sent by then is not sent any more. How many ended."""
    due = Reservation.objects.filter(expiry_date__lte=now)
    unsent = due.filter(
        state=ReservationState.REQUESTED, command__state=CommandState.QUEUED
    ).values_list("pk", flat=True)
    held = due.filter(state__in=HELD_STATES).values_list("pk", flat=True)
    pks = [*unsent[:PAGE], *held[:PAGE]]
    if not pks:
        return 0
    with transaction.atomic():
        rows = list(_locked(pks, now))
        for row in rows:
            never = row.state == ReservationState.REQUESTED
            reason = "It was never sent." if never else row.reason
            reservation_end(row, ReservationState.EXPIRED, reason, at=row.expiry_date)
        queued = Command.objects.filter(reservation__in=[row.pk for row in rows])
        commands_cancel(commands=queued, by=BY_CLOCK)
    return len(rows)


def _locked(pks: list[int], now: datetime) -> QuerySet[Reservation]:
    rows = Reservation.objects.select_for_update(of=("self",))
    return rows.filter(pk__in=pks, state__in=OPEN_STATES, expiry_date__lte=now)
