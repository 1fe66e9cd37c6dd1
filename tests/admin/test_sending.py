"""Sending commands from the admin: the choice, what is offered and refused, permissions."""

from datetime import timedelta

import pytest
from django.core.exceptions import BadRequest
from django.test import Client
from django.utils import timezone

from csms.admin import sending, show
from csms.models import ChargePoint, Command, CommandBatch
from csms.services.commands import batch_send, request_of
from tests import factories
from tests.admin.operations import INVALID, OPERATIONS, SEND, VALID, entered, post, sender
from tests.reservations.rows import reservation

pytestmark = pytest.mark.django_db


def test_a_choice_is_a_short_text() -> None:
    keys = [3, *range(12, 512), 600, 601]
    assert sending.choice_text(keys) == "3,12-511,600-601"
    assert sending.choice_keys("3,12-511,600-601") == keys
    assert (sending.choice_text([]), sending.choice_keys("")) == ("", [])


@pytest.mark.parametrize("text", ["x", "1-", "-1", "1-99999999999", "²", "1,,2", "9" * 50])
def test_no_choice(text: str) -> None:
    with pytest.raises(BadRequest):
        sending.choice_keys(text)


def test_the_list_leads_to_the_operations(admin_client: Client) -> None:
    rows = [factories.charge_point(site="Graz") for _ in range(60)]
    factories.charge_point(site="Linz")
    chosen = {"action": "send_selected", "_selected_action": [row.pk for row in rows[:2]]}
    response = admin_client.post("/admin/csms/chargepoint/", chosen)
    assert response["Location"] == sending.send_url(sending.choice_text(r.pk for r in rows[:2]))
    response = admin_client.post(
        "/admin/csms/chargepoint/?site=Graz", chosen | {"select_across": "1"}, follow=True
    )
    assert [row.pk for row in response.context["chosen"]] == [row.pk for row in rows]
    page = response.content.decode()
    assert "To 60 charge points" in page
    assert all(f'value="{name}"' in page for name in OPERATIONS)


def test_a_scattered_choice_is_posted(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LONGEST_QUERY", 5)
    rows = [factories.charge_point() for _ in range(9)][::2]
    chosen = {"action": "send_selected", "_selected_action": [row.pk for row in rows]}
    page = admin_client.post("/admin/csms/chargepoint/", chosen)
    assert page.status_code == 200
    text = sending.choice_text(row.pk for row in rows)
    assert f'value="{text}"' in page.content.decode()
    page = admin_client.post(SEND, {"send_to": text, "operation_name": "Reset"})
    assert len(page.context["chosen"]) == 5
    assert not Command.objects.exists()
    back = admin_client.post(SEND, {"send_to": text, "operation_name": ["Reset", ""]})
    assert "csms/command_choose.html" in {template.name for template in back.templates}


def test_too_many_are_refused(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MOST", 2)
    rows = [factories.charge_point() for _ in range(3)]
    chosen = {"action": "send_selected", "_selected_action": [row.pk for row in rows]}
    page = admin_client.post("/admin/csms/chargepoint/", chosen, follow=True)
    assert "at most 2 charge points" in page.content.decode()
    assert admin_client.get(SEND, {"send_to": "1-3"}).status_code == 400


def test_the_page_of_a_charge_point_has_a_button(admin_client: Client) -> None:
    charger = factories.charge_point()
    url = f"/admin/csms/chargepoint/{charger.pk}/send"
    assert url in admin_client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert admin_client.get(url + "/").headers["Location"] == sending.send_url(str(charger.pk))


def test_without_a_choice_the_page_says_what_to_do(admin_client: Client) -> None:
    assert "No charge points are chosen" in admin_client.get(SEND).content.decode()
    assert "No charge points" in admin_client.get(SEND, {"send_to": "99"}).content.decode()


def mixed() -> dict[str, ChargePoint]:
    return {
        "able": factories.charge_point(identity="able", connected=True),
        "soap": factories.charge_point(
            identity="soap", transport="soap", last_seen=timezone.now() - timedelta(days=2)
        ),
        "rejected": factories.charge_point(identity="rejected", registration="Rejected"),
        "pending": factories.charge_point(
            identity="pending", registration="Pending", connected=True
        ),
        "core": factories.charge_point(
            identity="core", connected=True, feature_profiles="Core,Reservation"
        ),
    }


@pytest.mark.parametrize(
    ("name", "refused", "offline"),
    [
        ("Reset", {"rejected"}, {"soap"}),
        ("RemoteStartTransaction", {"rejected", "pending"}, {"soap"}),
        ("GetLog", {"rejected", "soap"}, set()),
        ("SetChargingProfile", {"rejected", "core"}, {"soap"}),
    ],
)
def test_the_form_says_who_cannot_and_who_must_wait(
    name: str, refused: set[str], offline: set[str], admin_client: Client
) -> None:
    chosen = mixed().values()
    page = admin_client.get(sending.send_url(sending.choice_text(r.pk for r in chosen), name))
    prospect = page.context["prospect"]
    assert {row.identity for row in prospect.able} == {row.identity for row in chosen} - refused
    assert {text.split(">")[1].split("<")[0] for text, _ in prospect.refused} == refused
    assert {text.split(">")[1].split("<")[0] for text in prospect.offline} == offline
    assert "cannot take" in page.content.decode()


def test_a_mixed_choice_is_sent_to_those_that_can(admin_client: Client) -> None:
    response = post(admin_client, "Reset", mixed().values(), type="Hard")
    batch = CommandBatch.objects.get()
    assert batch.commands.count() == 4
    assert [identity for identity, _ in batch.refused] == ["rejected"]
    page = admin_client.get(response["Location"]).content.decode()
    assert "Not sent to 1 charge point" in page
    assert "rejected is Rejected: nothing is sent to it." in page


def test_nothing_is_stored_when_none_can(admin_client: Client) -> None:
    charger = factories.charge_point(connected=True)
    response = post(admin_client, "TriggerMessage", [charger], requestedMessage="BootNotification")
    assert "None of the chosen charge points" in response.content.decode()
    assert "BootNotification is triggered only while Pending" in response.content.decode()
    assert not CommandBatch.objects.exists()


def test_what_the_service_refuses_stands_at_the_field(admin_client: Client) -> None:
    values = {"key": "AuthorizationKey", "value": "0123456789abcdef"}
    response = post(admin_client, "ChangeConfiguration", [factories.charge_point()], **values)
    assert list(response.context["form"].errors) == ["value"]
    assert not CommandBatch.objects.exists()


def test_fields_offer_what_there_is(admin_client: Client) -> None:
    charger = factories.charge_point()
    factories.connector(charger, 1)
    factories.connector(charger, 2, status="Charging")
    running = factories.transaction(charger, state="open", id_tag="TAG1")
    factories.id_tag("TAG1", name="Ann")
    page = admin_client.get(sending.send_url(str(charger.pk), "RemoteStopTransaction"))
    assert page.context["form"]["transactionId"].initial == running.transaction_id
    picks = admin_client.get(sending.send_url(str(charger.pk), "ReserveNow")).context["form"]
    offered = dict(picks.picks)
    assert offered["connectorId"][1:] == [(1, "Available"), (2, "Charging")]
    assert offered["idTag"] == [("TAG1", "Ann")]
    assert "Known: 0 the whole charge point; 1 Available; 2 Charging" in str(
        picks["connectorId"].help_text
    )
    assert picks["reservationId"].initial == 1
    reservation(charger, reservation_id=8, state="expired")
    reservation(charger, reservation_id=9)
    cancel = admin_client.get(sending.send_url(str(charger.pk), "CancelReservation"))
    assert cancel.context["form"]["reservationId"].initial == 9


def test_expiry_is_what_was_asked_for(admin_client: Client) -> None:
    charger = factories.charge_point()
    post(admin_client, "Reset", [charger], type="Soft", expires_minutes="5")
    command = Command.objects.get()
    assert command.expires_at - command.created_at == timedelta(minutes=5)
    response = post(admin_client, "Reset", [charger], type="Soft", expires_minutes="0")
    assert list(response.context["form"].errors) == ["expires_minutes"]


def test_a_form_that_comes_twice_sends_once(admin_client: Client) -> None:
    """A double click, or somebody who went back and pressed the button again."""
    charger = factories.charge_point()
    page = admin_client.get(sending.send_url(str(charger.pk), "Reset"))
    values = {"type": "Soft", "once": page.context["once"]}
    assert f'name="once" value="{values["once"]}"' in page.content.decode()
    first, second = (post(admin_client, "Reset", [charger], **values) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert CommandBatch.objects.count() == Command.objects.count() == 1
    shown = admin_client.get(second["Location"]).content.decode()
    assert "This form was sent already" in shown
    post(admin_client, "Reset", [charger], **values | {"type": "Hard"})
    assert CommandBatch.objects.count() == 2, "what was changed is another"
    again = admin_client.get(sending.send_url(str(charger.pk), "Reset")).context["once"]
    post(admin_client, "Reset", [charger], **values | {"once": again})
    assert CommandBatch.objects.count() == 3, "and so is what was asked for anew"


def test_a_refused_form_is_not_remembered_as_sent(admin_client: Client) -> None:
    charger = factories.charge_point(registration="Rejected")
    values = {"type": "Soft", "once": "token"}
    assert post(admin_client, "Reset", [charger], **values).status_code == 200
    ChargePoint.objects.update(registration="Accepted")
    assert post(admin_client, "Reset", [charger], **values).status_code == 302
    assert Command.objects.count() == 1


def test_a_mask_that_was_copied_is_an_error_of_its_field(admin_client: Client) -> None:
    values = {"key": "StationPassword", "value": "•••"}
    response = post(admin_client, "ChangeConfiguration", [factories.charge_point()], **values)
    assert list(response.context["form"].errors) == ["value"]
    assert "write the secret itself" in response.content.decode()
    assert not Command.objects.exists()


@pytest.mark.parametrize("name", sorted(INVALID))
def test_an_error_keeps_what_was_typed(name: str, admin_client: Client) -> None:
    field, value = INVALID[name]
    typed = entered(VALID[name]) | {field: str(value), "expires_minutes": "77"}
    response = post(admin_client, name, [factories.charge_point()], **typed)
    form = response.context["form"]
    assert field in form.errors
    assert {place: form[place].value() for place in typed} == typed
    page = response.content.decode()
    for place in typed:
        assert f'name="{place}"' in page, place
    assert not Command.objects.exists()


def test_tags_are_offered_by_what_is_typed(admin_client: Client) -> None:
    for text in ("Fleet-1", "fleet-2", "other", "odd\u202e"):
        factories.id_tag(text, name=f"of {text}")
    url = SEND + "id-tags/"
    found = [tag for tag, _ in admin_client.get(url, {"q": "FLEET"}).json()["picks"]]
    assert found == ["Fleet-1", "fleet-2"]
    assert len(admin_client.get(url).json()["picks"]) == 3
    assert admin_client.get(url, {"q": "\0"}).status_code == 200


def test_what_an_account_may_not_see_is_not_offered() -> None:
    names = ("RemoteStopTransaction", "RemoteStartTransaction", "CancelReservation")
    client = sender(*names)
    charger = factories.charge_point()
    reservation(charger, reservation_id=471148, id_tag="HIDDEN3")
    factories.transaction(charger, state="open", transaction_id=471147, id_tag="HIDDEN1")
    factories.id_tag("HIDDEN2")
    for name in names:
        page = client.get(sending.send_url(str(charger.pk), name)).content.decode()
        assert "HIDDEN" not in page
        assert "47114" not in page
    assert client.get(SEND + "id-tags/").status_code == 403


# --------------------------------------------------------------------------- permissions


def test_only_permitted_operations_are_offered_and_sent() -> None:
    client = sender("Reset")
    charger = factories.charge_point()
    page = client.get(sending.send_url(str(charger.pk))).content.decode()
    assert 'value="Reset"' in page
    assert 'value="ClearCache"' not in page
    assert client.get(sending.send_url(str(charger.pk), "ClearCache")).status_code == 403
    assert post(client, "ClearCache", [charger]).status_code == 403
    assert post(client, "Heartbeat", [charger]).status_code == 403
    assert not Command.objects.exists()
    response = post(client, "Reset", [charger], type="Soft")
    assert client.get(response["Location"]).status_code == 200, "one's own commands are seen"


def test_without_any_permission_there_is_no_page_and_no_button() -> None:
    client = sender()
    charger = factories.charge_point()
    assert client.get(SEND).status_code == 403
    assert post(client, "Reset", [charger], type="Soft").status_code == 403
    page = client.get("/admin/csms/chargepoint/").content.decode()
    assert "send_selected" not in page
    page = client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert f"{charger.pk}/send" not in page


def test_cancel_and_repeat_take_the_permission_of_the_operation() -> None:
    batch = batch_send(
        charge_points=[factories.charge_point()], request=request_of("Reset", {"type": "Soft"})
    )
    command = Command.objects.get()
    client = sender("ClearCache")
    for model, pk in (("commandbatch", batch.pk), ("command", command.pk)):
        for what in ("cancel", "repeat"):
            assert client.post(f"/admin/csms/{model}/{pk}/{what}/").status_code == 403
    for part in ("change", "progress"):
        assert client.get(f"/admin/csms/commandbatch/{batch.pk}/{part}/").status_code == 403
    assert Command.objects.get().state == "queued"


def test_sending_needs_a_token_and_a_post() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.operator())
    charger = factories.charge_point()
    assert post(client, "Reset", [charger], type="Soft").status_code == 403
    query = {"send_to": str(charger.pk), "operation_name": "Reset", "send_now": "1", "type": "Soft"}
    assert client.get(SEND, query).status_code == 200
    assert not Command.objects.exists()


@pytest.mark.parametrize("model", ["command", "commandbatch"])
@pytest.mark.parametrize("what", ["cancel", "repeat"])
def test_a_link_changes_nothing(model: str, what: str, admin_client: Client) -> None:
    assert admin_client.get(f"/admin/csms/{model}/1/{what}/").status_code == 405


def test_texts_of_charge_points_stay_texts(admin_client: Client) -> None:
    evil = '<script>alert(1)</script>"\u202e'
    charger = factories.charge_point(identity=evil, registration="Rejected")
    able = factories.charge_point(identity=evil + "2")
    factories.connector(able, 1, status="Faulted")
    factories.transaction(able, state="open", id_tag=evil)
    factories.id_tag(evil, name=evil)
    pages = [admin_client.get(sending.send_url(sending.choice_text([charger.pk, able.pk])))]
    text = sending.choice_text([charger.pk, able.pk])
    pages.append(admin_client.get(sending.send_url(text, "RemoteStopTransaction")))
    pages.append(admin_client.get(sending.send_url(text, "RemoteStartTransaction")))
    response = post(admin_client, "DataTransfer", [charger, able], vendorId=evil, data=evil)
    pages.append(admin_client.get(response["Location"]))
    for page in pages:
        html = page.content.decode()
        assert "<script>alert" not in html
        assert "\u202e" not in html.replace(f'value="{evil[-1]}', "")
