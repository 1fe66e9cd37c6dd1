"""Reservations at the wire, over both transports, with a simulated charge point (§5.4, §5.13)."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from csms.admin import show
from csms.models import Reservation
from csms.ocpp.core import StartTransaction
from csms.ocpp.reservation import ReservationStatus, ReserveNowResponse
from csms.services.effects import effects_check
from csms.services.reservation_states import REFUSED_WORDS
from csms.services.reservations import reservation_cancel, reservation_create
from tests import factories

if TYPE_CHECKING:
    from tests.api.caller import Caller
    from tests.certification.case import Case


def now() -> datetime:
    return datetime.now(UTC)


def reserve(case: "Case", connector_id: int = 1, seconds: int = 3_600, **more: Any) -> Reservation:
    """Ask for a reservation for TAG; as it is once the charge point has answered."""
    row = reservation_create(
        charge_point=case.row,
        connector_id=connector_id,
        id_tag=more.pop("id_tag", "TAG"),
        expiry_date=now() + timedelta(seconds=seconds),
        now=now(),
        **more,
    )
    case.wait(lambda: Reservation.objects.get(pk=row.pk).state != "requested")
    return Reservation.objects.get(pk=row.pk)


def becomes(case: "Case", row: Reservation, state: str) -> Reservation:
    """The reservation once it has this state."""

    def looked() -> bool:
        effects_check(now=now())
        row.refresh_from_db()
        return row.state == state

    case.wait(looked)
    return row


def shown(case: "Case", row: Reservation) -> None:
    """Its connector was seen to be Reserved."""
    case.wait_connector("Reserved", row.connector_id)
    effects_check(now=now())
    row.refresh_from_db()
    assert row.shown_at is not None


def test_made_and_used(case: "Case") -> None:
    row = reserve(case)
    assert (row.state, row.reason) == ("active", "")
    shown(case, row)
    transaction = case.charge()
    assert transaction.reservation_id == row.reservation_id
    assert becomes(case, row, "used").transaction == transaction
    transaction.refresh_from_db()
    assert transaction.flags == []
    assert case.charge_point.connectors[1].reservation is None


def test_used_by_a_colleague_on_any_connector(case: "Case") -> None:
    factories.id_tag("COLLEAGUE", parent_id_tag="GROUP")
    row = reserve(case, connector_id=0, parent_id_tag="GROUP")
    assert row.state == "active"
    assert case.start("COLLEAGUE", 2, parent_id_tag="GROUP") == "Accepted"
    row = becomes(case, row, "used")
    assert row.transaction == case.transaction()


def test_refused(case: "Case") -> None:
    case.charge()
    row = reserve(case)
    assert row.state == "refused"
    assert row.reason == "Occupied: the connector, or every connector, is in use or reserved."


@pytest.mark.parametrize("status", ["Faulted", "Occupied", "Rejected", "Unavailable"])
def test_why_it_was_refused_is_said_in_words(
    case: "Case", status: str, admin_client: Client
) -> None:
    """In the list and on its page."""
    case.answers("ReserveNow", ReserveNowResponse(status=ReservationStatus(status)))
    row = reserve(case)
    words = REFUSED_WORDS[status]
    assert (row.state, row.reason) == ("refused", words)
    for url in (show.list_url("reservation"), show.change_url("reservation", row.pk)):
        assert words in admin_client.get(url).content.decode()


def test_cancelled(case: "Case") -> None:
    row = reserve(case)
    shown(case, row)
    reservation_cancel(reservation=row, now=now())
    case.wait_connector("Available")
    becomes(case, row, "cancelled")


def test_cancelled_before_it_was_sent(case: "Case") -> None:
    with case.offline():
        type(case.row).objects.filter(pk=case.row.pk).update(connected=False, last_seen=None)
        row = reservation_create(
            charge_point=case.row,
            connector_id=1,
            id_tag="TAG",
            expiry_date=now() + timedelta(hours=1),
            now=now(),
        )
        assert reservation_cancel(reservation=row, now=now()).state == "cancelled"
    assert case.charge_point.connectors[1].reservation is None


def test_run_out_by_the_charge_points_clock(case: "Case") -> None:
    """It is less than a minute ahead of ours."""
    case.charge_point.clock.speed = 20
    row = reserve(case, seconds=55)
    shown(case, row)
    case.wait_connector("Available")
    assert becomes(case, row, "expired").ended_at == row.expiry_date
    case.charge()
    effects_check(now=now())
    assert case.transaction().flags == []


def test_ended_by_a_fault(case: "Case") -> None:
    """N38."""
    row = reserve(case)
    shown(case, row)
    case.status("Faulted", error_code="GroundFailure")
    assert becomes(case, row, "ended").reason == "Connector 1 is Faulted."
    case.status("Available")
    transaction = case.charge()
    assert transaction.reservation_id is None, "the charge point has forgotten it as well"


def flagged(case: "Case", text: str, admin_client: Client, reader: "Caller") -> None:
    """The latest transaction has just this flag, which is in the admin and the REST API."""
    transaction = case.transaction()
    assert transaction.flags == [text]
    for url in (show.list_url("transaction"), show.change_url("transaction", transaction.pk)):
        assert text in admin_client.get(url).content.decode()
    told = reader.get(f"transactions/{transaction.transaction_id}")
    assert (told["flags"], told["billable"]) == ([text], True)


def test_somebody_else_charges(case: "Case", admin_client: Client, reader: "Caller") -> None:
    factories.id_tag("OTHER")
    row = reserve(case)
    shown(case, row)
    assert case.start("OTHER") == "Accepted"
    effects_check(now=now())
    row.refresh_from_db()
    assert row.state == "active"
    number = row.reservation_id
    text = f"connector 1 was reserved for another idTag (reservationId {number})"
    flagged(case, text, admin_client, reader)
    case.stop()
    effects_check(now=now())
    flagged(case, text, admin_client, reader)


def test_somebody_else_charges_with_its_reservation_id(
    case: "Case", admin_client: Client, reader: "Caller"
) -> None:
    factories.id_tag("OTHER")
    row = reserve(case)
    shown(case, row)
    number = row.reservation_id
    start = StartTransaction(
        connector_id=1, id_tag="OTHER", meter_start=0, timestamp=now(), reservation_id=number
    )
    assert case.call(start).id_tag_info.status == "Accepted"
    assert becomes(case, row, "used").transaction == case.transaction()
    flagged(case, f"reservationId {number} is that of another idTag", admin_client, reader)


def test_the_same_reservation_id_replaces(case: "Case") -> None:
    """N38."""
    first = reserve(case)
    shown(case, first)
    assert first.command is not None
    payload = first.command.payload | {"connectorId": 2}
    assert case.asked("ReserveNow", **payload) == "Accepted"
    case.wait_connector("Reserved", 2)
    first.refresh_from_db()
    assert first.state == "replaced"
    assert Reservation.objects.get(state="active").connector_id == 2
