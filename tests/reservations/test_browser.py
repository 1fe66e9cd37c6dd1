"""Reservations in a browser: reserved from a charge point's page; pages fit, empty and full."""

from datetime import timedelta

import pytest

from csms.admin import show
from csms.models import ChargePoint, Reservation
from csms.models.reservations import ReservationState
from csms.services.reservation_states import REFUSED_WORDS
from tests import factories
from tests.browser.conftest import WINDOWS, Visitor
from tests.reservations.rows import reservation

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/csms/reservation/"
LONG = "W" * 20


def fits(visitor: Visitor) -> None:
    assert visitor.overflow() == 0, visitor.page.url
    assert visitor.problems == []
    assert visitor.foreign == []


def hidden(visitor: Visitor) -> int:
    """Pixels by which the list is wider than its box, where a bar would lie over the last row."""
    width: int = visitor.page.evaluate(
        "(() => { const list = document.getElementById('result_list');"
        " const box = list.closest('#changelist').getBoundingClientRect();"
        " return Math.round(list.getBoundingClientRect().right - box.right); })()"
    )
    return max(width, 0)


def charger() -> ChargePoint:
    row = factories.charge_point(identity="CP-" + "long" * 30, connected=True)
    for number, status in ((0, "Available"), (1, "Reserved"), (2, "Charging")):
        factories.connector(row, number, status=status)
    return row


@WINDOWS
def test_a_connector_is_reserved_and_cancelled(visitor: Visitor) -> None:
    page, row = visitor.page, charger()
    factories.id_tag("TAG1", name="Ann", parent_id_tag="GROUP")
    visitor.open(LIST)
    fits(visitor)
    visitor.open(f"/admin/csms/chargepoint/{row.pk}/reserve/")
    fits(visitor)
    page.select_option("[name=connector_id]", "0")
    page.fill("[name=id_tag]", "TAG1")
    page.click("#send-now")
    page.wait_for_selector("#cancel")
    fits(visitor)
    made = Reservation.objects.get()
    assert (made.connector_id, made.id_tag, made.parent_id_tag) == (0, "TAG1", "GROUP")
    assert made.expiry_date > factories.now() + timedelta(minutes=50)
    page.click("#cancel")
    page.wait_for_selector("text=Cancelled before it was sent: 1")
    made.refresh_from_db()
    assert made.state == "cancelled"


@WINDOWS
def test_the_list_fits(visitor: Visitor) -> None:
    row = charger()
    for state in ("active", "requested", "unknown", "expired"):
        reservation(row, state=state, id_tag=LONG, parent_id_tag=LONG, reservation_id=2**31 - 1)
    reservation(row, state="used", transaction=factories.transaction(row), connector_id=0)
    words = "Occupied: the connector, or every connector, is in use or reserved."
    reservation(row, state="refused", reason=words)
    visitor.open(LIST)
    fits(visitor)


@pytest.mark.parametrize("visitor", [(1280, False)], indirect=True)
def test_the_list_needs_no_scrolling(visitor: Visitor) -> None:
    """With idTags as they are, in each state and with the longest words."""
    row = factories.charge_point(identity="DEPOT-WEST-0017", connected=True)
    for state in ReservationState:
        words = max(REFUSED_WORDS.values(), key=len)
        number = 2**31 - 1 - len(state)
        reservation(row, state=state, id_tag="04A2B3C4D5E6F7", reason=words, reservation_id=number)
    visitor.open(LIST)
    fits(visitor)
    assert hidden(visitor) == 0
    reservation(row, id_tag=LONG, reason=words)
    visitor.open(LIST)
    fits(visitor)


@WINDOWS
def test_a_charge_points_page_shows_who_has_what(visitor: Visitor) -> None:
    row = charger()
    reservation(row, id_tag=LONG, parent_id_tag=LONG)
    reservation(row, state="requested", connector_id=0)
    visitor.open(show.change_url("chargepoint", row.pk))
    fits(visitor)
    assert visitor.page.locator("text=Reservations: requested, active or unknown").count()


@WINDOWS
def test_the_connectors_list_shows_it(visitor: Visitor) -> None:
    row = charger()
    reservation(row, id_tag=LONG)
    visitor.open(show.list_url("connector"))
    fits(visitor)
    assert visitor.page.locator(f"text={LONG}").count()


@WINDOWS
def test_the_form_says_what_is_wrong(visitor: Visitor) -> None:
    row = charger()
    type(row).objects.update(feature_profiles="Core", connected=False)
    visitor.open(LIST + "reserve/?charger=nobody")
    fits(visitor)
    visitor.page.fill("[name=charger]", row.identity)
    visitor.page.click("#choose")
    visitor.page.click("#send-now")
    fits(visitor)
    assert visitor.page.locator("text=This field is required").count()
