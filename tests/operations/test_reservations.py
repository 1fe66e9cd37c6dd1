"""The effect of ReserveNow: the connector's status, then the transaction that used it (§5.13)."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import Command, Transaction
from tests.operations.commanded import known_tag

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded

pytestmark = pytest.mark.django_db

MISSING = ("missing", "Nothing was seen in time.")
WAITING = ("waiting", "")


def test_reservation_and_who_used_it(commanded: "Commanded") -> None:
    known_tag()
    command = commanded.accepted("ReserveNow", reservationId=7)
    commanded.status(1, "Preparing")
    assert commanded.effect(command) == WAITING
    commanded.status(1, "Reserved")
    assert commanded.effect(command) == ("seen", "The connector is Reserved.")
    commanded.begin(reservation_id=8)
    assert commanded.effect(command) == ("seen", "The connector is Reserved.")
    commanded.begin(connector_id=2, reservation_id=7)
    used = Transaction.objects.get(reservation_id=7)
    assert commanded.effect(command) == ("seen", f"Used by transaction {used}.")
    assert command.transaction == used


def test_reserved_for_a_moment_was_reserved(commanded: "Commanded") -> None:
    command = commanded.accepted("ReserveNow", reservationId=7)
    commanded.status(2, "Reserved")
    assert commanded.effect(command) == WAITING
    commanded.status(1, "Reserved")
    commanded.status(1, "Preparing")
    assert commanded.effect(command) == ("seen", "The connector was Reserved.")


def test_reservation_of_any_connector_shows_on_none(commanded: "Commanded") -> None:
    known_tag()
    command = commanded.accepted("ReserveNow", reservationId=7, connectorId=0)
    assert commanded.effect(command)[0] == "assumed"
    commanded.begin(reservation_id=7)
    used = Transaction.objects.get()
    assert commanded.effect(command) == ("seen", f"Used by transaction {used}.")


def reserved(commanded: "Commanded", minutes: int = 60, **fields: Any) -> Command:
    """A reservation 7 that was accepted, and is seen."""
    commanded.status(1, "Available")
    expiry = commanded.house.now + timedelta(minutes=minutes)
    command = commanded.accepted(
        "ReserveNow", reservationId=7, expiryDate=f"{expiry:%Y-%m-%dT%H:%M:%SZ}", **fields
    )
    commanded.status(1, "Reserved")
    commanded.effect(command)
    return command


def test_an_expired_reservation_is_not_used(commanded: "Commanded") -> None:
    known_tag()
    command = reserved(commanded, minutes=10)
    commanded.later(minutes=11)
    commanded.begin(reservation_id=7)
    assert commanded.effect(command) == ("seen", "The connector is Reserved.")


def test_a_reservation_is_used_by_a_start_that_came_late(commanded: "Commanded") -> None:
    """The charge point had been offline: its own time counts."""
    known_tag()
    command = reserved(commanded, minutes=10)
    started = commanded.later(minutes=9)
    commanded.later(minutes=30)
    commanded.begin(reservation_id=7, timestamp=started)
    assert commanded.effect(command)[1].startswith("Used by transaction")


@pytest.mark.parametrize("between", ["ReserveNow", "CancelReservation"])
def test_a_reservation_that_is_over_is_not_used(commanded: "Commanded", between: str) -> None:
    """§5.13: the same reservationId replaces; the transaction belongs to the later one."""
    known_tag()
    first = reserved(commanded)
    commanded.later(minutes=1)
    if between == "ReserveNow":
        second = reserved(commanded)
    else:
        second = commanded.accepted("CancelReservation", reservationId=7)
    commanded.later(minutes=1)
    commanded.begin(reservation_id=7)
    assert commanded.effect(first) == ("seen", "The connector is Reserved.")
    assert first.transaction is None
    commanded.effect(second)
    assert (second.transaction is None) is (between == "CancelReservation")


def test_a_refused_reservation_replaces_nothing(commanded: "Commanded") -> None:
    known_tag()
    first = reserved(commanded)
    commanded.accepted("ReserveNow", "Occupied", reservationId=7)
    commanded.accepted("CancelReservation", "Rejected", reservationId=7)
    commanded.begin(reservation_id=7)
    assert commanded.effect(first)[1].startswith("Used by transaction")


def test_a_reservation_that_never_showed_is_used_all_the_same(commanded: "Commanded") -> None:
    known_tag()
    command = commanded.accepted("ReserveNow", reservationId=7)
    commanded.later(seconds=60)
    assert commanded.effect(command) == MISSING
    commanded.begin(reservation_id=7)
    assert commanded.effect(command)[0] == "seen"
    assert command.transaction == Transaction.objects.get()


def test_who_used_a_reservation_is_an_event(commanded: "Commanded") -> None:
    known_tag()
    command = reserved(commanded)
    commanded.begin(reservation_id=7)
    text = commanded.effect(command)[1]
    told = list(command.events.values_list("state", "by", "reason"))
    assert told[-2:] == [
        ("seen", "charge point", "The connector is Reserved."),
        ("seen", "charge point", text),
    ]
    commanded.effect(command)
    assert command.events.count() == len(told), "it is told once"


def test_reservation_of_somebody_else_shows_nothing(commanded: "Commanded") -> None:
    """Nobody knows whether this one was accepted: the connector was Reserved before."""
    commanded.status(1, "Reserved")
    commanded.later(seconds=1)
    command = commanded.lost("ReserveNow", reservationId=7)
    assert commanded.effect(command) == WAITING
    commanded.status(1, "Reserved")
    assert commanded.effect(command) == ("seen", "The connector is Reserved.")
