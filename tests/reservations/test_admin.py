"""The admin's pages of reservations without a browser: the list, the form, cancelling."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from csms.admin import show
from csms.models import Command, Reservation
from tests import factories
from tests.access.people import signed_in, somebody
from tests.reservations.rows import reservation
from tests.reservations.test_states import configured

if TYPE_CHECKING:
    from csms.models import ChargePoint

pytestmark = pytest.mark.django_db

RESERVE = "/admin/csms/reservation/reserve/"
LIST = "/admin/csms/reservation/"


def until(hours: float = 2) -> datetime:
    return factories.now() + timedelta(hours=hours)


def form(charger: "ChargePoint", **fields: Any) -> dict[str, Any]:
    return {
        "charger": charger.identity,
        "connector_id": "1",
        "id_tag": "TAG",
        "expiry_date": f"{until():%Y-%m-%dT%H:%M:%S}",
        "whole_group": "on",
    } | fields


def found(client: Client, **query: Any) -> set[int]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


# ------------------------------------------------------------------------------ the form


def test_a_connector_is_reserved(admin_client: Client, charger: "ChargePoint") -> None:
    factories.id_tag("TAG", parent_id_tag="GROUP", name="Ann <b>")
    page = admin_client.get(RESERVE, {"charger": "CP-1"}).content.decode()
    for text in ("0 any connector", "1 Available", "2 Charging", 'label="Ann &lt;b&gt;"'):
        assert text in page
    response = admin_client.post(RESERVE, form(charger))
    row = Reservation.objects.get()
    assert response.url == show.change_url("reservation", row.pk)  # type: ignore[attr-defined]
    assert (row.connector_id, row.id_tag, row.parent_id_tag) == (1, "TAG", "GROUP")
    assert row.command is not None
    assert row.command.requested_by == "admin: admin"
    page = admin_client.get(response.url, follow=True).content.decode()  # type: ignore[attr-defined]
    assert "The reservation is on its way to the charge point." in page


def test_the_group_can_be_left_out(admin_client: Client, charger: "ChargePoint") -> None:
    factories.id_tag("TAG", parent_id_tag="GROUP")
    entered = form(charger)
    del entered["whole_group"]
    assert admin_client.post(RESERVE, entered).status_code == 302
    assert Reservation.objects.get().parent_id_tag == ""


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"id_tag": ""}, "id_tag", "required"),
        ({"id_tag": "x" * 21}, "id_tag", "20 characters"),
        ({"expiry_date": "2020-01-01T00:00:00"}, "expiry_date", "in the future"),
        ({"expiry_date": "soon"}, "expiry_date", "valid date"),
        ({"connector_id": "9"}, "connector_id", "valid choice"),
    ],
)
def test_faults_are_said_at_the_field(
    admin_client: Client, charger: "ChargePoint", fields: dict[str, str], field: str, text: str
) -> None:
    response = admin_client.post(RESERVE, form(charger, **fields))
    errors = response.context["form"].errors
    assert list(errors) == [field]
    assert text in " ".join(errors[field])
    assert not Command.objects.exists()


def test_connector_0_is_not_offered_where_it_is_not_supported(
    admin_client: Client, charger: "ChargePoint"
) -> None:
    configured(charger, "ReserveConnectorZeroSupported", "false")
    assert "any connector" not in admin_client.get(RESERVE, {"charger": "CP-1"}).content.decode()
    assert admin_client.post(RESERVE, form(charger, connector_id="0")).status_code == 200


def test_a_charge_point_is_named_first(admin_client: Client, charger: "ChargePoint") -> None:
    page = admin_client.get(RESERVE).content.decode()
    assert "There is no charge point" not in page
    page = admin_client.get(RESERVE, {"charger": "<b>"}).content.decode()
    assert "There is no charge point &lt;b&gt;." in page
    response = admin_client.get(f"/admin/csms/chargepoint/{charger.pk}/reserve/")
    assert response.url == RESERVE + "?charger=CP-1"  # type: ignore[attr-defined]


def test_what_the_charge_point_cannot_take_is_said(
    admin_client: Client, charger: "ChargePoint"
) -> None:
    type(charger).objects.update(feature_profiles="Core", connected=False)
    page = admin_client.get(RESERVE, {"charger": "CP-1"}).content.decode()
    assert "does not support the profile Reservation" in page
    page = admin_client.post(RESERVE, form(charger)).content.decode()
    assert "does not support the profile Reservation" in page
    type(charger).objects.update(feature_profiles="")
    page = admin_client.get(RESERVE, {"charger": "CP-1"}).content.decode()
    assert "It is offline" in page


# ---------------------------------------------------------------------- list and detail


def test_reservations_are_found(admin_client: Client, charger: "ChargePoint") -> None:
    factories.id_tag("Fleet-1")
    other = factories.charge_point(identity="two")
    one = reservation(charger, id_tag="FLEET-1", reservation_id=4711).pk
    two = reservation(other, id_tag="stray", state="used", expiry_date=until(-72)).pk
    for term, rows in (
        ("4711", {one}),
        ("471", set()),
        ("fleet", {one}),
        ("STRAY", {two}),
        ("two", {two}),
        ("9" * 12, set()),
        ("9" * 40, set()),
    ):
        assert found(admin_client, q=term) == rows, term
    assert found(admin_client, charger="two") == {two}
    assert found(admin_client, state="used") == {two}
    assert found(admin_client, state="open") == {one}
    assert found(admin_client, expiry_date_from=f"{factories.now():%Y-%m-%d}") == {one}


def test_the_list_needs_the_same_queries_for_any_number_of_rows(admin_client: Client) -> None:
    """Whether there are 1 or 10,000 of them."""

    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(LIST).status_code == 200
        return [query["sql"] for query in captured.captured_queries]

    def made() -> Reservation:
        charger = factories.charge_point()
        row = reservation(charger, transaction=factories.transaction(charger), state="used")
        row.cancellation = factories.command(charger)
        row.save()
        return row

    row = made()
    few = queries()
    for _ in range(12):
        made()
    rows = [
        Reservation(
            charge_point=row.charge_point,
            connector_id=1,
            id_tag="TAG",
            id_tag_key="tag",
            expiry_date=row.expiry_date,
            reservation_id=number,
            state="expired",
        )
        for number in range(10_000)
    ]
    Reservation.objects.bulk_create(rows)
    many = queries()
    assert len(few) == len(many) == 4, "\n".join(many)
    assert any("LIMIT 10001" in sql for sql in many if "COUNT(" in sql)


def test_nothing_is_added_or_changed_by_hand(admin_client: Client, charger: "ChargePoint") -> None:
    row = reservation(charger)
    assert admin_client.get(LIST + "add/").status_code == 403
    url = show.change_url("reservation", row.pk)
    assert admin_client.get(url).status_code == 200
    assert admin_client.post(url, {"state": "used"}).status_code == 403
    assert "delete_selected" not in admin_client.get(LIST).content.decode()


def test_a_page_tells_all(admin_client: Client, charger: "ChargePoint") -> None:
    transaction = factories.transaction(charger)
    row = reservation(charger, state="used", transaction=transaction, parent_id_tag="GROUP")
    page = admin_client.get(show.change_url("reservation", row.pk)).content.decode()
    for text in ("Used", "GROUP", f"Transaction {transaction}", "ReserveNow: accepted, by ann"):
        assert text in page
    assert 'id="cancel"' not in page


@pytest.mark.parametrize("where", ["connector list", "charge point"])
def test_who_has_a_connector_is_shown(
    admin_client: Client, charger: "ChargePoint", where: str
) -> None:
    row = reservation(charger, id_tag="ANN-55")
    reservation(charger, id_tag="BOB-66", state="expired")
    reservation(charger, id_tag="CYRIL-77", state="requested", connector_id=2)
    urls: dict[str, Callable[[], str]] = {
        "connector list": lambda: show.list_url("connector"),
        "charge point": lambda: show.change_url("chargepoint", charger.pk),
    }
    page = admin_client.get(urls[where]()).content.decode()
    assert "ANN-55" in page
    assert f"until {row.expiry_date:%Y-%m-%d %H:%M} UTC" in page
    assert show.change_url("reservation", row.pk) in page
    assert "BOB-66" not in page
    assert ("CYRIL-77" in page) is (where == "charge point")


# --------------------------------------------------------------------------- cancelling


def test_one_is_cancelled(admin_client: Client, charger: "ChargePoint") -> None:
    row = reservation(charger)
    url = reverse("admin:csms_reservation_cancel", args=(row.pk,))
    assert admin_client.get(url).status_code == 405
    page = admin_client.get(show.change_url("reservation", row.pk)).content.decode()
    assert 'id="cancel"' in page
    page = admin_client.post(url, follow=True).content.decode()
    assert "CancelReservation is on its way: 1" in page
    assert "being cancelled" in page
    assert 'id="cancel"' not in page
    command = Command.objects.get(action="CancelReservation")
    assert command.payload == {"reservationId": row.reservation_id}
    page = admin_client.post(url, follow=True).content.decode()
    assert "It is being cancelled: CancelReservation is queued." in page


def test_several_are_cancelled(admin_client: Client, charger: "ChargePoint") -> None:
    rows = [reservation(charger, reservation_id=n) for n in (1, 2)]
    rows.append(reservation(charger, state="used"))
    data = {"action": "cancel_selected", "_selected_action": [row.pk for row in rows]}
    page = admin_client.post(LIST, data, follow=True).content.decode()
    assert "CancelReservation is on its way: 2" in page
    asked = Command.objects.filter(action="CancelReservation")
    assert {command.payload["reservationId"] for command in asked} == {1, 2}
    over = data | {"_selected_action": [rows[2].pk]}
    page = admin_client.post(LIST, over, follow=True).content.decode()
    assert "There is nothing to cancel: they are over." in page


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_permissions_decide(charger: "ChargePoint", role: str) -> None:
    """Those of the operations ReserveNow and CancelReservation."""
    client = signed_in(somebody(role))
    row = reservation(charger)
    may = role == "operator"
    page = client.get(LIST).content.decode()
    assert ("/reserve_one/" in page) is may
    assert ('value="cancel_selected"' in page) is may
    assert client.get(RESERVE).status_code == (200 if may else 403)
    assert client.post(RESERVE, form(charger)).status_code == (302 if may else 403)
    page = client.get(show.change_url("reservation", row.pk)).content.decode()
    assert ('id="cancel"' in page) is may
    url = reverse("admin:csms_reservation_cancel", args=(row.pk,))
    assert client.post(url).status_code == (302 if may else 403)
    assert Command.objects.filter(action="CancelReservation").exists() is may
