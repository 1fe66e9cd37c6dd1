"""Reservation."""

from typing import TYPE_CHECKING, Any

from csms.models import Command
from tests import factories

if TYPE_CHECKING:
    from tests.certification.case import Case

RESERVATION = 7


def _reserve(case: "Case", connector_id: int = 1, *, seconds: int = 3_600, **more: Any) -> Command:
    from tests.certification.case import in_future

    return case.send(
        "ReserveNow",
        connectorId=connector_id,
        expiryDate=in_future(seconds),
        idTag="TAG",
        reservationId=RESERVATION,
        **more,
    )


def _reserved(case: "Case", connector_id: int = 1, **more: Any) -> None:
    command = _reserve(case, connector_id, **more)
    assert (command.state, command.answer) == ("accepted", {"status": "Accepted"})
    if connector_id:
        case.wait_connector("Reserved", connector_id)
        assert case.effect("ReserveNow").effect == "seen"


def _used(case: "Case") -> None:
    """The reservation is ended by the transaction that began."""
    row = case.transaction()
    assert (row.state, row.reservation_id) == ("open", RESERVATION)
    assert all(c.reservation is None for c in case.charge_point.connectors.values())
    case.effect("ReserveNow")
    case.wait(lambda: case.effect("ReserveNow").transaction == row)


def test_tc_046_reservation_of_a_connector(case: "Case") -> None:
    _reserved(case)
    case.charge()
    _used(case)


def test_tc_047_reservation_expires(case: "Case") -> None:
    _reserved(case, seconds=60)
    case.wait_connector("Available")
    case.charge()
    assert case.transaction().reservation_id is None


def test_tc_048_1_reservation_faulted(case: "Case") -> None:
    case.status("Faulted", error_code="GroundFailure")
    command = _reserve(case)
    assert (command.state, command.answer) == ("rejected", {"status": "Faulted"})


def test_tc_048_2_reservation_occupied(case: "Case") -> None:
    case.charge()
    command = _reserve(case)
    assert (command.state, command.answer) == ("rejected", {"status": "Occupied"})
    assert case.connector() == "Charging"


def test_tc_048_3_reservation_unavailable(case: "Case") -> None:
    assert case.asked("ChangeAvailability", connectorId=1, type="Inoperative") == "Accepted"
    case.wait_connector("Unavailable")
    assert case.effect("ChangeAvailability").effect == "seen"
    command = _reserve(case)
    assert (command.state, command.answer) == ("rejected", {"status": "Unavailable"})


def test_tc_048_4_reservation_rejected(case: "Case") -> None:
    command = _reserve(case, connector_id=9)
    assert (command.state, command.answer) == ("rejected", {"status": "Rejected"})


def test_tc_049_reservation_of_the_charge_point(case: "Case") -> None:
    _reserved(case, connector_id=0)
    assert case.effect("ReserveNow").effect == "assumed"
    case.charge(connector_id=2)
    _used(case)


def test_tc_051_cancel_reservation(case: "Case") -> None:
    _reserved(case)
    assert case.asked("CancelReservation", reservationId=RESERVATION) == "Accepted"
    case.wait_connector("Available")


def test_tc_052_cancel_reservation_rejected(case: "Case") -> None:
    _reserved(case)
    command = case.send("CancelReservation", reservationId=RESERVATION + 1)
    assert (command.state, command.answer) == ("rejected", {"status": "Rejected"})
    assert case.connector() == "Reserved"


def test_tc_053_reservation_of_a_parent_id_tag(case: "Case") -> None:
    factories.id_tag("COLLEAGUE", parent_id_tag="GROUP")
    _reserved(case, parentIdTag="GROUP")
    info = case.system.run(case.charge_point.authorize("COLLEAGUE"))
    assert (info.status, info.parent_id_tag) == ("Accepted", "GROUP")
    assert case.start("COLLEAGUE", parent_id_tag="GROUP") == "Accepted"
    case.status("Charging")
    assert case.transaction().id_tag == "COLLEAGUE"
    _used(case)
