"""The forms of operations, derived from their declarations."""

import msgspec
import pytest
from django.test import Client

from csms.admin import sending, show
from csms.admin.sending_form import SendingForm
from csms.models import Command, CommandBatch
from csms.ocpp.base import Payload, Request, validated
from csms.services.commands import request_of
from tests import factories
from tests.admin.operations import INVALID, OPERATIONS, SEND, VALID, declared, entered, post

pytestmark = pytest.mark.django_db


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
