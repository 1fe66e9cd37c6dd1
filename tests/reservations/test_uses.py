"""Who used a reservation, who charged against one, and what connectors say (§5.13, §7.7, N38)."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from csms.models import Transaction
from csms.services.effects import effects_check

if TYPE_CHECKING:
    from tests.reservations.desk import Desk

pytestmark = pytest.mark.django_db

AGAINST = "connector 1 was reserved for another idTag (reservationId {})"
FOREIGN = "reservationId {} is that of another idTag"


def flags(transaction: Transaction) -> list[str]:
    transaction.refresh_from_db()
    found: list[str] = transaction.flags
    return found


@pytest.mark.parametrize("tag", ["TAG", "tag", "MATE"])
@pytest.mark.parametrize("connector_id", [0, 1])
@pytest.mark.parametrize("named", [True, False])
def test_a_transaction_uses_it(desk: "Desk", tag: str, connector_id: int, named: bool) -> None:
    """By reservationId; else by idTag or parentIdTag, on its connector, or on any with 0."""
    row = desk.made(connector_id)
    desk.later(minutes=1)
    more: dict[str, Any] = {"reservation_id": row.reservation_id} if named else {}
    transaction = desk.start(tag, **more)
    row = desk.look(row)
    assert (row.state, row.transaction) == ("used", transaction)
    assert row.ended_at == transaction.started_at
    assert flags(transaction) == []
    desk.later(hours=1)
    assert desk.look(row).state == "used"


def test_the_command_tells_the_same(desk: "Desk") -> None:
    row = desk.made()
    desk.look(row)
    transaction = desk.start(reservation_id=row.reservation_id)
    row = desk.look(row)
    assert row.command is not None
    assert row.command.transaction == transaction
    assert row.command.effect_text == f"Used by transaction {transaction}."


@pytest.mark.parametrize("tag", ["OTHER", "STRANGER", "GROUP"])
def test_a_transaction_against_it_is_flagged(desk: "Desk", tag: str) -> None:
    """A parent is only compared with a parent."""
    row = desk.made()
    desk.later(minutes=1)
    transaction = desk.start(tag)
    assert desk.look(row).state == "active"
    assert AGAINST.format(row.reservation_id) in flags(transaction)
    told = flags(transaction)
    desk.look(row)
    assert flags(transaction) == told, "it is said once"


def test_the_reservation_of_a_single_id_tag_is_not_for_its_group(desk: "Desk") -> None:
    row = desk.made(parent_id_tag="")
    transaction = desk.start("MATE")
    assert desk.look(row).state == "active"
    assert flags(transaction) == [AGAINST.format(row.reservation_id)]


def test_a_flag_leaves_the_bill_alone(desk: "Desk") -> None:
    desk.look(desk.made())
    transaction = desk.start("OTHER")
    effects_check(now=desk.house.now)
    assert flags(transaction) != []
    assert transaction.billable


def test_another_connector_is_nobodys_business(desk: "Desk") -> None:
    row = desk.made()
    transaction = desk.start("OTHER", connector_id=2)
    assert desk.look(row).state == "active"
    assert flags(transaction) == []
    desk.start("TAG", connector_id=2)
    assert desk.look(row).state == "active"


def test_connector_0_is_no_specific_connector(desk: "Desk") -> None:
    """N38: others may charge, as long as one is left; the charge point sees to that."""
    row = desk.made(connector_id=0)
    transaction = desk.start("OTHER")
    assert desk.look(row).state == "active"
    assert flags(transaction) == []


def test_the_reservation_id_of_somebody_else_is_flagged(desk: "Desk") -> None:
    """The charge point says that it was used: so it is over."""
    row = desk.made()
    transaction = desk.start("OTHER", reservation_id=row.reservation_id)
    row = desk.look(row)
    assert (row.state, row.transaction) == ("used", transaction)
    assert flags(transaction) == [FOREIGN.format(row.reservation_id)]


def test_a_reservation_id_that_nobody_knows_does_not_hinder(desk: "Desk") -> None:
    """Some charge points number reservations themselves."""
    row = desk.made()
    transaction = desk.start(reservation_id=77)
    assert desk.look(row).transaction == transaction
    assert flags(transaction) == []


def test_the_connectors_own_goes_before_the_charge_points(desk: "Desk") -> None:
    own, any_of_them = desk.made(), desk.made(connector_id=0)
    first = desk.start()
    assert desk.look(own).transaction == first
    assert desk.look(any_of_them).state == "active"
    second = desk.start(connector_id=2)
    assert desk.look(any_of_them).transaction == second


def test_one_of_connector_0_is_no_right_to_a_reserved_connector(desk: "Desk") -> None:
    own, other = desk.made(connector_id=0), desk.made(id_tag="OTHER", connector_id=1)
    transaction = desk.start()
    assert desk.look(own).transaction == transaction
    assert desk.look(other).state == "active"
    assert flags(transaction) == [AGAINST.format(other.reservation_id)]


def test_who_comes_after_the_use_is_not_against_it(desk: "Desk") -> None:
    """Both came before anybody looked."""
    row = desk.made()
    desk.later(minutes=1)
    first = desk.start()
    desk.later(minutes=1)
    second = desk.start("OTHER")
    assert desk.look(row).transaction == first
    assert flags(first)[-1:] == ["ended without stop: another start on the connector"]
    assert flags(second) == []


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_who_comes_after_the_end_is_not_against_it(desk: "Desk", end: str) -> None:
    """The charge point's clock is two minutes slow."""
    row = desk.made(minutes=10)
    desk.later(minutes=3)
    if end == "cancelled":
        row = desk.cancel(row, "Accepted")
        desk.later(minutes=1)
    else:
        desk.later(minutes=8)
    assert desk.look(row).state == end
    transaction = desk.start("OTHER", started=desk.house.now - timedelta(minutes=2))
    desk.look(row)
    assert flags(transaction) == []


def test_who_came_before_it_is_not_against_it(desk: "Desk") -> None:
    transaction = desk.start("OTHER")
    desk.later(seconds=1)
    row = desk.asked()
    command = desk.on_its_way(row)
    kept = desk.start("OTHER", started=desk.house.now - timedelta(hours=2))
    desk.answer(command, status="Accepted")
    assert desk.look(row).state == "active"
    assert AGAINST.format(row.reservation_id) not in flags(transaction) + flags(kept)


def test_a_start_before_the_answer_uses_it(desk: "Desk") -> None:
    """The answer to ReserveNow comes late: the card was there sooner."""
    row = desk.asked()
    command = desk.on_its_way(row)
    transaction = desk.start()
    desk.answer(command, status="Accepted")
    assert desk.look(row).transaction == transaction


@pytest.mark.parametrize("named", [True, False])
def test_a_start_that_was_kept_meanwhile_counts_by_its_own_time(desk: "Desk", named: bool) -> None:
    row = desk.made(minutes=10)
    started = desk.later(minutes=9)
    desk.later(minutes=30)
    row = desk.look(row)
    assert row.state == "expired"
    more: dict[str, Any] = {"reservation_id": row.reservation_id} if named else {}
    transaction = desk.start(started=started, **more)
    row = desk.look(row)
    assert (row.state, row.transaction) == ("used", transaction)


def test_a_start_against_it_that_was_kept_meanwhile_is_flagged(desk: "Desk") -> None:
    row = desk.made(minutes=10)
    started = desk.later(minutes=3)
    desk.later(minutes=30)
    assert desk.look(row).state == "expired"
    transaction = desk.start("OTHER", started=started)
    desk.look(row)
    assert flags(transaction) == [AGAINST.format(row.reservation_id)]


def test_an_unknown_one_can_be_used(desk: "Desk") -> None:
    row = desk.asked()
    desk.unanswered(row)
    transaction = desk.start(reservation_id=row.reservation_id)
    row = desk.look(row)
    assert (row.state, row.transaction) == ("used", transaction)


# ---------------------------------------------------------------------- what connectors say


@pytest.mark.parametrize("status", ["Faulted", "Unavailable"])
@pytest.mark.parametrize(
    ("connector_id", "reporting", "ends"),
    [(1, 1, True), (1, 0, True), (0, 0, True), (1, 2, False), (0, 1, False)],
)
def test_a_fault_ends_it(
    desk: "Desk", status: str, connector_id: int, reporting: int, ends: bool
) -> None:
    """N38: "when the Charge Point or connector are set to Faulted or Unavailable"."""
    row = desk.made(connector_id)
    desk.later(seconds=5)
    desk.status(reporting, status)
    row = desk.look(row)
    if not ends:
        assert row.state == "active"
        return
    name = f"Connector {reporting}" if reporting else "The charge point"
    assert (row.state, row.reason) == ("ended", f"{name} is {status}.")


def test_a_fault_from_before_is_no_end(desk: "Desk") -> None:
    """It has accepted: it knows better."""
    desk.status(1, "Faulted")
    desk.later(seconds=5)
    row = desk.asked()
    desk.answer(desk.on_its_way(row), status="Accepted")
    assert desk.look(row).state == "active"


def test_available_after_reserved_is_the_end(desk: "Desk") -> None:
    """§7.7 Available: "available for a new user". It may have restarted and forgotten."""
    row = desk.made()
    assert row.shown_at is not None
    desk.later(minutes=1)
    desk.status(1, "Available")
    row = desk.look(row)
    assert (row.state, row.reason) == ("ended", "Connector 1 is Available again: it was let go.")


def test_available_before_reserved_is_not(desk: "Desk") -> None:
    row = desk.asked()
    desk.answer(desk.on_its_way(row), status="Accepted")
    desk.status(1, "Available")
    assert desk.look(row).state == "active"


def test_what_a_fast_clock_ends_has_run_out(desk: "Desk") -> None:
    row = desk.made(minutes=10)
    desk.later(minutes=9, seconds=30)
    desk.status(1, "Available")
    row = desk.look(row)
    assert (row.state, row.ended_at) == ("expired", row.expiry_date)


def test_preparing_is_no_end(desk: "Desk") -> None:
    row = desk.made()
    desk.status(1, "Preparing")
    assert desk.look(row).state == "active"


def test_looking_needs_the_same_queries_for_any_number(desk: "Desk") -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            effects_check(now=desk.house.now)
        return len(captured)

    desk.made()
    desk.start("OTHER")
    effects_check(now=desk.house.now)
    few = queries()
    desk.made(connector_id=2)
    for _ in range(3):
        desk.made(connector_id=0)
    desk.start("OTHER", connector_id=2)
    effects_check(now=desk.house.now)
    assert queries() == few
