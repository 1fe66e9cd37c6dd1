"""Commands: sent to one and to many, refused with the field, cancelled; what is never shown."""

from typing import Any

import pytest

from csms.api import batches
from csms.models import Command, CommandBatch, CommandEvent
from tests import factories
from tests.api.caller import Caller

pytestmark = pytest.mark.django_db

RESET = {"action": "Reset", "payload": {"type": "Soft"}, "expires_in": 3600}
LIMIT = {
    "connectorId": 1,
    "csChargingProfiles": {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}],
        },
    },
}


def test_a_command_waits_until_it_can_be_sent(api: Caller) -> None:
    charger = factories.charge_point(identity="CP1")
    answer = api.post("charge-points/CP1/commands", RESET)
    assert api.status == 202
    row = Command.objects.get()
    assert answer["id"] == row.pk
    assert (answer["state"], answer["answer"], answer["effect"]) == ("queued", None, "")
    assert (answer["action"], answer["payload"]) == ("Reset", {"type": "Soft"})
    assert answer["requested_by"] == "API: test-all"
    assert answer["expires_at"].endswith("Z")
    assert (row.expires_at - row.created_at).total_seconds() == 3600
    assert row.charge_point == charger
    assert answer in api.get("commands")["items"]


def test_decimals_stay_exact(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    answer = api.post(
        "charge-points/CP1/commands", {"action": "SetChargingProfile", "payload": LIMIT}
    )
    assert api.status == 202
    schedule = answer["payload"]["csChargingProfiles"]["chargingSchedule"]
    assert str(schedule["chargingSchedulePeriod"][0]["limit"]) == "16.1"


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"action": "Reset"}, (422, "payload.type")),
        ({"action": "Reset", "payload": {"type": "Gentle"}}, (422, "payload.type")),
        ({"action": "Reset", "payload": {"type": "Soft", "x": 1}}, (422, "payload.x")),
        ({"action": "Reset", "payload": []}, (422, "payload")),
        ({"action": "Heartbeat", "payload": {}}, (422, "action")),
        ({"action": "Explode"}, (422, "action")),
        ({"payload": {}}, (422, "action")),
        ({**RESET, "expires_in": 0}, (422, "expires_in")),
        ({**RESET, "expires_in": 10**9}, (422, "expires_in")),
        ({**RESET, "expires": 5}, (422, "expires")),
        (
            {"action": "DataTransfer", "payload": {"vendorId": "a\0"}},
            (422, "payload.vendorId"),
        ),
        (
            {
                "action": "SetChargingProfile",
                "payload": {
                    **LIMIT,
                    "csChargingProfiles": {**LIMIT["csChargingProfiles"], "stackLevel": "high"},  # type: ignore[dict-item]
                },
            },
            (422, "payload.csChargingProfiles.stackLevel"),
        ),
        (
            {"action": "ReserveNow", "payload": {"connectorId": 1}},
            (422, "payload.expiryDate"),
        ),
        (
            {"action": "UnlockConnector", "payload": {"connectorId": 0}},
            (422, "payload.connectorId"),
        ),
        (
            {"action": "ChangeConfiguration", "payload": {"key": "SimPIN", "value": "•••"}},
            (422, "payload.value"),
        ),
        (
            {
                "action": "SendLocalList",
                "payload": {
                    "listVersion": 1,
                    "updateType": "Full",
                    "localAuthorizationList": [
                        {"idTag": tag, "idTagInfo": {"status": "Accepted"}} for tag in ("a", "•••")
                    ],
                },
            },
            (422, "payload.localAuthorizationList[1].idTag"),
        ),
    ],
)
def test_a_command_that_cannot_be_names_the_field(
    body: Any, refusal: tuple[int, str], api: Caller
) -> None:
    factories.charge_point(identity="CP1")
    assert api.refused("POST", "charge-points/CP1/commands", body) == refusal
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("columns", "body"),
    [
        ({"registration": "Rejected"}, RESET),
        (
            {"registration": "Pending"},
            {"action": "RemoteStopTransaction", "payload": {"transactionId": 1}},
        ),
        (
            {"transport": "soap"},
            {"action": "ExtendedTriggerMessage", "payload": {"requestedMessage": "Heartbeat"}},
        ),
    ],
)
def test_what_a_charge_point_cannot_take_is_a_conflict(
    columns: Any, body: Any, api: Caller
) -> None:
    factories.charge_point(identity="CP1", **columns)
    assert api.refused("POST", "charge-points/CP1/commands", body) == (409, None)
    assert not Command.objects.exists()


def test_nobody_is_sent_a_command_who_is_not_there(api: Caller) -> None:
    assert api.refused("POST", "charge-points/nobody/commands", RESET) == (404, None)
    assert api.refused("POST", "charge-points/a%00b/commands", RESET) == (422, None)


@pytest.mark.django_db(transaction=True)
def test_secrets_are_never_shown(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    payload = {"key": "StationPassword", "value": "hunter2"}
    body = {"action": "ChangeConfiguration", "payload": payload}
    answer = api.post("charge-points/CP1/commands", body, idempotency_key="k")
    assert api.status == 202
    assert "hunter2" not in str(answer)
    assert "hunter2" not in str(api.get("commands"))
    assert api.get(f"commands/{answer['id']}")["payload"]["value"] == "•••"
    bulk = api.post("commands/bulk", {**body, "identities": ["CP1"]})
    assert "hunter2" not in str(bulk)
    command = Command.objects.latest("pk")
    assert (command.payload, bool(command.sealed)) == (payload | {"value": "•••"}, True)


def test_a_command_is_cancelled_once(api: Caller) -> None:
    charger = factories.charge_point()
    waiting = factories.command(charger)
    answer = api.post(f"commands/{waiting.pk}/cancel")
    assert (api.status, answer["state"]) == (200, "cancelled")
    assert api.refused("POST", f"commands/{waiting.pk}/cancel") == (409, None)
    for number in ("1000000", "9" * 30):
        assert api.refused("POST", f"commands/{number}/cancel") == (404, None)
    events = CommandEvent.objects.filter(command=waiting, state="cancelled")
    assert [event.by for event in events] == ["API: test-all"]


# ------------------------------------------------------------------------------------ bulk


def test_many_are_sent_one_command(api: Caller) -> None:
    for number in range(3):
        factories.charge_point(identity=f"CP{number}")
    factories.charge_point(identity="old", registration="Rejected")
    body = {**RESET, "identities": ["CP0", "CP1", "CP1", "old", "nobody"]}
    answer = api.post("commands/bulk", body)
    assert api.status == 202
    assert answer["queued"] == 2
    assert answer["refused"] == [
        {"identity": "old", "message": "old is Rejected: nothing is sent to it."},
        {"identity": "nobody", "message": "There is no such charge point."},
    ]
    assert answer == api.get(f"command-batches/{answer['id']}")
    rows = api.get(f"commands?batch={answer['id']}")["items"]
    assert {row["charge_point"] for row in rows} == {"CP0", "CP1"}


def test_many_are_chosen_by_what_they_are(api: Caller) -> None:
    factories.charge_point(identity="a", site="North", firmware_version="1")
    factories.charge_point(identity="b", site="North", firmware_version="2", transport="soap")
    factories.charge_point(identity="c", site="South", firmware_version="1", vendor="Other")
    for condition, expected in (
        ({"site": "North"}, {"a", "b"}),
        ({"site": "North", "transport": "soap"}, {"b"}),
        ({"firmware": "1"}, {"a", "c"}),
        ({"vendor": "Other"}, {"c"}),
    ):
        batch = api.post("commands/bulk", {**RESET, "filter": condition})
        assert api.status == 202, batch
        sent = Command.objects.filter(batch=batch["id"]).select_related("charge_point")
        assert {row.charge_point.identity for row in sent} == expected, condition
    everybody = api.post("commands/bulk", {**RESET, "all": True})
    assert (api.status, everybody["queued"]) == (202, 3)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({}, None),
        ({"identities": ["a"], "filter": {"site": "x"}}, None),
        ({"identities": ["a"], "all": True}, None),
        ({"all": False}, "all"),
        ({"identities": ["nobody", "cp1"]}, "identities"),
        ({"filter": {"site": "nowhere"}}, "filter"),
        ({"identities": []}, "identities"),
        ({"filter": {}}, "filter"),
        ({"filter": {"sight": "x"}}, "filter.sight"),
        ({"identities": ["CP1"], "payload": {"type": "Gentle"}}, "payload.type"),
    ],
)
def test_a_bulk_command_that_cannot_be_names_the_field(
    more: Any, field: str | None, api: Caller
) -> None:
    factories.charge_point(identity="CP1")
    assert api.refused("POST", "commands/bulk", {**RESET, **more}) == (422, field)
    assert not CommandBatch.objects.exists()


def test_a_bulk_command_has_bounds(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST", 2)
    for _ in range(3):
        factories.charge_point(site="North")
    for chosen, field in (({"all": True}, "all"), ({"filter": {"site": "North"}}, "filter")):
        assert api.refused("POST", "commands/bulk", {**RESET, **chosen}) == (422, field)
    assert not CommandBatch.objects.exists()


def test_a_bulk_command_that_nobody_can_take_says_why(api: Caller) -> None:
    factories.charge_point(identity="CP1", registration="Rejected")
    answer = api.post("commands/bulk", {**RESET, "identities": ["CP1", "nobody"]})
    assert (api.status, answer["queued"], answer["states"]) == (202, 0, {})
    assert [refused["identity"] for refused in answer["refused"]] == ["CP1", "nobody"]


def test_a_batch_is_counted_and_cancelled(api: Caller) -> None:
    batch = CommandBatch.objects.create(action="Reset", payload={"type": "Soft"})
    states = ("queued", "queued", "sent", "accepted", "accepted", "rejected")
    effects = ("", "", "", "seen", "waiting", "")
    for state, effect in zip(states, effects, strict=True):
        factories.command(factories.charge_point(), batch=batch, state=state, effect=effect)
    answer = api.get(f"command-batches/{batch.pk}")
    assert answer["states"] == {"queued": 2, "sent": 1, "accepted": 2, "rejected": 1}
    assert answer["effects"] == {"seen": 1, "waiting": 1}
    answer = api.post(f"command-batches/{batch.pk}/cancel")
    assert answer["queued"] == 0
    assert answer["states"] == {"cancelled": 2, "sent": 1, "accepted": 2, "rejected": 1}


def test_what_would_be_right_is_said(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    answer = api.post("charge-points/CP1/commands", {"action": "Reset", "payload": {"type": "x"}})
    assert (api.status, answer["error"]["field"]) == (422, "payload.type")
    assert answer["error"]["message"].endswith("does not know. It may be Hard or Soft.")
    answer = api.post("charge-points/CP1/commands", {"action": "getconfig", "payload": {}})
    assert (api.status, answer["error"]["field"]) == (422, "action")
    assert answer["error"]["message"].endswith("OCPP 1.6: GetConfiguration is.")
