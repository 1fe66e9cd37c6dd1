"""Late answers that come on another socket of the charge point, and to another process (F10)."""

import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import Command, Message
from csms.services.commands import command_send
from csms.services.late_answers import RECENT
from ocpp_json.delivery import MOST_LATE
from ocpp_json.delivery import Delivery as JsonDelivery
from tests import factories
from tests.operations.examples import request
from tests.operations.scripted import ended, history
from tests.operations.test_unknown import never_stored, process, received, say
from tests.running import running, wait_for

if TYPE_CHECKING:
    from tests.running import JsonCharger, System


@pytest.fixture(scope="module")
def lasting_system(django_db_setup: None) -> "Iterator[System]":
    """One that waits a second for answers."""
    with running(CSMS_SOAP_CALLBACK_NETWORKS="127.0.0.0/8", CSMS_CALL_TIMEOUT="1") as system:
        yield system


def lost(system: "System", charger: "JsonCharger", name: str, **fields: Any) -> tuple[Command, str]:
    """A command that was not answered before its connection ended, and its message id."""
    command = command_send(charge_point=charger.row, request=request(name, **fields))
    action, message_id = received(charger)
    assert action == name
    charger.socket.close()
    assert ended(command).state == "timed out"
    return command, message_id


@pytest.mark.parametrize(("status", "state"), [("Accepted", "accepted"), ("Rejected", "rejected")])
def test_on_the_next_connection(system: "System", status: str, state: str) -> None:
    system.deliver()
    command, message_id = lost(system, system.charger(factories.charge_point()), "Reset")
    back = system.charger(command.charge_point)
    say(back, message_id, status)
    ended(command, state)
    assert (command.answer, command.error) == ({"status": status}, "")
    assert command.effect == ("waiting" if status == "Accepted" else "")
    assert history(command) == ["queued", "sent", "timed out", state]
    message = wait_for(Message.objects.filter(error="The answer came late.").first)
    assert (message.message_id, message.action) == (message_id, "Reset")
    say(back, message_id, "Accepted")  # a second answer changes nothing
    back.lives()
    assert ended(command).state == state


def test_an_error_on_the_next_connection(system: "System") -> None:
    system.deliver()
    command, message_id = lost(system, system.charger(factories.charge_point()), "Reset")
    back = system.charger(command.charge_point)
    back.send(json.dumps([4, message_id, "NotSupported", "No.", {}]))
    ended(command, "error")
    assert command.error == "NotSupported: No."


def test_to_another_process(system: "System") -> None:
    """Nothing of the call is known there but the command's row."""
    charger = system.charger(factories.charge_point())
    with process(system, lambda: JsonDelivery(system.server)):
        command, message_id = lost(system, charger, "ClearCache")
    with process(system, lambda: JsonDelivery(system.server)):
        say(system.charger(command.charge_point), message_id, "Accepted")
        ended(command, "accepted")


def test_after_a_kill_before_the_clock_gave_it_up(system: "System") -> None:
    """F15: it is still sent; its answer is as good as in time, and what follows has its turn."""
    charger = system.charger(factories.charge_point())
    with process(system, lambda: JsonDelivery(system.server, complete=never_stored)):
        command = command_send(charge_point=charger.row, request=request("ClearCache"))
        _, message_id = received(charger)
        charger.socket.close()
    command.refresh_from_db()
    assert command.state == "sent"
    following = command_send(charge_point=charger.row, request=request("ClearCache"))
    system.deliver()
    back = system.charger(charger.row)
    say(back, message_id, "Accepted")
    ended(command, "accepted")
    assert history(command) == ["queued", "sent", "accepted"]
    say(back, received(back)[1], "Accepted")
    assert ended(following).state == "accepted"


def test_another_charge_point_cannot_answer(system: "System") -> None:
    system.deliver()
    command, message_id = lost(system, system.charger(factories.charge_point()), "Reset")
    other = system.charger(factories.charge_point())
    say(other, message_id, "Accepted")
    ignored = wait_for(Message.objects.filter(error="It answers no call of ours.").first)
    assert ignored.charge_point == other.row
    other.lives()
    command.refresh_from_db()
    assert (command.state, command.answer) == ("timed out", None)
    say(system.charger(command.charge_point), message_id, "Rejected")
    assert ended(command, "rejected")


def test_what_has_ended_is_not_changed(system: "System") -> None:
    """Neither what was answered nor what never was sent takes an answer."""
    system.deliver()
    row = factories.charge_point()
    back = system.charger(row)
    rows = [
        factories.command(row, state=state, answer=None, message_id=str(uuid.uuid4()))
        for state in ("accepted", "rejected", "error", "expired", "cancelled")
    ]
    for command in rows:
        say(back, command.message_id, "Accepted")
        wait_for(Message.objects.filter(message_id=command.message_id).exists)
    for command in rows:
        before = (command.state, command.answer)
        command.refresh_from_db()
        assert (command.state, command.answer) == before


def test_only_recent_commands_are_looked_at(system: "System") -> None:
    """The look stays short, however many commands a charge point has had."""
    system.deliver()
    row = factories.charge_point()
    old = factories.command(
        row, state="timed out", answer=None, message_id=str(uuid.uuid4()), error="No answer."
    )
    for _ in range(RECENT - 1):
        factories.command(row, state="accepted")
    charger = system.charger(row)
    say(charger, old.message_id, "Accepted")
    ended(old, "accepted")
    Command.objects.filter(pk=old.pk).update(state="timed out")
    factories.command(row, state="accepted")
    say(charger, old.message_id, "Accepted")
    wait_for(Message.objects.filter(error="It answers no call of ours.").exists)
    old.refresh_from_db()
    assert old.state == "timed out"


def test_many_answers_at_once(system: "System") -> None:
    """What is no answer to anything is not looked for without end; the connection lives."""
    system.deliver()
    command, message_id = lost(system, system.charger(factories.charge_point()), "Reset")
    back = system.charger(command.charge_point)
    for _ in range(10 * MOST_LATE):
        say(back, str(uuid.uuid4()), "Accepted")
    back.lives()
    ignored = Message.objects.filter(error="It answers no call of ours.")
    wait_for(lambda: ignored.count() == 10 * MOST_LATE)
    say(back, message_id, "Accepted")
    assert ended(command, "accepted")


SECRET = "hunter2-hunter2"


def test_secrets_are_not_told_by_a_late_answer(system: "System") -> None:
    """The request's secret is forgotten by then, so that nothing of such an answer is kept."""
    system.deliver()
    charger = system.charger(factories.charge_point())
    command, message_id = lost(
        system, charger, "ChangeConfiguration", key="StationPassword", value=SECRET
    )
    assert not command.sealed
    back = system.charger(command.charge_point)
    back.send(json.dumps([4, message_id, SECRET, f"{SECRET} is too short", {"x": SECRET}]))
    ended(command, "error")
    assert "may repeat a secret" in command.error
    message = wait_for(Message.objects.filter(error="The answer came late.").first)
    assert message.message_id == message_id
    kept = [Message.objects.values_list(), Command.objects.values_list()]
    kept += [command.events.values_list()]
    assert all(SECRET not in str(list(rows)) for rows in kept)
