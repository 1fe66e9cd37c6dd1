"""The REST API's charging profiles."""

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from django.test import Client

from csms.models import ChargingProfileTemplate, Command
from tests import factories
from tests.api.caller import caller
from tests.smart_charging.profiles import DEFAULT, HOUR, MAX, TX, wire
from tests.smart_charging.rows import daily, present, template

if TYPE_CHECKING:
    from csms.models import ChargePoint
    from tests.api.caller import Caller

pytestmark = pytest.mark.django_db(transaction=True)

TEMPLATES = "charging-profile-templates"
SCHEDULE = "charge-points/CP-1/connectors/1/composite-schedule"


def plain(**fields: Any) -> dict[str, Any]:
    """A profile without chargingProfileId."""
    profile = wire(DEFAULT, (0, 16.1), (HOUR, 6, 1), **fields)
    del profile["chargingProfileId"]
    return profile


def test_a_template_is_made_listed_changed_and_deleted(api: "Caller") -> None:
    made = api.post(TEMPLATES, {"name": "Nights", "profile": plain()})
    assert api.status == 201
    assert made["profile"] == plain()
    assert api.get(TEMPLATES)["items"] == [made]
    assert api.get(f"{TEMPLATES}?purpose={TX}")["items"] == []
    assert api.get(f"{TEMPLATES}?prefix=Ni")["items"] == [made]
    path = f"{TEMPLATES}/{made['id']}"
    assert api.patch(path, {"name": "Days"}) == made | {"name": "Days"}
    whole = wire(TX, (0, 8), number=9, kind="Relative", duration=60)
    assert api.patch(path, {"profile": whole})["profile"] == whole
    assert api.get(path)["profile"] == whole
    response = api.client.delete(f"/api/v1/{path}")
    assert (response.status_code, response.content) == (204, b"")
    assert not ChargingProfileTemplate.objects.exists()
    assert api.refused("GET", path) == (404, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "N", "profile": plain(kind="Recurring")}, "profile.recurrencyKind"),
        (
            {"name": "N", "profile": wire(DEFAULT, (0, 1.05))},
            "profile.chargingSchedule.chargingSchedulePeriod[0]",
        ),
        ({"name": "N", "profile": {}}, "profile.stackLevel"),
        ({"name": "N", "profile": []}, "profile"),
        ({"name": "", "profile": plain()}, "name"),
        ({"name": "Taken", "profile": plain()}, "name"),
    ],
)
def test_what_is_refused(api: "Caller", body: Any, field: str) -> None:
    template("Taken")
    status, place = api.refused("POST", TEMPLATES, body)
    assert status == 422
    assert place is not None
    assert place.startswith(field)


def test_a_template_is_applied(api: "Caller", charger: "ChargePoint") -> None:
    path = f"{TEMPLATES}/{daily().pk}/apply"
    command = api.post(path, {"charge_point": "CP-1", "connector_id": 1, "expires_in": 60})
    assert api.status == 202
    assert (command["action"], command["state"]) == ("SetChargingProfile", "queued")
    assert command["payload"]["csChargingProfiles"]["recurrencyKind"] == "Daily"
    slow = f"{TEMPLATES}/{template('Slow', TX).pk}/apply"
    body = {"charge_point": "CP-1", "connector_id": 1}
    assert api.refused("POST", slow, body) == (409, None)
    run = factories.transaction(charger, state="open")
    profile = api.post(slow, body)["payload"]["csChargingProfiles"]
    assert profile["transactionId"] == run.transaction_id
    most = f"{TEMPLATES}/{template('Most', MAX).pk}/apply"
    assert api.refused("POST", most, body)[0] == 422
    assert api.refused("POST", most, body | {"charge_point": "x"}) == (422, "charge_point")
    charger.feature_profiles = "Core"
    charger.save()
    assert api.refused("POST", path, body) == (409, None)


def test_a_repeat_is_sent_once(api: "Caller", charger: "ChargePoint") -> None:
    path = f"{TEMPLATES}/{daily().pk}/apply"
    body = {"charge_point": "CP-1", "connector_id": 1}
    first = api.post(path, body, Idempotency_Key="one")
    assert api.post(path, body, Idempotency_Key="one") == first
    assert Command.objects.count() == 1


def test_what_is_installed_and_which_limits_follow(api: "Caller", charger: "ChargePoint") -> None:
    run = factories.transaction(charger, state="open")
    row = present(charger, 1, wire(TX, (0, 10.5), number=3, duration=600, kind="Relative"))
    row.transaction = run
    row.save()
    default = wire(DEFAULT, (0, 16.1), number=4, startSchedule="2026-01-01T00:00:00Z")
    present(charger, 0, default)
    listed = api.get("charge-points/CP-1/charging-profiles")
    assert [(one["connector_id"], one["transaction_id"]) for one in listed] == [
        (0, None),
        (1, run.transaction_id),
    ]
    assert listed[0]["profile"] == default
    start = f"{run.started_at:%Y-%m-%dT%H:%M:%SZ}"
    ours = api.get(f"{SCHEDULE}?duration=3600&unit=W&start={start}")
    assert ours == {
        "charge_point": "CP-1",
        "connector_id": 1,
        "start": start,
        "duration": 3600,
        "unit": "W",
        "periods": [
            {"start_period": 0, "limit": 7245.0, "number_phases": 3},
            {"start_period": 600, "limit": 11_109.0, "number_phases": 3},
        ],
    }
    free = api.get(SCHEDULE.replace("CP-1", factories.charge_point().identity))
    assert [period["limit"] for period in free["periods"]] == [None]
    for query in ("duration=0", "duration=99999999", "unit=V", "start=noon"):
        assert api.refused("GET", f"{SCHEDULE}?{query}")[0] == 422, query
    assert api.refused("GET", SCHEDULE.replace("CP-1", "none")) == (404, None)


def test_who_may_what(charger: "ChargePoint") -> None:
    row = daily()
    path = f"{TEMPLATES}/{row.pk}"
    body = {"charge_point": "CP-1", "connector_id": 1}
    asked: list[tuple[str, str, Any]] = [
        ("POST", TEMPLATES, {"name": "N", "profile": plain()}),
        ("PATCH", path, {"name": "N"}),
        ("DELETE", path, None),
    ]
    for can in ("read", "operate"):
        who = caller(can)
        for method, place, content in asked:
            assert who.refused(method, place, content) == (403, None)
        for place in (TEMPLATES, path, "charge-points/CP-1/charging-profiles", SCHEDULE):
            who.get(place)
            assert who.status == 200
    assert caller("read", "other").refused("POST", f"{path}/apply", body) == (403, None)
    caller("operate", "sender").post(f"{path}/apply", body)
    assert Command.objects.count() == 1
    for place in (TEMPLATES, path, "charge-points/CP-1/charging-profiles", SCHEDULE):
        assert Client().get(f"/api/v1/{place}").status_code == 401


def test_the_document_describes_them(api: "Caller", charger: "ChargePoint") -> None:
    document = json.loads(Client().get("/api/v1/openapi.json").content)
    present(charger, 1, wire(DEFAULT, number=4))
    daily()
    for component, answer in (
        ("Page_TemplateOut_", api.get(TEMPLATES)),
        ("InstalledOut", api.get("charge-points/CP-1/charging-profiles")[0]),
        ("CompositeOut", api.get(SCHEDULE)),
        ("TemplateIn", {"name": "N", "profile": plain()}),
    ):
        judge = jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{component}", "components": document["components"]}
        )
        judge.validate(answer)
    assert not judge.is_valid({"name": "N", "profile": plain() | {"transactionId": 1}})
