"""The REST API's local lists."""

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from django.test import Client

from csms.models import Command
from tests import factories
from tests.api.caller import caller
from tests.local_lists.rows import current, limits

if TYPE_CHECKING:
    from csms.models import ChargePoint
    from tests.api.caller import Caller

pytestmark = pytest.mark.django_db(transaction=True)

OWN = "charge-points/CP-1/local-list"


def test_how_lists_stand(api: "Caller", charger: "ChargePoint") -> None:
    factories.id_tag("TAG")
    current(charger, version=3)
    off = factories.charge_point()
    limits(off, LocalAuthListEnabled="false")
    one = api.get(OWN)
    assert {name: one[name] for name in ("state", "version", "entries", "wanted")} == {
        "state": "up to date",
        "version": 3,
        "entries": 1,
        "wanted": 1,
    }
    listed = api.get("local-lists")["items"]
    assert [row["state"] for row in listed] == ["up to date", "switched off"]
    assert api.get("local-lists?state=up%20to%20date")["items"] == [one]
    assert api.patch("id-tags/TAG", {"blocked": True})["blocked"] is True
    assert api.get(OWN)["state"] == "stale"
    assert api.refused("GET", "local-lists?state=odd")[0] == 422
    assert api.refused("GET", OWN.replace("CP-1", "none")) == (404, None)


def test_all_are_brought_up_to_date(api: "Caller", charger: "ChargePoint") -> None:
    other = factories.charge_point(feature_profiles="Core")
    limits(charger)
    done = api.post("local-lists/update", {"all": True}, Idempotency_Key="one")
    assert api.post("local-lists/update", {"all": True}, Idempotency_Key="one") == done
    assert (done["begun"], done["current"]) == (1, 0)
    assert [batch["action"] for batch in done["batches"]] == ["GetLocalListVersion"]
    assert [left["identity"] for left in done["left"]] == [other.identity]
    assert Command.objects.count() == 1
    assert api.get(OWN)["state"] == "updating"
    again = api.post("local-lists/update", {"identities": ["CP-1"]})
    assert (again["begun"], again["current"]) == (0, 1)
    body: dict[str, Any]
    for body in ({}, {"all": True, "identities": ["CP-1"]}, {"filter": {}}, {"identities": ["x"]}):
        assert api.refused("POST", "local-lists/update", body)[0] == 422


def test_a_whole_list_can_be_asked_for(api: "Caller", charger: "ChargePoint") -> None:
    current(charger)
    assert api.post("local-lists/update", {"all": True})["begun"] == 0
    assert api.post("local-lists/update", {"all": True, "full": True})["begun"] == 1


def test_who_may_what(charger: "ChargePoint") -> None:
    who = caller("read")
    assert who.refused("POST", "local-lists/update", {"all": True}) == (403, None)
    for place in ("local-lists", OWN):
        who.get(place)
        assert who.status == 200
        assert Client().get(f"/api/v1/{place}").status_code == 401


def test_the_document_describes_them(api: "Caller", charger: "ChargePoint") -> None:
    document = json.loads(Client().get("/api/v1/openapi.json").content)
    for component, answer in (
        ("Page_LocalListOut_", api.get("local-lists")),
        ("LocalListOut", api.get(OWN)),
        ("LocalListsBegun", api.post("local-lists/update", {"all": True})),
    ):
        judge = jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{component}", "components": document["components"]}
        )
        judge.validate(answer)
