"""Who changed what: from the admin, the REST API and the shell; no secrets in it (N5)."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.forms import modelform_factory
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from csms.admin import show
from csms.models import AuditEntry, ChargePoint, IdTag
from csms.services import charge_points, passwords, security_profiles
from csms.services.actors import Actor, acting
from csms.services.audit import AUDITED
from csms.services.secrets import MASK
from csms.services.tokens import token_add, token_revoke
from tests import factories
from tests.access.people import enrolled, log_in, signed_in, somebody
from tests.api.caller import Caller

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parent.parent.parent
CANARY = "canary-3f9a71c2"


def noted(**which: Any) -> list[tuple[str, str, dict[str, list[str]]]]:
    """Who, what and how of the entries, oldest first."""
    rows = AuditEntry.objects.filter(**which).order_by("id")
    return [(row.by, row.action, row.changes) for row in rows]


def everything() -> str:
    """The whole audit, as a dump of the database would show it."""
    return json.dumps(list(AuditEntry.objects.values()), default=str, ensure_ascii=False)


def forget() -> None:
    AuditEntry.objects.all().delete()


@pytest.mark.parametrize("model", AUDITED, ids=lambda model: model.__name__)
def test_every_field_that_people_can_change_is_noted_or_left_out_on_purpose(model: Any) -> None:
    """A new field of a form is decided about, too."""
    audited = AUDITED[model]
    names = {field.name for field in model._meta.get_fields() if hasattr(field, "attname")}
    links = {field.name for field in model._meta.many_to_many}
    decided = {*audited.fields, *audited.secrets, *audited.left_out}
    assert decided <= names
    assert set(audited.links) == links
    in_forms = set(modelform_factory(model, exclude=()).base_fields) - links
    assert in_forms <= decided


# ---------------------------------------------------------------------- three doors


def test_changes_from_the_admin() -> None:
    tag = factories.id_tag("Card-1")
    forget()
    client = signed_in(somebody())
    form = {"id_tag": "Card-1", "name": "Ann's", "max_transactions": 2, "blocked": "on"}
    client.post(show.change_url("idtag", tag.pk), form, REMOTE_ADDR="192.0.2.7")
    (entry,) = AuditEntry.objects.filter(kind="csms.idtag")
    assert (entry.by, entry.action, entry.object_text) == ("admin: ann", "changed", "Card-1")
    assert entry.remote_address == "192.0.2.7"
    assert timezone.now() - entry.at < timedelta(minutes=1)
    assert entry.changes == {
        "name": ["", "Ann's"],
        "blocked": ["no", "yes"],
        "max_transactions": ["1", "2"],
    }


def test_changes_from_the_rest_api() -> None:
    factories.charge_point(identity="CP1", site="North")
    _, text = token_add(name="billing", role="manager")
    forget()
    Caller(text).patch("charge-points/CP1", {"site": "South", "password": CANARY})
    assert noted() == [
        ("API: billing", "changed", {"site": ["North", "South"]}),
        ("API: billing", "changed", {"password": ["", MASK]}),
    ]


@pytest.mark.slow
def test_changes_from_the_shell(process_environment: dict[str, str]) -> None:
    """In a process of its own, as an administrator of the machine works."""

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        ended = subprocess.run(
            command, cwd=ROOT, env=process_environment, capture_output=True, text=True, check=True
        )
        return ended.stdout.strip()

    manage("migrate", "--verbosity", "0")
    manage("id_tag", "add", "Card-1")
    manage("id_tag", "block", "Card-1")
    told = manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from csms.models import AuditEntry, IdTag; IdTag.objects.get().delete();"
        "print([(e.by.split(':')[0], e.action) for e in AuditEntry.objects.order_by('id')])",
    )
    assert told == "[('shell', 'added'), ('shell', 'changed'), ('shell', 'deleted')]"


def test_nobody_is_named_for_what_the_system_does() -> None:
    factories.charge_point()
    assert [by for by, _, _ in noted()] == [""]


def test_who_acted_before_is_not_blamed_for_what_follows() -> None:
    _, text = token_add(name="billing", role="operator")
    forget()
    Caller(text).post("id-tags", {"id_tag": "T"})
    factories.id_tag("another")
    assert [by for by, _, _ in noted()] == ["API: billing", ""]


# ------------------------------------------------------------------------ what is noted


def test_logins_are_noted_when_they_are_complete() -> None:
    user = somebody()
    forget()
    log_in(Client())
    assert noted() == [("admin: ann", "signed in", {})]
    _, codes = enrolled(user)
    forget()
    client = Client()
    log_in(client)
    assert noted() == []
    client.post("/admin/two-factor/", {"code": codes[0]})
    assert noted() == [("admin: ann", "signed in", {"second factor": ["", "given"]})]


def test_users_groups_and_what_they_are_given() -> None:
    user = User.objects.create_user("bob", password=CANARY)
    forget()
    with acting(lambda: Actor("shell: root")):
        user.groups.add(Group.objects.get(name="manager"))
        user.is_staff = True
        user.save()
        user.groups.clear()
        Group.objects.get(name="viewer").user_set.add(user)
        user.delete()
    assert noted(kind="auth.user") == [
        ("shell: root", "changed", {"groups added": ["", "manager"]}),
        ("shell: root", "changed", {"is_staff": ["no", "yes"]}),
        ("shell: root", "changed", {"groups removed": ["manager", ""]}),
        ("shell: root", "changed", {"groups added": ["", "viewer"]}),
        (
            "shell: root",
            "deleted",
            {
                "username": ["bob", ""],
                "is_active": ["yes", ""],
                "is_staff": ["yes", ""],
                "is_superuser": ["no", ""],
                "password": [MASK, ""],
            },
        ),
    ]


def test_the_charge_points_of_a_tag_from_either_side() -> None:
    charger = factories.charge_point(identity="CP1")
    tag = factories.id_tag("T")
    forget()
    tag.charge_points.set([charger])
    charger.id_tags.remove(tag)
    charger.id_tags.add(tag)
    charger.id_tags.clear()
    assert [changes for _, _, changes in noted(kind="csms.idtag")] == [
        {"charge_points added": ["", "CP1"]},
        {"charge_points removed": ["CP1", ""]},
        {"charge_points added": ["", "CP1"]},
        {"charge_points removed": ["CP1", ""]},
    ]


def test_tokens_are_made_and_revoked() -> None:
    token, text = token_add(name="billing", role="viewer")
    token_revoke(token=token)
    assert [(action, list(changes)) for _, action, changes in noted(kind="csms.apitoken")] == [
        ("added", ["name", "user", "revoked"]),
        ("changed", ["revoked"]),
    ]
    assert text not in everything()
    assert token.digest not in everything()


def test_a_user_who_deletes_the_own_account_is_noted() -> None:
    user = somebody()
    _, codes = enrolled(user)
    forget()
    client = Client()
    log_in(client)
    client.post("/admin/two-factor/", {"code": codes[0]})
    client.post("/admin/auth/user/", {
        "action": "delete_selected", "_selected_action": [user.pk], "post": "yes", "index": 0,
    })  # fmt: skip
    assert not User.objects.filter(pk=user.pk).exists()
    assert ("admin: ann", "deleted") in [(by, action) for by, action, _ in noted()]


def test_what_a_charge_point_took_over_ocpp_is_noted() -> None:
    """Its new key, and the higher security profile that it came with: by the central system."""
    charger = factories.charge_point(identity="CP1", security_profile=1)
    charge_points.password_set(charge_point=charger, password=CANARY)
    for status in ("Rejected", "Accepted"):
        forget()
        passwords.rotation_begin(charger)
        passwords.rotation_end(charger, status=status)
        accepted = [("", "changed", {"password": [MASK, MASK]})]
        assert noted() == (accepted if status == "Accepted" else [])
    forget()
    ChargePoint.objects.update(pending_security_profile=2)
    charger.refresh_from_db()
    for _ in range(2):
        security_profiles.raise_reached(charger)
    assert noted() == [("", "changed", {"security_profile": ["1", "2"]})]


# ---------------------------------------------------------------------------- no secrets


def test_no_secret_is_in_it() -> None:
    """N5: passwords, keys, tokens and codes, plain or as their hashes, anywhere in the audit."""
    charger = factories.charge_point()
    charge_points.password_set(charge_point=charger, password=CANARY)
    key = passwords.key_new()
    charger.pending_password = passwords.key_encoded(key)
    charger.save(update_fields=["pending_password"])
    user = User.objects.create_user("bob", password=CANARY)
    user.set_password(CANARY + "2")
    user.save()
    device, codes = enrolled(user)
    token, text = token_add(name="n", user=user)
    device.delete()
    charger.refresh_from_db()
    kept = everything()
    secrets = (
        CANARY,
        charger.password,
        charger.pending_password,
        key.hex(),
        user.password,
        device.key,
        text,
        token.digest,
        *codes,
    )
    for secret in secrets:
        assert len(secret) > 7
        assert secret not in kept
    assert kept.count(MASK) >= 3


def test_a_user_made_in_the_admin_leaves_no_password_in_it(admin_client: Client) -> None:
    form = {
        "username": "eve",
        "password1": CANARY,
        "password2": CANARY,
        "usable_password": "true",
    }
    assert admin_client.post("/admin/auth/user/add/", form).status_code == 302
    assert CANARY not in everything()
    assert User.objects.get(username="eve").password not in everything()


# ------------------------------------------------------------------------- the hot path


def test_what_charge_points_say_costs_nothing() -> None:
    """Their fields are no business of the audit: not one more query, not one entry."""
    charger = factories.charge_point()
    forget()
    charger.last_seen = timezone.now()
    charger.connected = True
    charger.callback_error = "x"
    with CaptureQueriesContext(
        connection,
    ) as captured:
        charger.save(update_fields=["last_seen", "connected", "callback_error"])
    assert len(captured) == 1
    assert noted() == []


def test_a_save_without_a_change_notes_nothing() -> None:
    tag = factories.id_tag("T")
    forget()
    tag.save()
    assert noted() == []


def test_what_was_not_written_is_not_noted() -> None:
    charger = factories.charge_point(name="before", site="North")
    forget()
    charger.name, charger.site = "after", "South"
    charger.save(update_fields=["site"])
    assert noted() == [("", "changed", {"site": ["North", "South"]})]


# ------------------------------------------------------------------------------- pages


def test_the_list_has_filters_and_changes_nothing(admin_client: Client) -> None:
    with acting(lambda: Actor("shell: root")):
        factories.id_tag("T")
    factories.charge_point(identity="CP1")
    url = show.list_url("auditentry")

    def found(**query: str) -> set[str]:
        rows = admin_client.get(url, query).context["cl"].result_list
        return {row.object_text for row in rows}

    assert found(kind="csms.idtag") == {"T"}
    assert found(by="shell") == {"T"}
    assert found(change="added", q="CP") == {"CP1"}
    assert found(change="deleted") == set()
    assert found(at_from="2999-01-01") == set()
    entry = AuditEntry.objects.first()
    assert entry is not None
    page = show.change_url("auditentry", entry.pk)
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"by": "nobody"}).status_code == 403
    assert admin_client.post(f"{page}../delete/", {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
    admin_client.post(url, data)
    assert AuditEntry.objects.filter(pk=entry.pk).exists()
    assert "delete_selected" not in admin_client.get(url).content.decode()


def test_an_object_shows_its_own_changes_to_who_may_see_it() -> None:
    one, two = factories.charge_point(identity="CP1"), factories.charge_point(identity="CP2")
    with acting(lambda: Actor("API: billing")):
        charge_points.charge_point_change(charge_point=one, site="South")
    client = signed_in(somebody("viewer"))
    page = client.get(f"/admin/csms/chargepoint/{one.pk}/history/").content.decode()
    assert "API: billing" in page
    assert "South" in page
    other = client.get(f"/admin/csms/chargepoint/{two.pk}/history/").content.decode()
    assert "API: billing" not in other
    assert client.get("/admin/csms/chargepoint/999/history/").status_code == 302
    user = User.objects.get()
    assert client.get(f"/admin/auth/user/{user.pk}/history/").status_code == 403


EVIL = "<script>alert(1)</script>\u202e\x1b"


def test_hostile_texts_are_shown_as_text(admin_client: Client) -> None:
    """An identity that somebody adopts, a name: never markup, never a reversed line."""
    charger = ChargePoint.objects.create(identity=EVIL)
    tag = factories.id_tag("T")
    tag.name = EVIL
    tag.save()
    entry = AuditEntry.objects.get(kind="csms.chargepoint")
    last = AuditEntry.objects.order_by("-id")[0]
    for url in (
        show.list_url("auditentry"),
        show.change_url("auditentry", entry.pk),
        show.change_url("auditentry", last.pk),
        f"/admin/csms/chargepoint/{charger.pk}/history/",
        f"/admin/csms/idtag/{tag.pk}/history/",
    ):
        html = admin_client.get(url).content.decode()
        assert "<script>alert" not in html, url
        assert "\u202e" not in html, url
        assert "\x1b" not in html, url
        assert "&lt;script&gt;alert(1)" in html, url


def test_entries_outlive_their_object(admin_client: Client) -> None:
    factories.id_tag("T")
    IdTag.objects.all().delete()
    page = admin_client.get(show.list_url("auditentry"), {"change": "deleted"}).content.decode()
    assert "deleted" in page


def test_the_audit_of_a_migration_is_empty() -> None:
    """The roles are what we are; that they are made is nobody's change."""
    forget()
    call_command("migrate", verbosity=0)
    assert noted() == []
