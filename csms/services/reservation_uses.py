"""What charge points' messages say of reservations: who used one, who charged against one, and
that it is over (OCPP 1.6 §5.13). It is read from the rows that the messages leave anyway, so that
ingest knows nothing of reservations."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db import transaction as database
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from csms.models import ChargePoint, Command, Connector, IdTag, Reservation, Transaction
from csms.models.charge_points import ChargePointStatus
from csms.models.reservations import HELD_STATES, NEVER_HELD, ReservationState
from csms.services.clocks import plausible
from csms.services.observers import CLOCK_SLACK
from csms.services.reservation_states import reservation_end, reservation_hold

LATE = timedelta(days=1)
"""For so long after a reservation has ended, a start that was kept meanwhile is looked for."""

AHEAD = timedelta(minutes=1)
"""By how much a charge point's clock may be ahead: what it ends so early has run out."""

PAGE = 500

SHOWN = "No answer came, but the connector is Reserved."

Parents = dict[str, str]
"""Folded idTag → parentIdTag, of those that have one."""


def reservations_held() -> bool:
    """Whether there are any whose use or end is waited for."""
    return Reservation.objects.filter(state__in=HELD_STATES).exists()


def reservations_follow(*, charge_points: set[int] | None = None, now: datetime) -> None:
    """Look at what charge points said since, of some of them or all."""
    rows = Reservation.objects.all()
    if charge_points is not None:
        rows = rows.filter(charge_point__in=charge_points)
    _judge_transactions(rows, now)
    for page in _in_pages(rows.filter(state__in=HELD_STATES)):
        _compare_connectors(page, now)


def _in_pages(rows: QuerySet[Reservation]) -> Iterator[list[Reservation]]:
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:PAGE]):
        yield page
        last = page[-1].pk


# --------------------------------------------------------------------------- transactions


def _judge_transactions(rows: QuerySet[Reservation], now: datetime) -> None:
    """Those that began while a reservation was held, in the order in which they came."""
    pairs = list(_overlapping(rows, now))
    if not pairs:
        return
    reservations = Reservation.objects.in_bulk({pk for pk, _ in pairs})
    transactions = Transaction.objects.in_bulk({pk for _, pk in pairs})
    users = Reservation.objects.filter(transaction__in=transactions)
    served = {row.transaction_id: row for row in users}
    parents = _parents(transactions.values())
    met: dict[int, list[Reservation]] = defaultdict(list)
    for reservation, transaction in pairs:
        met[transaction].append(reservations[reservation])
    for pk in sorted(met.keys() & transactions.keys()):
        _judge(transactions[pk], met[pk], served.get(pk), parents)


def _overlapping(
    rows: QuerySet[Reservation], now: datetime
) -> QuerySet[Reservation, tuple[int, int]]:
    """Reservations and transactions that began before their end, as pairs of primary keys."""
    held = rows.filter(
        Q(ended_at=None) | Q(ended_at__gte=now - LATE), held_from__isnull=False
    ).exclude(state__in=NEVER_HELD | {ReservationState.REPLACED})
    began = "charge_point__transactions"
    met = held.filter(
        **{
            f"{began}__pk__gt": F("transactions_before"),
            f"{began}__started_at__lt": Coalesce("ended_at", "expiry_date"),
        }
    )
    return met.values_list("pk", f"{began}__pk")


def _parents(transactions: Iterable[Transaction]) -> Parents:
    keys = {row.id_tag_key for row in transactions}
    known = IdTag.objects.filter(key__in=keys).exclude(parent_id_tag="")
    return dict(known.values_list("key", "parent_id_tag"))


def _judge(
    transaction: Transaction, met: list[Reservation], own: Reservation | None, parents: Parents
) -> None:
    """Give a transaction the reservation that is its own, and flag what it was against."""
    parent = parents.get(transaction.id_tag_key, "")
    kept = [row for row in met if _kept(row, transaction)]
    if own is None:
        own = _own(transaction, kept, parent)
        if own is not None:
            _use(own, transaction, parent)
    if own is not None and own.connector_id == transaction.connector_id:
        return  # whose else it was is said where it was used
    for row in kept:
        here = row.connector_id == transaction.connector_id and _surely_kept(row, transaction)
        if here and not row.allows(transaction.id_tag, parent):
            _flag(
                transaction,
                f"connector {row.connector_id} was reserved for another idTag "
                f"(reservationId {row.reservation_id})",
            )


def _kept(row: Reservation, transaction: Transaction) -> bool:
    """Whether a reservation was held when a transaction began, by the charge point's own time."""
    assert row.held_from is not None
    end = row.ended_at or row.expiry_date
    return row.held_from - CLOCK_SLACK <= transaction.started_at < end


def _surely_kept(row: Reservation, transaction: Transaction) -> bool:
    """The same by our time as well, unless the start was told long after: its clock may be slow."""
    end = row.ended_at or row.expiry_date
    received = transaction.start_received_at
    return received < end or received - transaction.started_at > CLOCK_SLACK


def _own(transaction: Transaction, kept: list[Reservation], parent: str) -> Reservation | None:
    """§5.13: a reservation ends with the transaction of its idTag, or of one with its parentIdTag,
    on its connector, or on any when that is 0. The one that the charge point names goes first."""
    unused = [row for row in kept if row.transaction_id is None]
    named = [row for row in unused if row.reservation_id == transaction.reservation_id]
    if named:
        return max(named, key=lambda row: row.pk)
    fitting = [
        row
        for row in unused
        if row.keeps(transaction.connector_id) and row.allows(transaction.id_tag, parent)
    ]
    return max(fitting, key=lambda row: (row.connector_id, row.pk), default=None)


def reservation_taken(command: Command, transaction: Transaction) -> None:
    """A transaction was found to have used the reservation of a ReserveNow, perhaps long after."""
    row = Reservation.objects.filter(command=command, transaction=None).first()
    if row is not None:
        _use(row, transaction, _parents([transaction]).get(transaction.id_tag_key, ""))


def _use(row: Reservation, transaction: Transaction, parent: str) -> None:
    with database.atomic():
        _keep_still(transaction)
        if not reservation_end(row, ReservationState.USED, at=transaction.started_at):
            return
        row.transaction = transaction
        row.save(update_fields=["transaction"])
        if not row.allows(transaction.id_tag, parent):
            _flag(transaction, f"reservationId {row.reservation_id} is that of another idTag")


def _flag(transaction: Transaction, text: str) -> None:
    """Say it with the transaction, once; what it costs is not in doubt."""
    if text in transaction.flags:
        return
    with database.atomic():
        _keep_still(transaction)
        row = Transaction.objects.get(pk=transaction.pk)
        if text not in row.flags:
            row.flags = [*row.flags, text]
            row.save(update_fields=["flags"])


def _keep_still(transaction: Transaction) -> None:
    """Let no message of its charge point be decided until this is committed: a StopTransaction
    would write the flags that it has read before. The inbox locks the same row, first of all."""
    rows = ChargePoint.objects.filter(pk=transaction.charge_point_id)
    list(rows.select_for_update(no_key=True).values_list("pk"))


# ------------------------------------------------------------------------------- statuses


def _compare_connectors(page: list[Reservation], now: datetime) -> None:
    """What the connectors' statuses say of reservations that are held."""
    rows = Connector.objects.filter(charge_point__in={row.charge_point_id for row in page})
    known = {(row.charge_point_id, row.connector_id): row for row in rows}
    for row in page:
        places = [
            known[key]
            for key in {(row.charge_point_id, 0), (row.charge_point_id, row.connector_id)}
            if key in known
        ]
        broken = next((place for place in places if _broken(row, place)), None)
        if broken is not None:
            name = f"Connector {broken.connector_id}" if broken.connector_id else "The charge point"
            reservation_end(row, ReservationState.ENDED, f"{name} is {broken.status}.", at=now)
            continue
        for connector in places:
            if connector.connector_id == row.connector_id != 0:
                _compare(row, connector, now)


def _broken(row: Reservation, place: Connector) -> bool:
    """§5.13: it ends "when the Charge Point or connector are set to Faulted or Unavailable"."""
    faulty = place.status in (ChargePointStatus.FAULTED, ChargePointStatus.UNAVAILABLE)
    return faulty and _since(row, place)


def _since(row: Reservation, place: Connector) -> bool:
    """Whether a status came while the reservation was held."""
    if place.received_at is None or row.held_from is None:
        return False
    return place.received_at >= row.held_from


def _compare(row: Reservation, connector: Connector, now: datetime) -> None:
    """§7.7: Reserved shows the reservation; Available after that is for everybody again."""
    if connector.status == ChargePointStatus.RESERVED:
        if row.state == ReservationState.UNKNOWN and _since(row, connector):
            assert row.held_from is not None
            reservation_hold(row, at=row.held_from, reason=SHOWN)
        if row.state == ReservationState.ACTIVE and row.shown_at is None:
            row.shown_at = now
            row.save(update_fields=["shown_at"])
    elif connector.status == ChargePointStatus.AVAILABLE and row.shown_at is not None:
        if _ran_out(row, connector, now):
            reservation_end(row, ReservationState.EXPIRED, at=row.expiry_date)
        else:
            reason = f"Connector {connector.connector_id} is Available again: it was let go."
            reservation_end(row, ReservationState.ENDED, reason, at=now)


def _ran_out(row: Reservation, connector: Connector, now: datetime) -> bool:
    """Whether a connector became Available because the time was over, by either clock."""
    received = connector.received_at or now
    told = connector.reported_at
    at = max(received, told) if told is not None and plausible(told, received) else received
    return at + AHEAD >= row.expiry_date
