"""Roles: what each may, in the admin and through the REST API; the table in docs/access.md."""

import io
import itertools
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import Client

from csms.admin import show
from csms.management.commands.document_roles import page_with_table
from csms.models import ApiToken, ChargePoint, Command, IdTag
from csms.models.commands import permission_of
from csms.services.roles import (
    COMMANDS,
    DAILY,
    HELD_BACK,
    MANAGED,
    ROLES,
    SHOWN,
    permissions_of,
    roles_update,
)
from tests import factories
from tests.access.people import signed_in, somebody
from tests.api.caller import Caller

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parent.parent.parent

MAY_SEND = {  # chosen by hand from the roles' descriptions, not from the code
    "Reset": "operator",
    "UnlockConnector": "operator",
    "GetConfiguration": "operator",
    "ChangeConfiguration": "manager",
    "UpdateFirmware": "manager",
    "SendLocalList": "manager",
    "SetChargingProfile": "manager",
    "InstallCertificate": "manager",
    "DataTransfer": "manager",
}


def at_least(role: str, least: str) -> bool:
    return ROLES.index(role) >= ROLES.index(least)


def granted(role: str) -> set[str]:
    rows = Permission.objects.filter(group__name=role)
    return {f"{row.content_type.app_label}.{row.codename}" for row in rows}


def test_every_model_has_its_place_among_the_roles() -> None:
    """A new model is either shown to viewers or held back; nobody forgets to decide."""
    ours = {model._meta.model_name for model in apps.get_app_config("csms").get_models()}
    assert set(SHOWN) | set(HELD_BACK) == ours
    assert set(MANAGED) <= set(SHOWN)
    assert set(COMMANDS) >= DAILY


@pytest.mark.parametrize("role", ROLES)
def test_the_groups_have_exactly_what_the_table_says(role: str) -> None:
    expected = {f"csms.{name}" for name in permissions_of(role)}
    if role == "admin":
        assert granted(role) > expected
        assert Permission.objects.count() == len(granted(role))
    else:
        assert granted(role) == expected


def test_each_role_has_what_the_one_before_has_and_more() -> None:
    sizes = [granted(role) for role in ROLES]
    assert all(less < more for less, more in itertools.pairwise(sizes))
    assert {name.split(".")[1].split("_")[0] for name in granted("viewer")} == {"view"}


def test_a_migration_mends_a_changed_role() -> None:
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.clear()
    viewer.permissions.add(Permission.objects.get(codename="delete_user"))
    Group.objects.get(name="manager").delete()
    roles_update()
    assert granted("viewer") == {f"csms.{name}" for name in permissions_of("viewer")}
    assert "csms.change_chargepoint" in granted("manager")


def test_a_migration_leaves_other_groups_alone() -> None:
    own = Group.objects.create(name="night shift")
    own.permissions.add(Permission.objects.get(codename="send_reset"))
    roles_update()
    assert [row.codename for row in own.permissions.all()] == ["send_reset"]


def test_the_documentation_has_the_table_of_the_code() -> None:
    page = (ROOT / "docs" / "access.md").read_text("utf-8")
    assert page == page_with_table(page), "Run: manage.py document_roles"
    assert page.count("| yes |") > 20


@pytest.mark.parametrize("role", ROLES)
def test_pages_of_the_admin(role: str) -> None:
    client = signed_in(somebody(role))
    for model in ("chargepoint", "transaction", "message", "command", "idtag", "securityevent"):
        assert client.get(show.list_url(model)).status_code == 200, model
    for url in (
        "/admin/auth/user/",
        "/admin/auth/group/",
        "/admin/axes/accessattempt/",
        show.list_url("apitoken"),
        show.list_url("auditentry"),
    ):
        assert client.get(url).status_code == (200 if role == "admin" else 403), url
    adding = {"chargepoint": "manager", "idtag": "operator"}
    for model, least in adding.items():
        expected = 200 if at_least(role, least) else 403
        assert client.get(f"/admin/csms/{model}/add/").status_code == expected, model


@pytest.mark.parametrize("role", ROLES)
def test_changes_in_the_admin(role: str) -> None:
    charger = factories.charge_point(name="before")
    tag = factories.id_tag("T")
    client = signed_in(somebody(role))
    data = {"action": "reject_selected", "_selected_action": [charger.pk], "index": 0}
    client.post(show.list_url("chargepoint"), data)
    data = {"action": "block", "_selected_action": [tag.pk], "index": 0}
    client.post(show.list_url("idtag"), data)
    rejected = ChargePoint.objects.get().registration == "Rejected"
    assert rejected == at_least(role, "manager")
    assert IdTag.objects.get().blocked == at_least(role, "operator")


@pytest.mark.parametrize("role", ROLES)
def test_commands_from_the_admin(role: str) -> None:
    charger = factories.charge_point(connected=True)
    client = signed_in(somebody(role))
    for name, least in MAY_SEND.items():
        query = {"send_to": str(charger.pk), "operation_name": name}
        expected = 200 if at_least(role, least) else 403
        assert client.get("/admin/csms/command/send/", query).status_code == expected, name
    sent = {"send_to": str(charger.pk), "operation_name": "Reset", "type": "Soft"}
    client.post("/admin/csms/command/send/", sent | {"send_now": "1", "expires_minutes": "5"})
    assert Command.objects.exists() == at_least(role, "operator")


@pytest.mark.parametrize("role", ROLES)
def test_the_rest_api(role: str) -> None:
    charger = factories.charge_point(identity="CP1")
    out = io.StringIO()
    call_command("api_token", "add", "n", "--role", role, stdout=out, stderr=io.StringIO())
    user = ApiToken.objects.get().user
    assert not user.is_staff
    api = Caller(out.getvalue().strip())
    api.get("transactions")
    assert api.status == 200
    for name, least in MAY_SEND.items():
        api.post(f"charge-points/{charger}/commands", {"action": name, "payload": {}})
        refused = api.status == 403
        assert refused != at_least(role, least), (name, api.status)
        assert user.has_perm(f"csms.{permission_of(name)}") == at_least(role, least)
    for method, path, body, least in (
        ("PATCH", "charge-points/CP1", {"site": "x"}, "manager"),
        ("POST", "charge-points", {"identity": "CP2"}, "manager"),
        ("POST", "id-tags", {"id_tag": "T"}, "operator"),
        ("PATCH", "id-tags/T", {"blocked": True}, "operator"),
    ):
        api.call(method, path, body)
        assert (api.status == 403) != at_least(role, least), path


def test_a_token_with_chosen_permissions() -> None:
    factories.charge_point(identity="CP1")
    out = io.StringIO()
    chosen = "view_chargepoint, send_reset"
    call_command("api_token", "add", "n", "--can", chosen, stdout=out, stderr=io.StringIO())
    api = Caller(out.getvalue().strip())
    api.get("charge-points")
    assert api.status == 200
    api.post("charge-points/CP1/commands", {"action": "Reset", "payload": {"type": "Soft"}})
    assert api.status == 202
    api.get("transactions")
    assert api.status == 403


@pytest.mark.parametrize("chosen", ["view_everything", "view_chargepoint,", "", "delete_user"])
def test_a_permission_that_does_not_exist_makes_no_token(chosen: str) -> None:
    arguments = ("api_token", "add", "n", "--can", chosen)
    if chosen == "view_chargepoint,":  # a comma too many is no mistake
        call_command(*arguments, stdout=io.StringIO(), stderr=io.StringIO())
        return
    with pytest.raises(CommandError, match="is no permission"):
        call_command(*arguments, stdout=io.StringIO())
    assert not ApiToken.objects.exists()


def test_the_groups_of_roles_are_not_changed_by_hand(admin_client: Client) -> None:
    viewer = Group.objects.get(name="viewer")
    url = f"/admin/auth/group/{viewer.pk}"
    assert admin_client.post(f"{url}/change/", {"name": "x"}).status_code == 403
    assert admin_client.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [viewer.pk], "post": "yes"}
    admin_client.post("/admin/auth/group/", data)
    assert Group.objects.filter(name="viewer").exists()
    own = Group.objects.create(name="own")
    assert admin_client.get(f"/admin/auth/group/{own.pk}/change/").status_code == 200


def test_a_user_is_made_with_a_role_on_one_page(admin_client: Client) -> None:
    viewer = Group.objects.get(name="viewer")
    form = {
        "username": "eve",
        "password1": "a good one, 7",
        "password2": "a good one, 7",
        "usable_password": "true",
        "is_staff": "on",
        "groups": [viewer.pk],
    }
    assert admin_client.post("/admin/auth/user/add/", form).status_code == 302
    client = Client()
    client.post("/admin/login/", {"username": "eve", "password": "a good one, 7"})
    assert client.get(show.list_url("chargepoint")).status_code == 200
    assert client.get("/admin/auth/user/").status_code == 403


def test_the_list_of_tokens_says_what_each_may(admin_client: Client) -> None:
    for arguments in (("a", "--role", "manager"), ("b", "--can", "send_reset")):
        call_command("api_token", "add", *arguments, stdout=io.StringIO(), stderr=io.StringIO())
    page = admin_client.get(show.list_url("apitoken")).content.decode()
    assert "manager" in page
    assert "permissions: 1" in page
