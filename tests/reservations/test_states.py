"""What becomes of a reservation by answers, cancellations and the clock (§5.4, §5.13, N38)."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import ChargePoint, Command, IdTag, Reservation
from csms.models.reservations import ReservationState
from csms.services.commands import (
    CommandRefused,
    PayloadRefused,
    batch_send,
    command_cancel,
    command_send,
    request_of,
)
from csms.services.outbox import CallFailed, NotSent, commands_expire
from csms.services.reservations import (
    ReservationOver,
    reservable_connectors,
    reservation_cancel,
    reservations_expire,
)
from tests import factories

if TYPE_CHECKING:
    from tests.reservations.desk import Desk

pytestmark = pytest.mark.django_db


def told(row: Reservation) -> tuple[str, str]:
    row.refresh_from_db()
    return row.state, row.reason


def configured(charger: ChargePoint, key: str, value: str) -> None:
    """The charge point told a configuration key."""
    from csms.models import ConfigurationKey

    ConfigurationKey.objects.create(
        charge_point=charger, key=key, folded=key.casefold(), value=value, known=True
    )


# ------------------------------------------------------------------------ asking for one


def test_a_reservation_is_a_durable_command(desk: "Desk") -> None:
    """Its reservationId is positive and has 31 bits; the idTag's group may use it as well."""
    row = desk.asked(minutes=90)
    assert 0 < row.reservation_id < 2**31
    assert (row.state, row.connector_id, row.id_tag) == ("requested", 1, "TAG")
    command = Command.objects.get()
    assert command == row.command
    assert command.requested_by == "admin: ann"
    assert command.payload == {
        "connectorId": 1,
        "expiryDate": f"{row.expiry_date:%Y-%m-%dT%H:%M:%SZ}",
        "idTag": "TAG",
        "parentIdTag": "GROUP",
        "reservationId": row.reservation_id,
    }
    waits = command.expires_at - command.created_at
    assert abs(waits - timedelta(minutes=90)) < timedelta(seconds=1), "as long as it makes sense"


@pytest.mark.parametrize(("parent", "kept"), [(None, "GROUP"), ("", ""), ("BOSS", "BOSS")])
def test_whose_group_may_use_it(desk: "Desk", parent: str | None, kept: str) -> None:
    row = desk.asked(parent_id_tag=parent)
    assert row.parent_id_tag == kept
    assert row.command is not None
    assert row.command.payload.get("parentIdTag", "") == kept


def test_an_id_tag_need_not_be_known(desk: "Desk") -> None:
    assert not IdTag.objects.filter(key="stranger").exists()
    assert desk.asked(id_tag="Stranger").parent_id_tag == ""


def test_reservation_ids_are_unique_among_the_open_ones(
    desk: "Desk", monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter([6, 6, 7, 6, 8])
    monkeypatch.setattr("csms.services.reservations.secrets.randbelow", lambda _: next(numbers))
    first, second = desk.asked(), desk.asked(connector_id=2)
    assert (first.reservation_id, second.reservation_id) == (7, 8)
    reservation_cancel(reservation=first, now=desk.house.now)
    assert desk.asked().reservation_id == 7


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"minutes": -5}, "expiryDate"), ({"id_tag": "x" * 21}, "idTag")],
)
def test_what_cannot_be_sent_leaves_no_reservation(
    desk: "Desk", fields: dict[str, Any], path: str
) -> None:
    with pytest.raises(PayloadRefused) as refused:
        desk.asked(**fields)
    assert refused.value.path == path
    assert not Reservation.objects.exists()


def test_a_rejected_charge_point_cannot_be_reserved(desk: "Desk") -> None:
    ChargePoint.objects.update(registration="Rejected")
    with pytest.raises(CommandRefused):
        desk.asked()
    assert not Reservation.objects.exists()


@pytest.mark.parametrize(("value", "offered"), [("", True), ("true", True), ("False", False)])
def test_connector_0_is_offered_unless_it_is_known_not_to_be(
    desk: "Desk", value: str, offered: bool
) -> None:
    """§9.3 ReserveConnectorZeroSupported."""
    if value:
        configured(desk.cp.row, "ReserveConnectorZeroSupported", value)
    connectors = reservable_connectors(desk.cp.row)
    some = [(1, "Available"), (2, "Available")]
    assert connectors == ([(0, "any connector"), *some] if offered else some)
    if offered:
        assert desk.asked(connector_id=0).connector_id == 0
        return
    with pytest.raises(PayloadRefused) as refused:
        desk.asked(connector_id=0)
    assert refused.value.path == "connectorId"


def test_a_charge_point_that_told_of_no_connector_has_one() -> None:
    assert reservable_connectors(factories.charge_point()) == [(0, "any connector"), (1, "")]


def test_reservations_are_kept_wherever_they_were_asked_for(desk: "Desk") -> None:
    """The commands page sends to many at once; the shell, the API and a repetition send one."""
    payload = {"connectorId": 2, "expiryDate": "2031-01-01T00:00:00Z", "idTag": "Straße"}
    request = request_of("ReserveNow", payload | {"reservationId": 9})
    others = [desk.cp.row, *(factories.charge_point() for _ in range(2))]
    batch_send(charge_points=others, request=request)
    command_send(charge_point=others[1], request=request)
    assert Reservation.objects.filter(reservation_id=9, state="requested").count() == 4
    assert set(Reservation.objects.values_list("id_tag_key", flat=True)) == {"strasse"}


# ------------------------------------------------------------------------------- answers


def test_an_accepted_reservation_is_active(desk: "Desk") -> None:
    row = desk.asked()
    desk.answer(desk.on_its_way(row), status="Accepted")
    assert told(row) == ("active", "")
    assert row.held_from == desk.house.now


@pytest.mark.parametrize("status", ["Faulted", "Occupied", "Rejected", "Unavailable"])
def test_why_a_reservation_was_refused_is_said_in_words(desk: "Desk", status: str) -> None:
    row = desk.asked()
    desk.answer(desk.on_its_way(row), status=status)
    state, reason = told(row)
    assert state == "refused"
    assert reason.startswith(f"{status}: the c")
    assert reason.endswith(".")
    assert row.ended_at == desk.house.now


def test_an_error_refuses(desk: "Desk") -> None:
    row = desk.asked()
    desk.complete(desk.on_its_way(row), CallFailed("NotSupported", "No reservations."))
    assert told(row) == ("refused", "NotSupported: No reservations.")


def test_without_an_answer_nobody_knows(desk: "Desk") -> None:
    """A late answer still counts; Reserved says as much."""
    rows = [desk.asked(), desk.asked(connector_id=2)]
    commands = []
    for row in rows:
        commands.append(desk.unanswered(row))
        assert told(row)[0] == "unknown"
    desk.answer(commands[0], status="Accepted")
    assert told(rows[0]) == ("active", "")
    desk.status(2, "Reserved")
    desk.look(rows[1])
    assert told(rows[1]) == ("active", "No answer came, but the connector is Reserved.")
    desk.answer(commands[1], status="Accepted")
    assert told(rows[1])[0] == "active"


def test_reserved_from_before_says_nothing_of_one_without_an_answer(desk: "Desk") -> None:
    desk.status(1, "Reserved")
    desk.later(seconds=5)
    row = desk.asked()
    desk.unanswered(row)
    assert desk.look(row).state == "unknown"


def test_what_was_not_received_waits_again(desk: "Desk") -> None:
    row = desk.asked()
    desk.complete(desk.on_its_way(row), NotSent("Connection refused"))
    assert (told(row)[0], row.held_from) == ("requested", None)
    desk.answer(desk.on_its_way(row), status="Accepted")
    assert told(row)[0] == "active"


def test_the_same_reservation_id_replaces(desk: "Desk") -> None:
    """N38, §5.13: "the Charge Point SHALL replace" it."""
    first = desk.made()
    payload = dict(first.command.payload) | {"connectorId": 2}  # type: ignore[union-attr]
    command_send(charge_point=desk.cp.row, request=request_of("ReserveNow", payload))
    command = desk.claimed()
    assert told(first)[0] == "active"
    desk.answer(command, status="Accepted")
    assert told(first)[0] == "replaced"
    second = Reservation.objects.get(command=command)
    assert (second.state, second.connector_id) == ("active", 2)
    desk.status(1, "Available")
    assert desk.look(second).state == "active"


def test_a_refused_one_replaces_nothing(desk: "Desk") -> None:
    first = desk.made()
    request = request_of("ReserveNow", first.command.payload)  # type: ignore[union-attr]
    command_send(charge_point=desk.cp.row, request=request)
    desk.answer(desk.claimed(), status="Occupied")
    assert desk.look(first).state == "active"


def test_a_late_answer_revives_nothing_that_was_replaced(desk: "Desk") -> None:
    first = desk.asked()
    lost = desk.unanswered(first)
    command_send(charge_point=desk.cp.row, request=request_of("ReserveNow", lost.payload))
    second = desk.claimed()
    desk.answer(second, status="Accepted")
    desk.answer(lost, status="Accepted")
    assert told(first)[0] == "replaced"
    assert Reservation.objects.get(command=second).state == "active"


# -------------------------------------------------------------------------- cancelling


def test_what_was_not_sent_yet_is_cancelled_at_once(desk: "Desk") -> None:
    row = desk.asked()
    reservation_cancel(reservation=row, by="admin: bob", now=desk.house.now)
    assert told(row) == ("cancelled", "It was never sent.")
    assert [c.state for c in Command.objects.all()] == ["cancelled"]
    with pytest.raises(ReservationOver, match="is over: Cancelled"):
        reservation_cancel(reservation=row, now=desk.house.now)


def test_a_command_that_is_cancelled_cancels_its_reservation(desk: "Desk") -> None:
    row = desk.asked()
    assert row.command is not None
    command_cancel(command=row.command)
    assert told(row)[0] == "cancelled"


def test_an_active_one_is_cancelled_with_a_command(desk: "Desk") -> None:
    """§5.4."""
    row = desk.made()
    asked = reservation_cancel(reservation=row, by="admin: bob", now=desk.house.now)
    assert asked.state == "active"
    assert asked.cancellation is not None
    assert asked.cancellation.requested_by == "admin: bob"
    with pytest.raises(ReservationOver, match="being cancelled"):
        reservation_cancel(reservation=row, now=desk.house.now)
    desk.answer(desk.claimed(), status="Accepted")
    assert told(row) == ("cancelled", "")


def test_a_charge_point_that_knows_of_none_ends_it(desk: "Desk") -> None:
    row = desk.cancel(desk.made(), "Rejected")
    assert told(row) == ("ended", "Rejected: the charge point has no such reservation.")


def test_a_cancellation_that_fails_can_be_repeated(desk: "Desk") -> None:
    row = desk.made()
    reservation_cancel(reservation=row, now=desk.house.now)
    desk.complete(desk.claimed(), CallFailed("InternalError", "Later."))
    assert desk.look(row).state == "active"
    assert desk.cancel(row, "Accepted").state == "cancelled"


def test_a_cancellation_by_anybody_counts(desk: "Desk") -> None:
    row, other = desk.made(), desk.made(connector_id=2)
    desk.accepted("CancelReservation", reservationId=row.reservation_id)
    assert (told(row)[0], told(other)[0]) == ("cancelled", "active")
    assert row.cancellation is not None


def test_a_late_answer_revives_nothing_that_was_cancelled(desk: "Desk") -> None:
    row = desk.asked()
    lost = desk.unanswered(row)
    desk.cancel(row, "Accepted")
    desk.answer(lost, status="Accepted")
    assert told(row)[0] == "cancelled"


# --------------------------------------------------------------------------- the clock


def test_a_reservation_runs_out(desk: "Desk") -> None:
    row = desk.made(minutes=10)
    desk.later(minutes=9)
    assert desk.look(row).state == "active"
    desk.later(minutes=1)
    assert desk.look(row).state == "expired"
    assert told(row) == ("expired", "")
    assert row.ended_at == row.expiry_date


def test_what_was_never_sent_runs_out_with_its_command(desk: "Desk") -> None:
    """The charge point is not asked for what has passed."""
    row = desk.asked(minutes=10)
    reservations_expire(now=row.expiry_date)
    assert told(row) == ("expired", "It was never sent.")
    command = Command.objects.get()
    assert command.state == "cancelled"
    last = command.events.last()
    assert last is not None
    assert last.by == "clock"


def test_a_command_that_expires_ends_its_reservation(desk: "Desk") -> None:
    request = request_of(
        "ReserveNow",
        {
            "connectorId": 1,
            "expiryDate": "2031-01-01T00:00:00Z",
            "idTag": "TAG",
            "reservationId": 9,
        },
    )
    command_send(charge_point=desk.cp.row, request=request, expires_in=60)
    commands_expire(now=desk.later(minutes=5))
    assert told(Reservation.objects.get()) == ("expired", "It was never sent.")


def test_an_unknown_one_runs_out_too(desk: "Desk") -> None:
    row = desk.asked(minutes=10)
    desk.unanswered(row)
    desk.later(minutes=10)
    assert desk.look(row).state == ReservationState.EXPIRED
