"""Sending commands from the admin: derived forms, the choice, what is refused, the result."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import BadRequest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from csms.admin import sending, show
from csms.admin.sending_form import SendingForm
from csms.models import ChargePoint, Command, CommandBatch, CommandEvent
from csms.models.commands import permission_of
from csms.ocpp import registry
from csms.ocpp.base import Payload, Request, Role, validated
from csms.services.commands import batch_send, request_of
from tests import factories

pytestmark = pytest.mark.django_db
SEND = "/admin/csms/command/send/"
NOW = "2026-03-01T12:00:00"
PROFILE = {
    "chargingProfileId": 7,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "validTo": "2026-03-01T12:00:00Z",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": "16.0"},
            {"startPeriod": 3600, "limit": "6.5", "numberPhases": 1},
        ],
    },
}
HASH = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "ab",
    "issuerKeyHash": "cd",
    "serialNumber": "1",
}
FIRMWARE = {
    "location": "https://files.example/fw.bin",
    "retrieveDateTime": "2026-03-01T12:00:00Z",
    "signingCertificate": "-----BEGIN",
    "signature": "c2ln",
}
ENTRY = {"idTag": "TAG1", "idTagInfo": {"status": "Accepted"}}

VALID: dict[str, dict[str, Any]] = {
    "ChangeAvailability": {"connectorId": 1, "type": "Inoperative"},
    "ChangeConfiguration": {"key": "HeartbeatInterval", "value": "300"},
    "ClearCache": {},
    "DataTransfer": {"vendorId": "org.example", "messageId": "m", "data": "line\nline"},
    "GetConfiguration": {"key": ["HeartbeatInterval", "LocalPreAuthorize"]},
    "RemoteStartTransaction": {"connectorId": 1, "idTag": "TAG1", "chargingProfile": PROFILE},
    "RemoteStopTransaction": {"transactionId": 4711},
    "Reset": {"type": "Soft"},
    "UnlockConnector": {"connectorId": 1},
    "GetDiagnostics": {"location": "ftp://files.example/", "retries": 3},
    "UpdateFirmware": {"retrieveDate": "2026-03-01T12:00:00Z", "location": "ftp://files.example/f"},
    "GetLocalListVersion": {},
    "SendLocalList": {
        "listVersion": 3,
        "localAuthorizationList": [ENTRY],
        "updateType": "Full",
    },
    "TriggerMessage": {"requestedMessage": "StatusNotification", "connectorId": 1},
    "CancelReservation": {"reservationId": 9},
    "ReserveNow": {
        "connectorId": 1,
        "expiryDate": "2026-03-01T12:00:00Z",
        "idTag": "TAG1",
        "reservationId": 9,
    },
    "ClearChargingProfile": {"stackLevel": 1, "chargingProfilePurpose": "TxProfile"},
    "GetCompositeSchedule": {"connectorId": 0, "duration": 3600, "chargingRateUnit": "W"},
    "SetChargingProfile": {"connectorId": 1, "csChargingProfiles": PROFILE},
    "CertificateSigned": {"certificateChain": "-----BEGIN CERTIFICATE-----\nMIIB"},
    "DeleteCertificate": {"certificateHashData": HASH},
    "ExtendedTriggerMessage": {"requestedMessage": "LogStatusNotification"},
    "GetInstalledCertificateIds": {"certificateType": "CentralSystemRootCertificate"},
    "GetLog": {
        "log": {"remoteLocation": "ftp://files.example/"},
        "logType": "SecurityLog",
        "requestId": 1,
    },
    "InstallCertificate": {"certificateType": "CentralSystemRootCertificate", "certificate": "PEM"},
    "SignedUpdateFirmware": {"requestId": 2, "firmware": FIRMWARE},
}

INVALID: dict[str, tuple[str, Any]] = {
    "ChangeAvailability": ("connectorId", "one"),
    "ChangeConfiguration": ("key", "k" * 51),
    "DataTransfer": ("vendorId", ""),
    "GetConfiguration": ("key", "k" * 51),
    "RemoteStartTransaction": ("chargingProfile.chargingSchedule.chargingRateUnit", ""),
    "RemoteStopTransaction": ("transactionId", 2**31),
    "Reset": ("type", "Sideways"),
    "UnlockConnector": ("connectorId", ""),
    "GetDiagnostics": ("startTime", "yesterday"),
    "UpdateFirmware": ("retrieveDate", "9999-12-31T23:00"),
    "SendLocalList": ("localAuthorizationList", '[{"idTag": "T"}, {"idTagInfo": {}}]'),
    "TriggerMessage": ("requestedMessage", ""),
    "CancelReservation": ("reservationId", "1.5"),
    "ReserveNow": ("idTag", "x" * 21),
    "ClearChargingProfile": ("stackLevel", "high"),
    "GetCompositeSchedule": ("duration", ""),
    "SetChargingProfile": (
        "csChargingProfiles.chargingSchedule.chargingSchedulePeriod[1].limit",
        "6.55",
    ),
    "CertificateSigned": ("certificateChain", ""),
    "DeleteCertificate": ("certificateHashData.serialNumber", "1" * 41),
    "ExtendedTriggerMessage": ("requestedMessage", "SignCertificate"),
    "GetInstalledCertificateIds": ("certificateType", ""),
    "GetLog": ("log.remoteLocation", ""),
    "InstallCertificate": ("certificate", "x" * 5501),
    "SignedUpdateFirmware": ("firmware.signature", ""),
}

OPERATIONS = sorted(
    name for name, kind in registry.ACTIONS.items() if Role.CENTRAL_SYSTEM in kind.senders
)


def entered(payload: Any, path: str = "") -> dict[str, Any]:
    """What a browser submits for a payload."""
    found: dict[str, Any] = {} if path else {"expires_minutes": "60"}
    for name, value in payload.items():
        below = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            found |= entered(value, below)
        elif isinstance(value, list) and isinstance(value[0], str):
            found[below] = "\r\n".join(value)
        elif isinstance(value, list) and "idTagInfo" in value[0]:
            found[below] = msgspec.json.encode(value).decode()
        elif isinstance(value, list):
            for number, item in enumerate(value):
                found |= entered(item, f"{below}[{number}]")
        else:
            found[below] = str(value).removesuffix("Z").replace("\n", "\r\n")
    return found


def declared(name: str) -> Any:
    return registry.from_central_system(name)


def post(client: Client, name: str, charge_points: Any, **values: Any) -> Any:
    keys = [row.pk for row in charge_points]
    return client.post(
        SEND,
        {
            "send_to": sending.choice_text(keys),
            "operation_name": name,
            "send_now": "1",
            "expires_minutes": "60",
        }
        | values,
    )


def sender(*operations: str) -> Client:
    """Somebody who may see charge points and send these operations."""
    user = User.objects.create_user("sender", is_staff=True)
    names = ["view_chargepoint", *(permission_of(name) for name in operations)]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


# --------------------------------------------------------------------------------- forms


def test_all_operations_are_here() -> None:
    assert len(OPERATIONS) == 26
    assert sorted(VALID) == OPERATIONS
    assert set(OPERATIONS) - set(INVALID) == {"ClearCache", "GetLocalListVersion"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_form_makes_the_request_that_the_declaration_means(name: str) -> None:
    form = SendingForm(declared(name), entered(VALID[name]))
    assert form.is_valid(), form.errors
    assert form.request == validated(msgspec.convert(VALID[name], declared(name)))


@pytest.mark.parametrize("name", sorted(INVALID))
def test_a_form_names_the_field_that_is_wrong(name: str) -> None:
    field, value = INVALID[name]
    form = SendingForm(declared(name), entered(VALID[name]) | {field: value})
    assert not form.is_valid()
    assert list(form.errors) == [field]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_opens_and_is_sent_and_its_payload_is_stored(
    name: str, admin_client: Client
) -> None:
    charger = factories.charge_point(connected=True)
    page = admin_client.get(sending.send_url(str(charger.pk), name))
    assert page.status_code == 200
    for path in entered(VALID[name]):
        if "[" not in path:
            assert f'name="{path}"' in page.content.decode()
    response = post(admin_client, name, [charger], **entered(VALID[name]))
    assert response.status_code == 302, response.context["form"].errors
    command = Command.objects.get()
    assert request_of(name, command.payload) == validated(
        msgspec.convert(VALID[name], declared(name))
    )
    assert (command.requested_by, command.state) == ("admin: admin", "queued")
    batch = CommandBatch.objects.get()
    assert command.batch_id == batch.pk
    assert response["Location"] == show.change_url("commandbatch", batch.pk)
    assert admin_client.get(response["Location"]).status_code == 200


def test_a_missing_list_is_named_and_empty_rows_between_do_not_move_an_error() -> None:
    data = entered(VALID["SetChargingProfile"])
    rows = "csChargingProfiles.chargingSchedule.chargingSchedulePeriod"
    without = {name: value for name, value in data.items() if not name.startswith(rows)}
    form = SendingForm(declared("SetChargingProfile"), without)
    assert rows in str(form.errors["__all__"])
    gap = without | {f"{rows}[0].limit": "", f"{rows}[2].limit": "16", f"{rows}[2].startPeriod": ""}
    form = SendingForm(declared("SetChargingProfile"), gap)
    assert list(form.errors) == [f"{rows}[2].startPeriod"]


def test_a_row_is_added_and_what_was_entered_stays(admin_client: Client) -> None:
    charger = factories.charge_point()
    rows = "csChargingProfiles.chargingSchedule.chargingSchedulePeriod"
    response = admin_client.post(
        SEND,
        {
            "send_to": charger.pk,
            "operation_name": "SetChargingProfile",
            "add_row": rows,
            f"{rows}[0].limit": "11",
            "csChargingProfiles.stackLevel": "nonsense",
        },
    )
    page = response.content.decode()
    assert f'name="{rows}[1].limit"' in page
    assert f'name="{rows}[2].limit"' not in page
    assert 'value="11"' in page
    assert 'value="nonsense"' in page
    assert not response.context["form"].errors
    assert not Command.objects.exists()


def test_an_empty_text_is_a_value_only_where_it_means_something() -> None:
    form = SendingForm(
        declared("ChangeConfiguration"), {"key": "AuthorizationUrl", "expires_minutes": "5"}
    )
    assert form.is_valid(), form.errors
    assert msgspec.to_builtins(form.request) == {"key": "AuthorizationUrl", "value": ""}


@pytest.mark.parametrize(
    "text", ["[", "7", '{"idTag": "T"}', '[{"idTag": 7}]', '[{"idTag": "\\ud800"}]', "[" * 50_000]
)
def test_odd_json_is_an_error_of_its_field(text: str) -> None:
    data = entered(VALID["SendLocalList"]) | {"localAuthorizationList": text}
    form = SendingForm(declared("SendLocalList"), data)
    assert list(form.errors) == ["localAuthorizationList"]


class Switch(Request[Payload], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On or `off_again`."""

    off_again: bool


def test_a_declaration_with_a_boolean_has_a_choice_and_its_words_use_wire_names() -> None:
    for text, value in (("true", True), ("false", False)):
        form = SendingForm(Switch, {"offAgain": text, "expires_minutes": "1"})
        assert form.is_valid(), form.errors
        assert form.request == Switch(off_again=value)
        assert form.root.help == "On or offAgain."


# ------------------------------------------------------------------- choice and outlook


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
    factories.id_tag("TAG1", name="Ann", parent_id_tag="STAFF")
    page = admin_client.get(sending.send_url(str(charger.pk), "RemoteStopTransaction"))
    assert page.context["form"]["transactionId"].initial == running.transaction_id
    picks = admin_client.get(sending.send_url(str(charger.pk), "ReserveNow")).context["form"]
    offered = dict(picks.picks)
    assert offered["connectorId"][1:] == [(1, "Available"), (2, "Charging")]
    assert offered["idTag"] == [("TAG1", "Ann")]
    assert offered["parentIdTag"] == [("STAFF", "")]
    assert picks["reservationId"].initial == 1
    factories.command(
        charger,
        action="ReserveNow",
        state="accepted",
        payload=VALID["ReserveNow"],
    )
    cancel = admin_client.get(sending.send_url(str(charger.pk), "CancelReservation"))
    assert cancel.context["form"]["reservationId"].initial == 9


def test_expiry_is_what_was_asked_for(admin_client: Client) -> None:
    charger = factories.charge_point()
    post(admin_client, "Reset", [charger], type="Soft", expires_minutes="5")
    command = Command.objects.get()
    assert command.expires_at - command.created_at == timedelta(minutes=5)
    response = post(admin_client, "Reset", [charger], type="Soft", expires_minutes="0")
    assert list(response.context["form"].errors) == ["expires_minutes"]


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
    factories.operator()
    client = Client(enforce_csrf_checks=True)
    client.login(username="operator", password="operator")
    charger = factories.charge_point()
    assert post(client, "Reset", [charger], type="Soft").status_code == 403
    query = {"send_to": str(charger.pk), "operation_name": "Reset", "send_now": "1", "type": "Soft"}
    assert client.get(SEND, query).status_code == 200
    assert not Command.objects.exists()


@pytest.mark.parametrize("model", ["command", "commandbatch"])
@pytest.mark.parametrize("what", ["cancel", "repeat"])
def test_a_link_changes_nothing(model: str, what: str, admin_client: Client) -> None:
    assert admin_client.get(f"/admin/csms/{model}/1/{what}/").status_code == 405


# ----------------------------------------------------------------------------- following


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
    batch = _batch(rejected=1, error=1, timed_out=1, expired=1, accepted=1, cancelled=1, queued=1)
    failed = batch.commands.filter(state__in=["rejected", "error", "timed out", "expired"])
    response = admin_client.post(f"/admin/csms/commandbatch/{batch.pk}/repeat/")
    again = CommandBatch.objects.exclude(pk=batch.pk).get()
    assert response["Location"] == show.change_url("commandbatch", again.pk)
    assert set(again.commands.values_list("charge_point", flat=True)) == set(
        failed.values_list("charge_point", flat=True)
    )
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
    assert "It was sent already." in page.content.decode()
    page = admin_client.post(f"/admin/csms/command/{command.pk}/repeat/", follow=True)
    assert "Sent again" in page.content.decode()
    again = Command.objects.exclude(pk=command.pk).get()
    assert (again.payload, again.requested_by) == ({"type": "Soft"}, "admin: admin")


def test_a_secret_is_neither_shown_nor_repeated(admin_client: Client) -> None:
    charger = factories.charge_point()
    values = {"key": "StationPassword", "value": "hush-hush"}
    response = post(admin_client, "ChangeConfiguration", [charger], **values)
    command = Command.objects.get()
    assert command.payload["value"] == "hush-hush", "it is still to be sent"
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
