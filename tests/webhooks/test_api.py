"""The REST API's webhooks."""

from typing import TYPE_CHECKING, Any

import pytest

from csms.models import AuditEntry, IdempotencyKey, WebhookEvent, WebhookSubscription
from csms.services.webhooks import secret_of
from tests import factories
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from tests.api.caller import Caller

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://198.51.100.7/events"
BODY: dict[str, Any] = {"name": "billing", "url": URL, "kinds": ["transaction.stopped"]}


def test_a_webhook_is_made_listed_changed_and_deleted(api: "Caller") -> None:
    """Its secret is told once, and is in no row as it is."""
    factories.charge_point(identity="CP-1")
    made = api.post("webhooks", BODY | {"charge_points": ["CP-1"]}, idempotency_key="k")
    assert api.status == 201
    secret = made.pop("secret")
    row = WebhookSubscription.objects.get()
    assert secret_of(row) == secret
    assert secret not in str(list(IdempotencyKey.objects.values()))
    assert secret not in str(list(AuditEntry.objects.values()))
    again = api.post("webhooks", BODY | {"charge_points": ["CP-1"]}, idempotency_key="k")
    assert again == made | {"secret": None}
    path = f"webhooks/{made['id']}"
    assert api.get("webhooks")["items"] == [made] == [api.get(path)]
    assert made["charge_points"] == ["CP-1"]
    changed = api.patch(path, {"active": False, "charge_points": []})
    assert changed == made | {"active": False, "charge_points": [], "chosen_only": False}
    new = api.post(f"{path}/secret")["secret"]
    row.refresh_from_db()
    assert secret_of(row) == new != secret
    response = api.client.delete(f"/api/v1/{path}")
    assert (response.status_code, response.content) == (204, b"")
    assert api.refused("GET", path) == (404, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://198.51.100.7/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["all"]}, "kinds[0]"),
        ({"charge_points": ["nobody"]}, "charge_points"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_what_makes_no_sense_is_refused(api: "Caller", body: dict[str, Any], field: str) -> None:
    assert api.refused("POST", "webhooks", BODY | body) == (422, field)
    row = factories.webhook()
    assert api.refused("PATCH", f"webhooks/{row.pk}", body) == (422, field)
    api.post("webhooks", BODY)
    assert api.refused("POST", "webhooks", BODY) == (422, "name")


def test_dead_letters_are_listed_and_delivered_again(api: "Caller") -> None:
    row, other = factories.webhook(), factories.webhook()
    dead = [factories.webhook_event(row, state="dead", error="Answered 500.") for _ in range(3)]
    delivered = factories.webhook_event(row, identity="CP-2")
    elsewhere = factories.webhook_event(other, state="dead")
    listed = api.get(f"webhook-events?webhook={row.pk}&state=dead")["items"]
    assert [one["id"] for one in listed] == [event.pk for event in reversed(dead)]
    assert (listed[0]["error"], listed[0]["body"]["kind"]) == ("Answered 500.", "status.changed")
    assert [one["id"] for one in api.get("webhook-events?charge_point=CP-2")["items"]] == [
        delivered.pk
    ]
    path = f"webhooks/{row.pk}/replay"
    asked = {"events": [dead[0].pk, delivered.pk, elsewhere.pk]}
    assert (api.post(path, asked), api.status) == ({"replayed": 2}, 202)
    assert api.post(path, {}) == {"replayed": 2}
    assert set(WebhookEvent.objects.filter(state="waiting")) == {*dead, delivered}
    elsewhere.refresh_from_db()
    assert elsewhere.state == "dead"


@pytest.mark.usefixtures("allowed")
def test_a_test_event_is_sent_and_answered_for(api: "Caller", receiver: Receiver) -> None:
    """Also while it is paused; what became of it stands in the webhook."""
    made = api.post("webhooks", BODY | {"url": receiver.url})
    path = f"webhooks/{made['id']}"
    assert (made["last_delivered_at"], made["last_error_at"]) == (None, None)
    assert api.post(f"{path}/pause")["paused"] is True
    answer = api.post(f"{path}/test", idempotency_key="once")
    assert (api.status, answer["delivered"], answer["error"]) == (200, True, "")
    again = api.post(f"{path}/test", idempotency_key="once")
    assert (api.status, again["delivered"]) == (200, None)
    (received,) = receiver.received
    assert received.is_signed(made["secret"])
    assert received.event["id"] == answer["event_id"]
    assert received.event["kind"] == "webhook.test"
    now = api.get(path)
    assert now["last_delivered_at"] is not None
    assert (now["last_error"], now["paused"]) == ("", True)
    receiver.answer = lambda event: 503
    answer = api.post(f"{path}/test")
    assert (api.status, answer["delivered"], answer["error"]) == (200, False, "Answered 503.")
    now = api.post(f"{path}/resume")
    assert (now["last_error"], now["paused"], now["failures"]) == ("Answered 503.", False, 0)
    assert now["last_error_at"] is not None
    assert not WebhookEvent.objects.exists()  # a test is none of those that wait or were told
    assert api.refused("POST", "webhooks/999/test") == (404, None)


def test_waiting_events_are_given_up(api: "Caller") -> None:
    row = factories.webhook()
    waiting = factories.webhook_event(row, state="waiting")
    elsewhere = factories.webhook_event(factories.webhook(), state="waiting")
    path = f"webhooks/{row.pk}/give-up"
    assert api.post(path, {"events": [waiting.pk, elsewhere.pk]}) == {"given_up": 1}
    waiting.refresh_from_db()
    assert (waiting.state, waiting.error) == ("dead", "It was given up by hand.")
    assert api.refused("POST", path, {"events": []}) == (422, "events")


def test_what_is_refused_says_what_to_do(api: "Caller") -> None:
    """One plain sentence each."""

    def says(body: Any) -> str:
        message: str = api.post("webhooks", body)["error"]["message"]
        return message

    assert says(BODY | {"url": "http://198.51.100.7/"}) == (
        "Write an https:// URL: http:// is allowed only with the setting CSMS_WEBHOOK_HTTP=1."
    )
    assert says({"name": "x", "kinds": []}) == "url: Give it."
    assert says(BODY | {"kinds": []}) == "kinds: Give 1 or more of them."
    assert says(BODY | {"name": ""}) == "name: Give 1 or more characters."
    assert says(BODY | {"colour": "red"}) == "colour: There is no such field: leave it out."
    assert says(BODY | {"active": "perhaps"}) == "active: Give true or false."
    assert says(BODY | {"kinds": ["all"]}).startswith("kinds[0]: Give 'transaction.started',")
    assert says("{") == "The body cannot be read: send JSON in UTF-8."
    assert api.get("nowhere")["error"]["message"].endswith("see /api/v1/docs for what there is.")
    assert api.get("webhooks/999")["error"]["message"].endswith("GET /api/v1/webhooks lists them.")


def test_who_may_only_look_sees_events_and_no_webhooks(reader: "Caller") -> None:
    row = factories.webhook()
    factories.webhook_event(row, state="dead")
    assert len(reader.get("webhook-events")["items"]) == 1
    for method, path, body in (
        ("GET", "webhooks", None),
        ("GET", f"webhooks/{row.pk}", None),
        ("POST", "webhooks", BODY),
        ("PATCH", f"webhooks/{row.pk}", {}),
        ("DELETE", f"webhooks/{row.pk}", None),
        ("POST", f"webhooks/{row.pk}/secret", None),
        ("POST", f"webhooks/{row.pk}/replay", {}),
        ("POST", f"webhooks/{row.pk}/give-up", {"events": [1]}),
        ("POST", f"webhooks/{row.pk}/test", None),
        ("POST", f"webhooks/{row.pk}/pause", None),
        ("POST", f"webhooks/{row.pk}/resume", None),
    ):
        assert reader.refused(method, path, body) == (403, None), path
