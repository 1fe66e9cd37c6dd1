"""What became of commands: progress, cancelling, sending again, finding them."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from csms.admin import sending, show
from csms.models import ChargePoint, Command, CommandBatch, CommandEvent
from csms.services.commands import batch_send, request_of
from tests import factories
from tests.admin.operations import SEND, post

pytestmark = pytest.mark.django_db


def _batch(**states: int) -> CommandBatch:
    """A bulk Reset; how many of its commands are in each state."""
    chargers = [factories.charge_point() for _ in range(sum(states.values()))]
    batch = batch_send(
        charge_points=chargers, request=request_of("Reset", {"type": "Soft"}), by="admin: admin"
    )
    commands = iter(batch.commands.order_by("id"))
    for state, number in states.items():
        for _ in range(number):
            command = next(commands)
            command.state = state.replace("_", " ")
            if state == "accepted":
                command.effect, command.effect_text = "seen", "The charge point has booted."
            if state == "error":
                command.error = "<b>InternalError</b>"
            command.save()
    return batch


def test_progress_counts_states_and_effects(admin_client: Client) -> None:
    batch = _batch(queued=2, accepted=3, error=1)
    response = admin_client.get(f"/admin/csms/commandbatch/{batch.pk}/progress/")
    page = response.content.decode()
    assert "<html" not in page
    assert 'data-open="2"' in page
    assert [number for _, _, number in response.context["counts"]] == [2, 3, 1, 3]
    assert "effect seen" in page
    assert "&lt;b&gt;InternalError" in page
    for url, _, number in response.context["counts"]:
        assert len(admin_client.get(url).context["cl"].result_list) == number


def test_progress_links_the_transaction_that_was_started(admin_client: Client) -> None:
    charger = factories.charge_point()
    row = factories.transaction(charger)
    batch = batch_send(
        charge_points=[charger], request=request_of("RemoteStartTransaction", {"idTag": "TAG1"})
    )
    batch.commands.update(state="accepted", effect="seen", transaction=row)
    page = admin_client.get(show.change_url("commandbatch", batch.pk)).content.decode()
    assert show.change_url("transaction", row.pk) in page
    assert "Nothing is open any more" in page
    page = admin_client.get(show.change_url("command", batch.commands.get().pk)).content.decode()
    assert show.change_url("transaction", row.pk) in page
    assert show.change_url("commandbatch", batch.pk) in page


def test_what_is_queued_is_cancelled_and_noted(admin_client: Client) -> None:
    batch = _batch(queued=2, sent=1)
    admin_client.post(f"/admin/csms/commandbatch/{batch.pk}/cancel/")
    assert sorted(batch.commands.values_list("state", flat=True)) == [
        "cancelled",
        "cancelled",
        "sent",
    ]
    events = CommandEvent.objects.filter(state="cancelled")
    assert [event.by for event in events] == ["admin: admin"] * 2


def test_what_failed_is_sent_again_as_a_new_batch(admin_client: Client) -> None:
    batch = _batch(rejected=1, error=1, timed_out=1, expired=1, accepted=2, cancelled=1, queued=1)
    accepted = batch.commands.filter(state="accepted")
    accepted.filter(pk=accepted.order_by("id")[0].pk).update(effect="missing")
    page = admin_client.get(show.change_url("commandbatch", batch.pk))
    assert page.context["failed"] == 5
    response = admin_client.post(f"/admin/csms/commandbatch/{batch.pk}/repeat/")
    again = CommandBatch.objects.exclude(pk=batch.pk).get()
    assert response["Location"] == show.change_url("commandbatch", again.pk)
    assert again.commands.count() == 5
    assert not again.commands.filter(
        charge_point__commands__batch=batch,
        charge_point__commands__state__in=["cancelled", "queued"],
    ).exists()
    assert again.payload == {"type": "Soft"}
    assert again.requested_by == "admin: admin"


def test_one_command_is_cancelled_and_sent_again(admin_client: Client) -> None:
    command = factories.command(factories.charge_point())
    text = admin_client.get(show.change_url("command", command.pk)).content.decode()
    assert 'id="cancel"' in text
    assert 'id="repeat"' not in text
    admin_client.post(f"/admin/csms/command/{command.pk}/cancel/")
    command.refresh_from_db()
    assert command.state == "cancelled"
    page = admin_client.post(f"/admin/csms/command/{command.pk}/cancel/", follow=True)
    assert "It waits no more: Cancelled." in page.content.decode()
    page = admin_client.post(f"/admin/csms/command/{command.pk}/repeat/", follow=True)
    assert "Sent again" in page.content.decode()
    again = Command.objects.exclude(pk=command.pk).get()
    assert (again.payload, again.requested_by) == ({"type": "Soft"}, "admin: admin")


def test_a_button_that_is_pressed_twice_sends_once(admin_client: Client) -> None:
    batch = _batch(rejected=2)
    url = f"/admin/csms/commandbatch/{batch.pk}/repeat/"
    again = admin_client.post(url)["Location"]
    page = admin_client.post(url, follow=True)
    assert page.redirect_chain[-1][0] == show.change_url("commandbatch", batch.pk) != again
    assert "sent it again since" in page.content.decode()
    assert Command.objects.count() == 4

    command = batch.commands.latest("id")
    page = admin_client.get(show.change_url("command", command.pk))
    token = {"once": page.context["once"]}
    assert f'name="once" value="{token["once"]}"' in page.content.decode()
    url = f"/admin/csms/command/{command.pk}/repeat/"
    assert admin_client.post(url, token)["Location"] == admin_client.post(url, token)["Location"]
    assert Command.objects.count() == 5


@pytest.mark.parametrize("number", ["9" * 18, "9" * 30, "9" * 5_000, "٣", "x"])
@pytest.mark.parametrize("model", ["command", "commandbatch"])
def test_a_number_beyond_all_rows_has_no_page(
    model: str, number: str, admin_client: Client
) -> None:
    response = admin_client.get(f"/admin/csms/{model}/{number}/change/")
    assert response.status_code in (302, 404)


def test_a_secret_is_neither_shown_nor_repeated(admin_client: Client) -> None:
    charger = factories.charge_point()
    values = {"key": "StationPassword", "value": "hush-hush"}
    response = post(admin_client, "ChangeConfiguration", [charger], **values)
    command = Command.objects.get()
    assert (command.payload["value"], bool(command.sealed)) == ("•••", True)
    page = admin_client.get(response["Location"]).content.decode()
    page += admin_client.get(show.change_url("command", command.pk)).content.decode()
    assert "hush-hush" not in page
    assert "hush" not in str(CommandBatch.objects.get().payload)
    admin_client.post(f"/admin/csms/command/{command.pk}/cancel/")
    for model, pk in (("command", command.pk), ("commandbatch", command.batch_id)):
        answer = admin_client.post(f"/admin/csms/{model}/{pk}/repeat/", follow=True)
        assert "no longer kept" in answer.content.decode()
    assert Command.objects.count() == 1


def test_a_key_rotation_is_repeated(admin_client: Client) -> None:
    charger = factories.charge_point()
    values = {"key": "AuthorizationKey", "value": "rotate"}
    assert post(admin_client, "ChangeConfiguration", [charger], **values).status_code == 302
    Command.objects.update(state="error")
    batch = CommandBatch.objects.get()
    admin_client.post(f"/admin/csms/commandbatch/{batch.pk}/repeat/")
    again = Command.objects.order_by("-id")[0]
    assert (again.batch_id != batch.pk, again.payload["value"]) == (True, "rotate")


def test_a_command_names_what_it_reads_back(admin_client: Client) -> None:
    charger = factories.charge_point()
    first = factories.command(charger, action="SendLocalList", effect="waiting", state="accepted")
    second = factories.command(charger, action="GetLocalListVersion", follows=first)
    page = admin_client.get(show.change_url("command", first.pk)).content.decode()
    assert "Read back: GetLocalListVersion" in page
    page = admin_client.get(show.change_url("command", second.pk)).content.decode()
    assert show.change_url("command", first.pk) in page


def test_commands_are_found_by_effect_operation_and_batch(admin_client: Client) -> None:
    batch = _batch(accepted=2)
    other = factories.command(factories.charge_point(), action="ClearCache", payload={})

    def found(**query: Any) -> set[int]:
        rows = admin_client.get(show.list_url("command", **query)).context["cl"].result_list
        return {row.pk for row in rows}

    ours = set(batch.commands.values_list("pk", flat=True))
    assert found(effect="seen") == ours
    assert found(action="ClearCache") == {other.pk}
    assert found(batch=batch.pk) == ours
    assert found(batch="x") == found(batch="9" * 30) == set()


# ------------------------------------------------------------------------------- queries


def _queries(client: Client, method: str, url: str, data: Any = None) -> int:
    with CaptureQueriesContext(connection) as captured:
        response = getattr(client, method)(url, data)
    assert response.status_code in (200, 302), response.context["form"].errors
    return len(captured)


def test_queries_do_not_grow_with_the_choice(admin_client: Client) -> None:
    def counts(number: int) -> list[int]:
        rows = [
            factories.connector(factories.charge_point(connected=True)).charge_point
            for _ in range(number)
        ]
        text = sending.choice_text(row.pk for row in rows)
        values = {
            "send_to": text,
            "operation_name": "Reset",
            "send_now": "1",
            "type": "Soft",
            "expires_minutes": "9",
        }
        asked = [
            _queries(admin_client, "get", sending.send_url(text)),
            _queries(admin_client, "get", sending.send_url(text, "Reset")),
            _queries(admin_client, "post", SEND, values),
        ]
        batch = CommandBatch.objects.order_by("-id")[0]
        page = show.change_url("commandbatch", batch.pk)
        asked.append(_queries(admin_client, "get", page))
        asked.append(_queries(admin_client, "get", page.replace("change", "progress")))
        asked.append(_queries(admin_client, "get", show.list_url("commandbatch")))
        asked.append(_queries(admin_client, "post", page.replace("change", "cancel")))
        return asked

    counts(2)  # what is asked once in a while is asked now
    assert counts(2) == counts(30)


def test_five_hundred_are_sent_at_once_and_paged(admin_client: Client) -> None:
    rows = ChargePoint.objects.bulk_create(
        ChargePoint(identity=f"CP-{number}", connected=True) for number in range(500)
    )
    response = post(admin_client, "Reset", rows, type="Soft")
    assert Command.objects.count() == CommandEvent.objects.count() == 500
    page = admin_client.get(response["Location"])
    assert len(page.context["commands"]) == 100
    assert page.context["counts"][0][2] == 500
    assert "Page 1 of 5" in page.content.decode()
    assert "Page 5 of 5" in admin_client.get(response["Location"] + "?p=5").content.decode()
