"""Charge points and idTags, made and changed."""

import json
from typing import Any

import pytest

from csms.models import ChargePoint, IdTag
from csms.services.passwords import password_fits
from tests import factories
from tests.api.caller import Caller

pytestmark = pytest.mark.django_db


def test_a_charge_point_is_made_and_its_password_never_shown(api: Caller) -> None:
    body = {
        "identity": "CP 1",
        "transport": "soap",
        "password": "sixteen bytes or more",
        "site": "North",
        "time_zone": "Europe/Vienna",
        "heartbeat_interval": 60,
        "registration": "Pending",
    }
    made = api.post("charge-points", body)
    assert api.status == 201
    assert made["has_password"] is True
    assert not {"password", "pending_password"} & set(made)
    assert made.pop("key") is None
    assert made == api.get("charge-points/CP%201")
    assert {name: made[name] for name in body.keys() - {"password"}} == {
        name: value for name, value in body.items() if name != "password"
    }
    row = ChargePoint.objects.get()
    assert password_fits(row.password, b"sixteen bytes or more")
    assert "sixteen" not in json.dumps(made)


def test_only_what_is_given_is_changed(api: Caller) -> None:
    row = factories.charge_point(identity="CP1", site="North", name="Gate")
    changed = api.patch("charge-points/CP1", {"name": "Yard", "registration": "Rejected"})
    assert (changed["name"], changed["site"]) == ("Yard", "North")
    row.refresh_from_db()
    assert (row.name, row.site, row.registration) == ("Yard", "North", "Rejected")
    assert api.patch("charge-points/CP1", {})["name"] == "Yard"


def test_a_password_is_set_and_removed(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    assert api.patch("charge-points/CP1", {"password": "x" * 20})["has_password"] is True
    assert api.patch("charge-points/CP1", {"site": "x"})["has_password"] is True
    assert api.patch("charge-points/CP1", {"password": None})["has_password"] is False


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, (422, "identity")),
        ({"identity": ""}, (422, "identity")),
        ({"identity": "a/b"}, (422, "identity")),
        ({"identity": "a\0"}, (422, "identity")),
        ({"identity": "\ud800"}, (422, "identity")),
        ({"identity": "CP1"}, (409, "identity")),
        ({"identity": "x", "transport": "smoke"}, (422, "transport")),
        ({"identity": "x", "time_zone": "Mars"}, (422, "time_zone")),
        ({"identity": "x", "callback_url": "ftp://x"}, (422, "callback_url")),
        ({"identity": "x", "callback_url": "http://127.0.0.1/"}, (422, "callback_url")),
        ({"identity": "x", "heartbeat_interval": 0}, (422, "heartbeat_interval")),
        ({"identity": "x", "pasword": "typo"}, (422, "pasword")),
        ({"identity": "x", "owner": "me"}, (422, "owner")),
        ("[]", (422, None)),
        ("{", (400, None)),
        ('{"identity": NaN}', (422, "identity")),
        ("[" * 5000, (400, None)),
        ('{"identity": ' + "[" * 40 + "]" * 40 + "}", (422, None)),
    ],
)
def test_a_charge_point_that_cannot_be_names_the_field(
    body: Any, refusal: tuple[int, str | None], api: Caller
) -> None:
    factories.charge_point(identity="CP1")
    assert api.refused("POST", "charge-points", body) == refusal
    assert ChargePoint.objects.count() == 1


def test_a_proposed_callback_address_is_approved_or_discarded(api: Caller) -> None:
    address = "http://198.51.100.7/cp"
    row = factories.charge_point(identity="CP1", transport="soap", callback_proposed=address)
    made = api.post("charge-points/CP1/callback", {"approve": True})
    assert (made["callback_url"], made["callback_proposed"]) == (address, "")
    assert api.refused("POST", "charge-points/CP1/callback", {"approve": True}) == (409, None)
    ChargePoint.objects.filter(pk=row.pk).update(callback_proposed="http://127.0.0.1/")
    assert api.refused("POST", "charge-points/CP1/callback", {"approve": True}) == (409, None)
    made = api.post("charge-points/CP1/callback", {"approve": False})
    assert (made["callback_url"], made["callback_proposed"]) == (address, "")


def test_an_id_tag_is_made_changed_and_blocked(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    body = {
        "id_tag": "Fleet/1",
        "parent_id_tag": "FLEET",
        "expires_at": "2030-01-02T04:04:05+01:00",
        "charge_points": ["CP1"],
        "max_transactions": 0,
    }
    made = api.post("id-tags", body)
    assert api.status == 201
    assert made["expires_at"] == "2030-01-02T03:04:05Z"
    assert made["charge_points"] == ["CP1"]
    assert made == api.get("id-tags/FLEET%2f1")
    assert IdTag.objects.get().key == "fleet/1"
    changed = api.patch("id-tags/fleet%2F1", {"blocked": True, "charge_points": []})
    assert (changed["blocked"], changed["charge_points"], changed["max_transactions"]) == (
        True,
        [],
        0,
    )
    assert api.patch("id-tags/fleet/1", {"expires_at": None})["expires_at"] is None
    row = IdTag.objects.get()
    assert (row.blocked, row.expires_at, row.id_tag) == (True, None, "Fleet/1")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"id_tag": "fleet-1"}, (409, "id_tag")),
        ({"id_tag": " "}, (422, "id_tag")),
        ({"id_tag": "x", "parent_id_tag": "x" * 21}, (422, "parent_id_tag")),
        ({"id_tag": "x", "charge_points": ["nobody"]}, (422, "charge_points")),
        ({"id_tag": "x", "charge_points": [1]}, (422, "charge_points[0]")),
        ({"id_tag": "x", "expires_at": "2030-01-01T00:00:00"}, (422, "expires_at")),
        ({"id_tag": "x", "expires_at": "9999-12-31T23:59:59-01:00"}, (422, "expires_at")),
        ({"id_tag": "x", "max_transactions": -1}, (422, "max_transactions")),
        ({"id_tag": "x", "key": "y"}, (422, "key")),
    ],
)
def test_an_id_tag_that_cannot_be_names_the_field(
    body: Any, refusal: tuple[int, str], api: Caller
) -> None:
    factories.id_tag("Fleet-1")
    assert api.refused("POST", "id-tags", body) == refusal
    assert IdTag.objects.count() == 1
