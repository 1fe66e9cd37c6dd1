"""Tokens and permissions: who is let in, and what they may do."""

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from csms.models import ApiToken
from csms.services.tokens import GRANTS, PREFIX, TokenInvalid, token_add, token_find, token_revoke
from tests import factories
from tests.api.caller import Caller, caller

pytestmark = pytest.mark.django_db

VIEWS = (
    "charge-points",
    "connectors",
    "transactions",
    "id-tags",
    "commands",
    "charge-points/CP1",
    "transactions/1",
    "id-tags/TAG",
    "command-batches/1",
    "meter-values?charge_point=CP1",
)


def added(*arguments: str) -> str:
    """What `api_token add` prints."""
    out = io.StringIO()
    call_command("api_token", "add", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize(
    "header", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic YTpi"}]
)
def test_nobody_is_let_in_without_a_token(path: str, header: dict[str, str]) -> None:
    response = Client(headers=header).get(f"/api/v1/{path}")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json() == {
        "error": {"message": "Give a valid token: Authorization: Bearer csms_…", "field": None}
    }


@pytest.mark.parametrize("path", VIEWS)
def test_a_token_may_do_what_its_user_may(path: str) -> None:
    user = User.objects.create_user("nobody")
    _, text = token_add(name="n", user=user)
    answer = Caller(text).get(path)
    assert answer["error"]["message"].startswith("This token's user lacks the permission view_")


@pytest.mark.parametrize(
    ("method", "path", "body", "permission"),
    [
        ("POST", "charge-points", {"identity": "CP2"}, "add_chargepoint"),
        ("PATCH", "charge-points/CP1", {"site": "x"}, "change_chargepoint"),
        ("POST", "charge-points/CP1/callback", {"approve": True}, "change_chargepoint"),
        ("POST", "id-tags", {"id_tag": "T"}, "add_idtag"),
        ("PATCH", "id-tags/TAG", {"blocked": True}, "change_idtag"),
        ("POST", "charge-points/CP1/commands", {"action": "ClearCache"}, "send_clearcache"),
        (
            "POST",
            "commands/bulk",
            {"action": "ClearCache", "identities": ["CP1"]},
            "send_clearcache",
        ),
    ],
)
def test_a_missing_permission_is_named(
    method: str, path: str, body: object, permission: str, reader: Caller
) -> None:
    factories.charge_point(identity="CP1")
    answer = reader.call(method, path, body)
    assert reader.status == 403
    assert answer["error"]["message"] == f"This token's user lacks the permission {permission}."


def test_who_may_send_one_operation_may_not_send_another() -> None:
    charger = factories.charge_point()
    user = User.objects.create_user("resetter")
    user.user_permissions.add(Permission.objects.get(codename="send_reset"))
    _, text = token_add(name="resetter", user=user)
    somebody = Caller(text)
    path = f"charge-points/{charger}/commands"
    somebody.post(path, {"action": "Reset", "payload": {"type": "Soft"}})
    assert somebody.status == 202
    assert somebody.refused("POST", path, {"action": "ClearCache"}) == (403, None)


@pytest.mark.parametrize("state", ["revoked", "expired", "inactive"])
def test_a_token_that_is_over_lets_nobody_in(state: str, reader: Caller) -> None:
    reader.get("charge-points")
    assert reader.status == 200
    token = ApiToken.objects.get()
    if state == "revoked":
        token_revoke(token=token)
    elif state == "expired":
        ApiToken.objects.update(expires_at=timezone.now())
    else:
        User.objects.filter(pk=token.user_id).update(is_active=False)
    assert reader.refused("GET", "charge-points") == (401, None)


def test_use_is_noted_once_a_minute() -> None:
    token, text = token_add(name="n")
    now = timezone.now()
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60)):
        assert token_find(text=text, now=now + timedelta(seconds=seconds)) == token
        token.refresh_from_db()
        assert token.last_used_at == now + timedelta(seconds=noted)


def test_the_shell_makes_a_token_that_works_and_is_kept_nowhere() -> None:
    text = added("billing")
    assert text.startswith(PREFIX)
    assert Caller(text).get("charge-points") == {"items": [], "next": None}
    token = ApiToken.objects.get(name="billing")
    assert text not in (token.digest, token.name)
    assert not token.user.has_usable_password()
    assert token.user.username == "api-billing"
    assert not token.user.is_staff


@pytest.mark.parametrize("can", GRANTS)
def test_every_permission_that_can_be_given_exists(can: str) -> None:
    text = added("n", "--can", can)
    user = ApiToken.objects.get().user
    assert {f"csms.{name}" for name in GRANTS[can]} == user.get_all_permissions()
    assert Caller(text).get("commands")["items"] == []


def test_the_shell_lists_and_revokes() -> None:
    User.objects.create_user("ann")
    added("one", "--user", "ann")
    added("two", "--expires", "2999-12-31")
    call_command("api_token", "revoke", "one", stdout=io.StringIO())
    out = io.StringIO()
    call_command("api_token", "list", stdout=out)
    assert out.getvalue().splitlines() == [
        "one\trevoked\tuser ann\tlast used never",
        "two\tvalid\tuser api-two\tlast used never",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "one"),
        ("add", "a b"),
        ("add", "x", "--user", "nobody"),
        ("add", "x", "--expires", "2020-01-01"),
        ("add", "x", "--expires", "soon"),
        ("revoke", "nothing"),
    ],
)
def test_the_shell_says_in_one_line_what_cannot_be(arguments: tuple[str, ...]) -> None:
    added("one")
    with pytest.raises(CommandError) as caught:
        call_command("api_token", *arguments, stdout=io.StringIO(), stderr=io.StringIO())
    assert "\n" not in str(caught.value)
    assert ApiToken.objects.count() == 1


def test_a_user_of_that_name_is_not_taken_over() -> None:
    User.objects.create_superuser("api-n")
    with pytest.raises(TokenInvalid):
        token_add(name="n")
    assert not ApiToken.objects.exists()


def test_two_tokens_do_not_know_each_other() -> None:
    one, two = caller("read", "one"), caller("all", "two")
    assert one.token != two.token
    assert one.refused("POST", "id-tags", {"id_tag": "T"}) == (403, None)
    two.post("id-tags", {"id_tag": "T"})
    assert two.status == 201


def test_what_is_not_there_is_said_in_the_same_shape(api: Caller) -> None:
    for path in (
        "nothing",
        "charge-points/nobody",
        "charge-points/nobody/commands/x",
        "id-tags/nobody",
        "transactions/1",
        "transactions/99999999999999999999999",
        "commands/99999999999999999999999/x",
        "command-batches/99999999999999999999999",
    ):
        status, _ = api.refused("GET", path)
        assert status == 404, path
