"""The admin's pages of webhooks without a browser."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from csms.admin import show
from csms.models import AuditEntry, WebhookEvent, WebhookLane, WebhookSubscription
from csms.services.webhook_trial import subscription_try
from csms.services.webhooks import secret_of
from tests import factories
from tests.access.people import signed_in, somebody
from tests.webhooks.receiver import Receiver, subscribed

pytestmark = pytest.mark.django_db

ADD = "/admin/csms/webhooksubscription/add/"
EVENTS = "/admin/csms/webhookevent/"
FORM: dict[str, Any] = {
    "name": "billing",
    "url": "https://198.51.100.7/events",
    "kinds": ["transaction.stopped", "transaction.started"],
    "site": "Garage",
    "charge_points": [],
    "active": "on",
}


def test_a_webhook_is_added_and_its_secret_is_shown_once(admin_client: Client) -> None:
    charger = factories.charge_point()
    response = admin_client.post(ADD, FORM | {"charge_points": [charger.pk]})
    row = WebhookSubscription.objects.get()
    secret = secret_of(row)
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert row.kinds == ["transaction.started", "transaction.stopped"]
    assert (row.site, list(row.charge_points.all())) == ("Garage", [charger])
    url = show.change_url("webhooksubscription", row.pk)
    page = admin_client.get(url).content.decode()
    assert secret not in page
    assert row.secret not in page
    assert admin_client.post(url, FORM | {"name": "invoices"}).status_code == 302
    row.refresh_from_db()
    assert (row.name, secret_of(row), row.charge_points.count()) == ("invoices", secret, 0)
    response = admin_client.post(url, FORM | {"new_secret": "on"})
    row.refresh_from_db()
    assert secret_of(row) != secret
    assert secret_of(row) in response.content.decode()
    noted = str(list(AuditEntry.objects.values("changes")))
    assert "invoices" in noted
    assert secret not in noted
    assert row.secret not in noted


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"url": "http://198.51.100.7/"}, "url", "CSMS_WEBHOOK_HTTP=1"),
        ({"url": "https://localhost/"}, "url", "allowed network"),
        ({"kinds": []}, "kinds", "required"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin_client: Client, changes: dict[str, Any], field: str, text: str
) -> None:
    response = admin_client.post(ADD, FORM | changes)
    assert response.status_code == 200
    assert text in str(response.context["adminform"].form.errors[field])


def test_the_list_says_how_each_one_does(admin_client: Client) -> None:
    later = factories.now() + timedelta(minutes=5)
    factories.webhook(name="fine", last_delivered_at=later)
    factories.webhook(name="off", active=False)
    failing = factories.webhook(
        name="down", failures=4, paused_until=later, last_error="Answered 503."
    )
    factories.webhook_event(failing, state="dead")
    factories.webhook_event(failing, state="waiting")
    factories.webhook(name="new")
    factories.webhook(name="by hand", paused=True)
    page = admin_client.get(show.list_url("webhooksubscription")).content.decode()
    for text in (
        *("works", "off", "next try", "Answered 503.", "dead letters"),
        *("nothing sent yet", "paused"),
    ):
        assert text in page
    assert page.count("state=dead") == page.count("state=waiting") == 1


def test_dead_letters_are_looked_at_and_delivered_again(admin_client: Client) -> None:
    row = factories.webhook(name="billing")
    dead = factories.webhook_event(row, state="dead", error="Answered 500.", attempts=40)
    other = factories.webhook_event(factories.webhook(), state="dead")
    delivered = factories.webhook_event(row, identity="CP-2")
    listed = admin_client.get(EVENTS, {"state": "dead", "webhook": "billing"})
    assert list(listed.context["cl"].result_list) == [dead]
    assert list(admin_client.get(EVENTS, {"q": "CP-2"}).context["cl"].result_list) == [delivered]
    page = admin_client.get(show.change_url("webhookevent", dead.pk)).content.decode()
    assert "Answered 500." in page
    assert "Charging" in page
    chosen = {"action": "replay", "_selected_action": [dead.pk, delivered.pk]}
    assert admin_client.post(EVENTS, chosen).status_code == 302
    waiting = WebhookEvent.objects.filter(state="waiting")
    assert set(waiting) == {dead, delivered}
    other.refresh_from_db()
    assert other.state == "dead"


@pytest.mark.usefixtures("allowed")
def test_a_test_event_is_sent_from_its_page(admin_client: Client, receiver: Receiver) -> None:
    row, _ = subscribed(receiver.url, name="billing")
    page = admin_client.get(_page(row)).content.decode()
    assert "nothing sent yet" in page
    assert "Send a test event" in page
    page = admin_client.post(f"{_page(row, 'test')}", follow=True).content.decode()
    assert "The test event was taken" in page
    assert [event["kind"] for event in receiver.events] == ["webhook.test"]
    assert "works" in page
    receiver.answer = lambda event: 500
    page = admin_client.post(_page(row, "test"), follow=True).content.decode()
    assert "The test event was not taken. Answered 500." in page
    row.refresh_from_db()
    assert (row.last_error, row.failures) == ("Answered 500.", 0)
    assert row.last_delivered_at is not None
    assert row.last_error_at is not None
    assert admin_client.get(_page(row, "test")).status_code == 405


def test_a_test_that_is_taken_has_what_waits_sent_at_once(
    receiver: Receiver, allowed: None
) -> None:
    row, _ = subscribed(receiver.url)
    later = factories.now() + timedelta(minutes=5)
    WebhookSubscription.objects.update(failures=5, paused_until=later)
    assert subscription_try(subscription=row).problem == ""
    row.refresh_from_db()
    assert (row.failures, row.paused_until) == (0, None)


def test_a_webhook_is_paused_and_resumed_from_its_page(admin_client: Client) -> None:
    row = factories.webhook()
    factories.webhook_event(row, state="waiting")
    page = admin_client.get(_page(row)).content.decode()
    assert ('id="pause"' in page, 'id="resume"' in page) == (True, False)
    page = admin_client.post(_page(row, "pause"), follow=True).content.decode()
    assert WebhookSubscription.objects.get().paused
    assert ('id="pause"' in page, 'id="resume"' in page) == (False, True)
    assert "Paused: events are kept" in page
    page = admin_client.post(_page(row, "resume"), follow=True).content.decode()
    assert not WebhookSubscription.objects.get().paused
    WebhookSubscription.objects.update(failures=4, last_error="Answered 503.")
    noted = [entry.changes for entry in AuditEntry.objects.order_by("id")]
    assert {"paused": ["no", "yes"]} in noted
    assert {"paused": ["yes", "no"]} in noted
    page = admin_client.get(_page(row)).content.decode()
    assert "Try now" in page
    assert "Answered 503." in page


def test_a_webhook_of_deleted_charge_points_says_so_and_is_not_widened_by_a_save(
    admin_client: Client,
) -> None:
    charger = factories.charge_point()
    admin_client.post(ADD, FORM | {"charge_points": [charger.pk]})
    row = WebhookSubscription.objects.get()
    charger.delete()
    page = admin_client.get(_page(row)).content.decode()
    assert "No charge point: those that were chosen are deleted." in page
    assert "told of none" in page
    admin_client.post(_page(row), FORM | {"name": "invoices"})
    row.refresh_from_db()
    assert (row.name, row.chosen_only) == ("invoices", True)
    admin_client.post(_page(row), FORM | {"of_all": "on"})
    row.refresh_from_db()
    assert not row.chosen_only
    assert "of_all" not in admin_client.get(_page(row)).content.decode()


def test_waiting_events_are_given_up_by_an_action(admin_client: Client) -> None:
    waiting = factories.webhook_event(factories.webhook(), state="waiting")
    chosen = {"action": "give_up", "_selected_action": [waiting.pk]}
    assert admin_client.post(EVENTS, chosen).status_code == 302
    waiting.refresh_from_db()
    assert waiting.state == "dead"


def test_only_who_may_change_webhooks_steers_them() -> None:
    row = factories.webhook()
    for role in ("viewer", "operator", "manager"):
        client = signed_in(somebody(role, role))
        for step in ("test", "pause", "resume"):
            assert client.post(_page(row, step)).status_code == 403
    row.refresh_from_db()
    assert not row.paused


def _page(row: WebhookSubscription, step: str = "change") -> str:
    return reverse(f"admin:csms_webhooksubscription_{step}", args=(row.pk,))


def test_a_webhook_is_deleted_without_a_list_of_its_events(admin_client: Client) -> None:
    row = factories.webhook()
    factories.webhook_event(row)
    WebhookLane.objects.create(
        subscription=row,
        identity="CP-1",
        lease="00000000-0000-0000-0000-000000000000",
        leased_until=factories.now(),
    )
    url = reverse("admin:csms_webhooksubscription_delete", args=(row.pk,))
    assert admin_client.post(url, {"post": "yes"}).status_code == 302
    assert not WebhookSubscription.objects.exists()
    assert not WebhookLane.objects.exists()
    assert admin_client.get(EVENTS).status_code == 200


def test_a_manager_replays_and_only_an_admin_sees_webhooks() -> None:
    event = factories.webhook_event(factories.webhook(), state="dead")
    chosen = {"action": "replay", "_selected_action": [event.pk]}
    operator = signed_in(somebody("operator", "oli"))
    manager = signed_in(somebody("manager", "mia"))
    for client, replayed in ((operator, False), (manager, True)):
        assert client.get(EVENTS).status_code == 200
        assert client.get(show.list_url("webhooksubscription")).status_code == 403
        client.post(EVENTS, chosen)
        event.refresh_from_db()
        assert (event.state == "waiting") == replayed
    admin = signed_in(somebody("admin", "ann"))
    assert admin.get(show.list_url("webhooksubscription")).status_code == 200


def test_unknown_vendor_messages_are_listed(admin_client: Client) -> None:
    row = factories.unknown_transfer(vendor_id="org.example", example="<script>alert(1)</script>")
    url = show.list_url("unknowntransfer")
    page = admin_client.get(url, {"q": "org.ex"}).content.decode()
    assert "org.example" in page
    assert "<script>alert" not in page
    assert admin_client.get(show.change_url("unknowntransfer", row.pk)).status_code == 200
