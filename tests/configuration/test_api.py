"""The REST API's configuration of charge points."""

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from csms.models import Command, ConfigurationTemplate
from tests import factories
from tests.api.caller import caller
from tests.configuration.rows import told

if TYPE_CHECKING:
    from csms.models import ChargePoint
    from tests.api.caller import Caller

pytestmark = pytest.mark.django_db(transaction=True)

TEMPLATES = "configuration-templates"
OWN = "charge-points/CP-1/configuration"
BODY: dict[str, Any] = {
    "name": "All",
    "values": [
        {"key": "HeartbeatInterval", "value": "60"},
        {"key": "NumberOfConnectors", "value": "1"},
    ],
}


def test_a_template_is_made_listed_changed_and_deleted(api: "Caller") -> None:
    made = api.post(TEMPLATES, BODY | {"site": "Depot"})
    assert api.status == 201
    assert (made["values"], made["site"], made["vendor"]) == (BODY["values"], "Depot", "")
    assert api.get(TEMPLATES)["items"] == [made]
    path = f"{TEMPLATES}/{made['id']}"
    assert api.patch(path, {"site": ""}) == made | {"site": ""}
    values = [{"key": "ResetRetries", "value": "1"}]
    assert api.patch(path, {"values": values})["values"] == values
    assert api.client.delete(f"/api/v1/{path}").status_code == 204
    assert not ConfigurationTemplate.objects.exists()
    assert api.refused("GET", path) == (404, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (BODY | {"values": []}, "values"),
        (BODY | {"values": [{"key": "HeartbeatInterval", "value": "x"}]}, "values[0]"),
        (BODY | {"values": [{"key": "AuthorizationKey", "value": "x"}]}, "values[0]"),
        (BODY | {"name": "Taken"}, "name"),
        (BODY | {"name": ""}, "name"),
        (BODY | {"colour": "red"}, "colour"),
    ],
)
def test_what_is_refused(api: "Caller", body: Any, field: str) -> None:
    api.post(TEMPLATES, BODY | {"name": "Taken"})
    status, place = api.refused("POST", TEMPLATES, body)
    assert status == 422
    assert place is not None
    assert place.startswith(field)


def test_what_was_told_and_the_drift(api: "Caller", charger: "ChargePoint") -> None:
    api.post(TEMPLATES, BODY)
    told(charger, HeartbeatInterval="300", NumberOfConnectors="2", SimPIN="", Colour=None)
    answer = api.get(OWN)
    assert answer["read_at"] is not None
    values = {key["key"]: (key["value"], key["readonly"], key["known"]) for key in answer["keys"]}
    assert values == {
        "Colour": (None, False, False),
        "HeartbeatInterval": ("300", False, True),
        "NumberOfConnectors": ("2", True, True),
        "SimPIN": (None, False, True),
    }
    drift = [(one["key"], one["actual"], one["why"], one["repairable"]) for one in answer["drift"]]
    assert drift == [
        ("HeartbeatInterval", "300", "differs", True),
        ("NumberOfConnectors", "2", "read-only", False),
    ]
    page = api.get("configuration-drift")
    assert page["items"] == [{"charge_point": "CP-1", "drift": answer["drift"]}]
    told(charger, HeartbeatInterval="60", NumberOfConnectors="1")
    assert api.get("configuration-drift")["items"] == []


def test_reading_and_repairing(api: "Caller", charger: "ChargePoint") -> None:
    api.post(TEMPLATES, BODY)
    answer = api.post("configuration/read", {"identities": ["CP-1"]})
    assert api.status == 202
    assert [batch["action"] for batch in answer["batches"]] == ["GetConfiguration"]
    told(charger, HeartbeatInterval="300", NumberOfConnectors="2")
    body = {"filter": {"vendor": "Example"}, "expires_in": 60}
    answer = api.post("configuration/repair", body, Idempotency_Key="one")
    assert api.post("configuration/repair", body, Idempotency_Key="one") == answer
    assert [batch["payload"] for batch in answer["batches"]] == [
        {"key": "HeartbeatInterval", "value": "60"}
    ]
    assert "can only be read" in answer["left"][0]["message"]
    assert Command.objects.filter(action="ChangeConfiguration").count() == 1
    wrong: dict[str, Any]
    for wrong in (
        {},
        {"identities": ["none"]},
        {"filter": {}},
        {"filter": {}, "identities": []},
        {"all": False},
        {"all": True, "identities": ["CP-1"]},
    ):
        assert api.refused("POST", "configuration/repair", wrong)[0] == 422


def test_the_whole_fleet_is_read_and_repaired(api: "Caller", charger: "ChargePoint") -> None:
    """Who means all says so: a filter without conditions is refused."""
    api.post(TEMPLATES, BODY)
    other = factories.charge_point(transport="soap", configuration_by_name=True)
    old = factories.charge_point(transport="soap", version="1.2")
    answer = api.post("configuration/read", {"all": True})
    assert sum(batch["queued"] for batch in answer["batches"]) == 2
    assert [left["identity"] for left in answer["left"]] == [old.identity]
    for row in (charger, other):
        told(row, HeartbeatInterval="300", NumberOfConnectors="1")
    answer = api.post("configuration/repair", {"all": True})
    assert [batch["queued"] for batch in answer["batches"]] == [2]


def test_the_switch_of_a_charge_point(api: "Caller", charger: "ChargePoint") -> None:
    """N36: one that dies of a question for all keys."""
    assert api.get("charge-points/CP-1")["configuration_by_name"] is False
    changed = api.patch("charge-points/CP-1", {"configuration_by_name": True})
    assert changed["configuration_by_name"] is True
    batch = api.post("configuration/read", {"identities": ["CP-1"]})["batches"][0]
    assert batch["payload"] == {"key": ["GetConfigurationMaxKeys"]}


def test_the_standard_keys(api: "Caller") -> None:
    page = api.get("configuration-keys")
    assert page["next"] is None
    listed = {key["key"]: key for key in page["items"]}
    assert listed["HeartbeatInterval"] == {
        "key": "HeartbeatInterval",
        "profile": "Core",
        "type": "integer",
        "unit": "s",
        "access": "RW",
        "meaning": "Between heartbeats, after a boot too.",
    }


def test_who_may_what(charger: "ChargePoint") -> None:
    asked: list[tuple[str, str, Any]] = [
        ("POST", TEMPLATES, BODY),
        ("POST", "configuration/repair", {"identities": ["CP-1"]}),
        ("POST", "configuration/read", {"identities": ["CP-1"]}),
    ]
    who = caller("read")
    for method, place, content in asked:
        assert who.refused(method, place, content) == (403, None)
    for place in (TEMPLATES, OWN, "configuration-drift", "configuration-keys"):
        who.get(place)
        assert who.status == 200
        assert Client().get(f"/api/v1/{place}").status_code == 401


def test_the_drift_of_a_page_takes_the_same_queries(api: "Caller") -> None:
    api.post(TEMPLATES, BODY)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            api.get("configuration-drift")
        return len(captured)

    told(factories.charge_point(), HeartbeatInterval="1")
    few = queries()
    for _ in range(10):
        told(factories.charge_point(), HeartbeatInterval="1")
    assert queries() == few


def test_the_document_describes_them(api: "Caller", charger: "ChargePoint") -> None:
    document = json.loads(Client().get("/api/v1/openapi.json").content)
    api.post(TEMPLATES, BODY)
    told(charger, HeartbeatInterval="300")
    for component, answer in (
        ("Page_ConfigurationTemplateOut_", api.get(TEMPLATES)),
        ("ConfigurationOut", api.get(OWN)),
        ("Page_DriftOfOne_", api.get("configuration-drift")),
        ("Page_StandardKeyOut_", api.get("configuration-keys")),
        ("SentOut", api.post("configuration/read", {"identities": ["CP-1"]})),
    ):
        judge = jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{component}", "components": document["components"]}
        )
        judge.validate(answer)
