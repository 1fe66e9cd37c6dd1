"""Reservations through the REST API: asked for, listed, cancelled."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import Command, Reservation
from tests import factories
from tests.reservations.rows import reservation

if TYPE_CHECKING:
    from csms.models import ChargePoint
    from tests.api.caller import Caller

pytestmark = pytest.mark.django_db

PATH = "charge-points/CP-1/reservations"


def body(**fields: Any) -> dict[str, Any]:
    at = factories.now() + timedelta(hours=1)
    return {
        "connector_id": 1,
        "id_tag": "TAG",
        "expiry_date": f"{at:%Y-%m-%dT%H:%M:%SZ}",
    } | fields


def test_a_connector_is_reserved(api: "Caller", charger: "ChargePoint") -> None:
    factories.id_tag("TAG", parent_id_tag="GROUP")
    asked = body()
    made = api.post(PATH, asked)
    assert api.status == 202
    row = Reservation.objects.get()
    assert made == {
        "id": row.pk,
        "charge_point": "CP-1",
        "connector_id": 1,
        "id_tag": "TAG",
        "parent_id_tag": "GROUP",
        "expiry_date": asked["expiry_date"],
        "reservation_id": row.reservation_id,
        "state": "requested",
        "reason": "",
        "transaction_id": None,
        "command": row.command_id,
        "cancellation": None,
        "requested_at": made["requested_at"],
        "held_from": None,
        "ended_at": None,
    }
    assert Command.objects.get().requested_by == "API: test-all"
    assert api.get(f"reservations/{row.pk}") == made


def test_a_repeated_request_reserves_once(api: "Caller", charger: "ChargePoint") -> None:
    asked = body(parent_id_tag="")
    answers = [api.post(PATH, asked, Idempotency_Key="k") for _ in range(2)]
    assert answers[0] == answers[1]
    assert Reservation.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"connector_id": -1}, "connector_id"),
        ({"connector_id": 2**31}, "connector_id"),
        ({"id_tag": ""}, "id_tag"),
        ({"id_tag": "x" * 21}, "id_tag"),
        ({"parent_id_tag": "x" * 21}, "parent_id_tag"),
        ({"expiry_date": "2020-01-01T00:00:00Z"}, "expiry_date"),
        ({"expiry_date": "2031-01-01T00:00:00"}, "expiry_date"),
        ({"reservation_id": 5}, "reservation_id"),
    ],
)
def test_what_is_not_valid_is_refused(
    api: "Caller", charger: "ChargePoint", fields: dict[str, Any], field: str
) -> None:
    assert api.refused("POST", PATH, body(**fields)) == (422, field)
    assert not Command.objects.exists()


def test_a_charge_point_that_cannot_be_reserved(api: "Caller", charger: "ChargePoint") -> None:
    assert api.refused("POST", "charge-points/nobody/reservations", body()) == (404, None)
    type(charger).objects.update(feature_profiles="Core")
    assert api.refused("POST", PATH, body()) == (409, None)


def test_lists_newest_first_by_charge_point_state_and_id_tag(
    api: "Caller", charger: "ChargePoint"
) -> None:
    transaction = factories.transaction(charger)
    one = reservation(charger, id_tag="Ann").pk
    two = reservation(charger, state="used", transaction=transaction).pk
    three = reservation(factories.charge_point(identity="two")).pk

    def ids(query: str = "") -> list[int]:
        return [row["id"] for row in api.get(f"reservations{query}")["items"]]

    assert ids() == [three, two, one]
    assert ids("?charge_point=two") == [three]
    assert ids("?state=used") == [two]
    assert ids("?id_tag=aNN") == [one]
    assert api.get("reservations?state=used")["items"][0]["transaction_id"] == int(str(transaction))
    first = api.get("reservations?limit=2")
    rest = api.get(f"reservations?limit=2&cursor={first['next']}")
    assert [row["id"] for row in first["items"] + rest["items"]] == [three, two, one]
    assert rest["next"] is None
    assert api.refused("GET", "reservations?state=maybe") == (422, "state")
    assert api.refused("GET", "reservations?charge_point=nobody") == (422, "charge_point")
    assert api.refused("GET", "reservations?tag=TAG") == (422, "tag")


def test_cancelling(api: "Caller", charger: "ChargePoint") -> None:
    waiting, active = reservation(charger, state="requested"), reservation(charger)
    assert api.post(f"reservations/{waiting.pk}/cancel")["state"] == "cancelled"
    answers = [
        api.post(f"reservations/{active.pk}/cancel", None, Idempotency_Key="k") for _ in range(2)
    ]
    assert api.status == 202
    assert answers[0] == answers[1]
    command = Command.objects.get(action="CancelReservation")
    assert (answers[0]["state"], answers[0]["cancellation"]) == ("active", command.pk)
    for pk in (waiting.pk, active.pk):
        assert api.refused("POST", f"reservations/{pk}/cancel") == (409, None)
    assert api.refused("POST", "reservations/999999/cancel") == (404, None)
    assert api.refused("GET", "reservations/999999") == (404, None)


def test_readers_only_look(reader: "Caller", charger: "ChargePoint") -> None:
    row = reservation(charger)
    assert len(reader.get("reservations")["items"]) == 1
    assert reader.refused("POST", PATH, body()) == (403, None)
    assert reader.refused("POST", f"reservations/{row.pk}/cancel") == (403, None)
