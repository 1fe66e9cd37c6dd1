"""Raising a security profile, and rotating a key, with the charge point on the line: N1, N4–N6."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client

from csms.models import ChargePoint, Command, Message
from csms.ocpp.core import ChangeConfiguration
from csms.services.charge_points import charge_point_change
from csms.services.commands import CommandRefused, command_send
from csms.services.outbox import commands_expire
from tests.running import wait_for
from tests.security.door import Knock, answer, certificate, charge_point

if TYPE_CHECKING:
    from tests.running import JsonCharger
    from tests.security.door import Door

pytestmark = pytest.mark.django_db(transaction=True)

KEY = b"\xff:\x00" * 6 + b"ok"
PLAIN, TLS = Knock(KEY), Knock(KEY, tls=True)
CERTIFICATE = Knock(tls=True, certificate=certificate("SERIAL-1"))
PROFILES = {1: PLAIN, 2: TLS, 3: CERTIFICATE}


def ask(row: ChargePoint, key: str, value: str) -> Command:
    return command_send(charge_point=row, request=ChangeConfiguration(key=key, value=value))


def call_of(charger: "JsonCharger", action: str = "ChangeConfiguration") -> Any:
    """The next call of an action; others (what is read back) are left unanswered."""
    while True:
        frame = charger.receive()
        if frame[0] == 2 and frame[2] == action:
            return frame


def asked(door: "Door", row: ChargePoint, knock: Knock, key: str, value: str, status: str) -> str:
    """Ask for a configuration over the wire and let it answer; the value that it was sent."""
    door.system.deliver()
    with door.connect(row.identity, knock) as charger:
        command = ask(row, key, value)
        call = call_of(charger)
        if status:
            charger.send(answer(call, status))
            wait_for(lambda: Command.objects.get(pk=command.pk).finished_at)
    told: str = call[3]["value"]
    return told


def admitted(door: "Door", row: ChargePoint) -> set[int]:
    """The profiles with which it connects."""
    return {profile for profile, knock in PROFILES.items() if door.admits(row, knock)}


def upgraded(door: "Door", status: str, *, old: int, new: int) -> ChargePoint:
    """A charge point that was asked to use a higher profile."""
    row = charge_point(security_profile=old, key=KEY, certificate_name="SERIAL-1")
    asked(door, row, PROFILES[old], "SecurityProfile", str(new), status)
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(("old", "new"), [(1, 2), (1, 3), (2, 3)])
@pytest.mark.parametrize("status", ["Accepted", "RebootRequired"])
def test_n1_n6_both_until_the_first_login_with_the_higher_one(
    door: "Door", status: str, old: int, new: int
) -> None:
    """N1: it falls back when it cannot connect; N6: after the upgrade the lower one is refused."""
    row = upgraded(door, status, old=old, new=new)
    assert (row.security_profile, row.pending_security_profile) == (old, new)
    assert door.admits(row, PROFILES[old])  # the upgrade failed half-way: it is back
    assert door.admits(row, PROFILES[old])
    row.refresh_from_db()
    assert row.pending_security_profile == new
    assert door.admits(row, PROFILES[new])
    row.refresh_from_db()
    assert (row.security_profile, row.pending_security_profile or 0) == (new, 0)
    assert admitted(door, row) == {new}


@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
def test_n1_a_refused_upgrade_changes_nothing(door: "Door", status: str) -> None:
    """N1"""
    row = upgraded(door, status, old=1, new=2)
    assert (row.security_profile, row.pending_security_profile) == (1, None)
    assert admitted(door, row) == {1}


def test_n1_an_upgrade_without_an_answer_may_have_been_taken(door: "Door") -> None:
    """N1, F15: the process that sent it is gone."""
    row = upgraded(door, "", old=1, new=2)
    Command.objects.filter(state="sent").update(sent_at=datetime.now(UTC) - timedelta(hours=1))
    commands_expire(now=datetime.now(UTC))
    assert door.admits(row, PLAIN)
    assert door.admits(row, TLS)
    assert admitted(door, row) == {2}


def test_n1_a_third_profile_is_refused_meanwhile(door: "Door") -> None:
    """N1: from 1 to 3: 2 is neither."""
    row = upgraded(door, "Accepted", old=1, new=3)
    assert not door.admits(row, TLS)
    bad = Knock(KEY, tls=True, certificate=certificate("SERIAL-2"))
    assert not door.admits(row, bad)
    row.refresh_from_db()
    assert row.pending_security_profile == 3


def test_n1_from_2_to_3_with_a_certificate_that_is_not_right(door: "Door") -> None:
    """N1: an upgrade that fails half-way: its password still proves the lower profile."""
    row = upgraded(door, "Accepted", old=2, new=3)
    both = Knock(KEY, tls=True, certificate=certificate("SERIAL-2"))
    assert door.admits(row, both)
    row.refresh_from_db()
    assert (row.security_profile, row.pending_security_profile) == (2, 3)


@pytest.mark.parametrize(
    ("profile", "pending", "value", "why"),
    [
        (2, None, "1", "never lowered"),
        (3, None, "0", "never lowered"),
        (1, 3, "2", "never lowered"),
        (1, None, "4", "1, 2 or 3"),
        (1, None, "two", "1, 2 or 3"),
        (0, None, "1", "needs a key"),
        (0, None, "2", "needs a key"),
    ],
)
def test_n6_never_lowered_over_ocpp(
    profile: int, pending: int | None, value: str, why: str
) -> None:
    """N6: refused before it is sent, whatever case the key is written in."""
    row = charge_point(security_profile=profile, pending_security_profile=pending)
    for key in ("SecurityProfile", "securityprofile"):
        with pytest.raises(CommandRefused, match=why):
            ask(row, key, value)
    assert not Command.objects.exists()


def test_n6_the_extension_is_not_over_soap() -> None:
    row = charge_point(transport="soap", security_profile=1, key=KEY)
    with pytest.raises(CommandRefused, match="not over SOAP"):
        ask(row, "SecurityProfile", "2")


def test_by_hand_any_profile_is_set_at_once(door: "Door") -> None:
    """Who changes both sides by hand may lower it; what it was being raised to is forgotten."""
    row = upgraded(door, "Accepted", old=2, new=3)
    charge_point_change(charge_point=row, security_profile=1)
    assert admitted(door, row) == {1}


# ----------------------------------------------------------------------------- rotation


@pytest.mark.parametrize(
    ("status", "valid"),
    [
        ("Accepted", {"new"}),
        ("Rejected", {"old"}),
        ("NotSupported", {"old"}),
        ("RebootRequired", {"old", "new"}),
        ("", {"old", "new"}),
    ],
)
def test_n4_which_keys_are_valid(door: "Door", status: str, valid: set[str]) -> None:
    """N4: at once after the answer; without one both, until the new one logs in."""
    row = charge_point(security_profile=1, key=KEY)
    new = asked(door, row, PLAIN, "AuthorizationKey", "rotate", status)
    keys = {"old": PLAIN, "new": Knock(bytes.fromhex(new))}
    assert {name for name in ("old", "new") if door.admits(row, keys[name])} == valid
    if "new" in valid:
        assert not door.admits(row, keys["old"])
        assert door.admits(row, Knock(new.upper().encode()))


def test_n4_killed_during_rotation(door: "Door") -> None:
    """N4: the process that sent the key is gone, and has never learnt of an answer."""
    row = charge_point(security_profile=1, key=KEY)
    new = asked(door, row, PLAIN, "AuthorizationKey", "rotate", "")
    Command.objects.filter(state="sent").update(sent_at=datetime.now(UTC) - timedelta(hours=1))
    commands_expire(now=datetime.now(UTC))
    assert Command.objects.get(payload__key="AuthorizationKey").state == "timed out"
    assert door.admits(row, PLAIN)
    assert door.admits(row, Knock(bytes.fromhex(new)))
    assert not door.admits(row, PLAIN)


@pytest.mark.parametrize("status", ["Accepted", "Rejected", ""])
def test_n5_a_canary_key_is_found_nowhere(
    door: "Door", status: str, caplog: pytest.LogCaptureFixture
) -> None:
    """N5: not in the database, the log, the admin's pages."""
    caplog.set_level(logging.DEBUG)
    row = charge_point(security_profile=1, key=KEY)
    key = asked(door, row, PLAIN, "AuthorizationKey", "rotate", status)
    door.admits(row, Knock(key.encode()))
    door.system.written()
    dump = everything()
    assert row.identity in dump
    admin = Client()
    admin.force_login(
        User.objects.create_superuser("admin"), "django.contrib.auth.backends.ModelBackend"
    )
    shown = [dump, caplog.text]
    for page in (
        f"chargepoint/{row.pk}/change/",
        "message/",
        *(f"message/{pk}/change/" for pk in Message.objects.values_list("pk", flat=True)),
        *(f"command/{pk}/change/" for pk in row.commands.values_list("pk", flat=True)),
        "securityevent/",
    ):
        response = admin.get(f"/admin/csms/{page}")
        assert response.status_code == 200, page
        shown.append(response.content.decode())
    for text in shown:
        assert key not in text.lower()


def everything() -> str:
    """All rows of all tables of ours."""
    models = apps.get_app_config("csms").get_models()
    rows = [row for model in models for row in model._default_manager.all()]
    return "\n".join(json.dumps(vars(row), default=str) for row in rows)
