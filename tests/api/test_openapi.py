"""The OpenAPI document: valid, complete, with the payloads of the declarations; its pages."""

import json
import re
from typing import TYPE_CHECKING, Any, get_args

import jsonschema
import pytest
from django.test import Client
from openapi_spec_validator import OpenAPIV31SpecValidator

from csms.api import charge_points, commands, transactions
from csms.api.openapi import _add, sendable_requests
from csms.models.charge_points import Registration, SecurityProfile, SoapProof, Transport
from csms.models.commands import CommandState, Effect
from csms.models.transactions import TransactionState
from csms.ocpp.base import action
from csms.ocpp.registry import ACTIONS
from tests import factories

if TYPE_CHECKING:
    from tests.api.caller import Caller


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    response = Client().get("/api/v1/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = json.loads(response.content)
    return found


def judge(document: dict[str, Any], component: str) -> jsonschema.Draft202012Validator:
    """Judges values by a component of the document."""
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{component}", "components": document["components"]}
    )


def test_it_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_operation_of_the_central_system_is_there(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    names = {action(request) for request in sendable_requests()}
    assert len(names) == 26
    assert names <= schemas.keys()
    for body in ("CommandIn", "BulkIn"):
        assert schemas[body]["discriminator"]["mapping"].keys() == names
        assert len(schemas[body]["oneOf"]) == 26


def test_payloads_have_the_fields_of_their_declarations(document: dict[str, Any]) -> None:
    for request in sendable_requests():
        schema = document["components"]["schemas"][action(request)]
        assert tuple(schema.get("properties", {})) == request.__struct_encode_fields__


@pytest.mark.django_db(transaction=True)
def test_answers_are_as_described(document: dict[str, Any], api: "Caller") -> None:
    charger = factories.charge_point(identity="CP1")
    run = factories.transaction(charger, transaction_id=7)
    factories.connector(charger)
    factories.meter_value(charger, transaction=run)
    factories.id_tag("T", expires_at=factories.now()).charge_points.add(charger)
    ended = factories.command(charger, state="accepted", effect="seen", transaction=run)
    body = {"action": "Reset", "payload": {"type": "Soft"}}
    for component, answer in (
        ("Page_ChargePointOut_", api.get("charge-points")),
        ("Page_ConnectorOut_", api.get("connectors")),
        ("Page_TransactionOut_", api.get("transactions")),
        ("Page_MeterValueOut_", api.get("meter-values?transaction=7")),
        ("Page_IdTagOut_", api.get("id-tags")),
        ("Page_CommandOut_", api.get("commands")),
        ("CommandOut", api.get(f"commands/{ended.pk}")),
        ("CommandOut", api.post("charge-points/CP1/commands", body)),
        ("BatchOut", api.post("commands/bulk", {**body, "identities": ["CP1", "x"]})),
        ("ChargePointMade", api.post("charge-points", {"identity": "new"})),
        ("IdTagOut", api.post("id-tags", {"id_tag": "new"})),
        ("Error", api.get("id-tags/none")),
    ):
        described = document["components"]["schemas"][component]
        assert answer.keys() == described["properties"].keys(), component
        judge(document, component).validate(answer)
        if "items" in answer:
            assert len(answer["items"]) == 1
    assert api.get(f"commands/{ended.pk}")["transaction_id"] == 7


def test_what_is_described_is_what_the_models_hold() -> None:
    for described, choices in (
        (commands.State, CommandState),
        (commands.EffectText, Effect),
        (transactions.State, TransactionState),
        (charge_points.Registration, Registration),
        (charge_points.Transport, Transport),
        (charge_points.Profile, SecurityProfile),
        (charge_points.SoapProof, SoapProof),
    ):
        assert set(get_args(described)) == set(choices.values)


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"action": "Reset", "payload": {"type": "Soft"}, "expires_in": 3600}, True),
        ({"action": "ClearCache"}, True),
        ({"action": "Reset"}, False),
        ({"action": "Reset", "payload": {"type": "Gentle"}}, False),
        ({"action": "Heartbeat", "payload": {}}, False),
        ({"action": "ClearCache", "expires": 1}, False),
        ({"action": "TriggerMessage", "payload": {"requestedMessage": "Heartbeat"}}, True),
    ],
)
def test_it_describes_the_body_of_a_command(
    body: Any, valid: bool, document: dict[str, Any]
) -> None:
    assert judge(document, "CommandIn").is_valid(body) is valid


def test_it_describes_decimals_as_numbers(document: dict[str, Any]) -> None:
    period = judge(document, "ChargingSchedulePeriod")
    assert period.is_valid({"startPeriod": 0, "limit": 16.5})
    assert not period.is_valid({"startPeriod": 0, "limit": "16.5"})


def test_it_describes_to_whom_a_bulk_command_goes(document: dict[str, Any]) -> None:
    bulk = judge(document, "BulkIn")
    body = {"action": "ClearCache"}
    assert bulk.is_valid({**body, "identities": ["CP1"]})
    assert bulk.is_valid({**body, "filter": {"site": "North"}})
    assert bulk.is_valid({**body, "all": True})
    assert not bulk.is_valid({**body, "all": False})
    assert not bulk.is_valid(body)
    assert not bulk.is_valid({**body, "identities": ["CP1"], "filter": {"site": "North"}})


def test_every_operation_says_how_to_get_in_and_what_may_go_wrong(
    document: dict[str, Any],
) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["security"] == [{"token": []}], path
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/Error"}
            header = [p for p in operation["parameters"] if p["name"] == "Idempotency-Key"]
            sends_json = "multipart/form-data" not in operation.get("requestBody", {}).get(
                "content", {}
            )
            assert bool(header) == (method == "post" and sends_json), path


def test_passwords_only_go_in(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    password = schemas["ChargePointIn"]["properties"]["password"]
    assert '"writeOnly": true' in json.dumps(password)
    assert "password" not in schemas["ChargePointOut"]["properties"]


def test_no_action_is_described_by_hand(document: dict[str, Any]) -> None:
    ours = set(document["components"]["schemas"]) - set(ACTIONS)
    with pytest.raises(ValueError, match="Two components"):
        _add({"Reset": {}}, {"Reset": {}})
    assert "CommandOut" in ours


def test_the_pages_ask_no_other_machine(client: Client) -> None:
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    text = page.content.decode()
    assert '"validatorUrl": null' in text
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert links
    assert all(link.startswith("/static/") for link in links), links
    for link in links:
        assert client.get(link).status_code == 200, link
