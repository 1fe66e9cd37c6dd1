"""Outcomes that nobody knows: late answers (F10), lost connections, killed processes (F15)."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from csms import conf
from csms.models import Command
from csms.services.commands import command_send
from csms.services.effects import effects_check
from csms.services.outbox import command_complete, commands_expire
from ocpp_json.delivery import Delivery as JsonDelivery
from ocpp_soap.delivery import Delivery as SoapDelivery
from tests import factories
from tests.operations.examples import request
from tests.operations.scripted import called, ended, history, replied
from tests.running import PATIENCE, running, wait_for

if TYPE_CHECKING:
    from tests.running import JsonCharger, System


@pytest.fixture(scope="module")
def lasting_system(django_db_setup: None) -> "Iterator[System]":
    """One that waits a second for answers."""
    with running(CSMS_SOAP_CALLBACK_NETWORKS="127.0.0.0/8", CSMS_CALL_TIMEOUT="1") as system:
        yield system


def received(charger: "JsonCharger") -> tuple[str, str]:
    """Action and message id of the next call."""
    kind, message_id, action, _ = charger.receive()
    assert kind == 2
    return action, message_id


def say(charger: "JsonCharger", message_id: str, status: str) -> None:
    charger.send(json.dumps([3, message_id, {"status": status}]))


# ---------------------------------------------------------------------- late answers (F10)


@pytest.mark.parametrize(("status", "state"), [("Accepted", "accepted"), ("Rejected", "rejected")])
def test_late_answer(system: "System", status: str, state: str) -> None:
    charger = system.charger(factories.charge_point())
    system.deliver()
    late = command_send(charge_point=charger.row, request=request("Reset"))
    following = command_send(charge_point=charger.row, request=request("ClearCache"))
    action, first_id = received(charger)
    assert (action, ended(late).state, late.effect) == ("Reset", "timed out", "waiting")
    assert not late.answer
    action, second_id = received(charger)
    assert action == "ClearCache"
    say(charger, first_id, status)
    ended(late, state)
    assert (late.answer, late.error) == ({"status": status}, "")
    assert late.effect == ("waiting" if status == "Accepted" else "")
    assert history(late) == ["queued", "sent", "timed out", state]
    last = late.events.last()
    assert last is not None
    assert last.reason.startswith("late answer.")
    following.refresh_from_db()
    assert following.state == "sent"  # it was not matched to the next call
    say(charger, second_id, "Accepted")
    assert ended(following).state == "accepted"
    charger.lives()


@pytest.mark.parametrize("frame", [[3, "unknown", {"status": "Accepted"}], [4, "unknown", "X", ""]])
def test_answer_to_nothing(system: "System", frame: list[Any]) -> None:
    charger = system.charger(factories.charge_point())
    system.deliver()
    command = command_send(charge_point=charger.row, request=request("ClearCache"))
    _, message_id = received(charger)
    charger.send(json.dumps(frame))
    charger.lives()
    command.refresh_from_db()
    assert command.state == "sent"
    say(charger, message_id, "Accepted")
    assert ended(command).state == "accepted"


def test_second_answer_to_a_call(system: "System") -> None:
    """It changes nothing, also when it comes before the first one is stored."""
    charger = system.charger(factories.charge_point())
    seconds = iter((0.2, 0.0))

    def slowly(**what: Any) -> None:
        time.sleep(next(seconds))
        command_complete(**what)

    with process(system, lambda: JsonDelivery(system.server, complete=slowly)):
        command = command_send(charge_point=charger.row, request=request("ClearCache"))
        _, message_id = received(charger)
        say(charger, message_id, "Accepted")
        say(charger, message_id, "Rejected")
        assert ended(command).state == "accepted"
        charger.lives()
    assert history(command) == ["queued", "sent", "accepted"]


# -------------------------------------------------------------------------- lost connections


def test_connection_lost_before_the_answer(system: "System") -> None:
    """It is not sent again when the charge point comes back; what follows is."""
    row = factories.charge_point()
    charger = system.charger(row)
    system.deliver()
    command = command_send(charge_point=row, request=request("Reset"))
    received(charger)
    charger.socket.close()
    assert ended(command).state == "timed out"
    following = command_send(charge_point=row, request=request("ClearCache"))
    back = system.charger(row)
    assert received(back)[0] == "ClearCache"
    back.call("BootNotification", chargePointVendor="V", chargePointModel="M")
    effects_check(now=timezone.now())
    command.refresh_from_db()
    assert (command.state, command.effect) == ("timed out", "seen")
    assert following.state == "queued"


@contextmanager
def cut_off() -> Iterator[tuple[str, list[bytes]]]:
    """A callback address that reads a call and hangs up; what came there."""
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                came.append(connection.recv(1 << 16))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", came
        thread.join(PATIENCE)


def test_connection_lost_before_the_answer_over_soap(system: "System") -> None:
    with cut_off() as (url, came):
        row = factories.charge_point(transport="soap", callback_url=url)
        system.deliver()
        command = command_send(charge_point=row, request=request("Reset"))
        assert ended(command).state == "timed out"
    assert command.error.startswith("The connection was lost")
    assert len(came) == 1
    row.refresh_from_db()
    assert row.callback_error == ""  # the address does lead somewhere


# ------------------------------------------------------------------------ killed (F15)


def never_stored(**_: Any) -> None:
    raise OSError("This process was killed.")


@contextmanager
def process(system: "System", delivery: Callable[[], Any]) -> Iterator[None]:
    """A process that delivers; at the end of the block it is no more."""

    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(delivery().run())

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    task = system.run(begin())
    yield
    system.run(end())


def _given_up(command: Command, following: Command) -> None:
    """After three times the time for an answer the clock says so, and not before."""
    command.refresh_from_db()
    assert (command.state, history(command)) == ("sent", ["queued", "sent"])
    assert command.sent_at is not None
    given_up = command.sent_at + timedelta(seconds=3 * conf.settings().call_timeout)
    assert commands_expire(now=given_up - timedelta(milliseconds=1)) == 0
    following.refresh_from_db()
    assert following.state == "queued"
    assert commands_expire(now=given_up) == 1
    command.refresh_from_db()
    assert (command.state, "outcome is unknown" in command.error) == ("timed out", True)
    assert command.effect == "waiting"  # it may still show what it did


def test_killed_between_sending_and_answer(system: "System") -> None:
    charger = system.charger(factories.charge_point())
    with process(system, lambda: JsonDelivery(system.server, complete=never_stored)):
        command = command_send(charge_point=charger.row, request=request("Reset"))
        say(charger, received(charger)[1], "Accepted")
        charger.lives()
    following = command_send(charge_point=charger.row, request=request("ClearCache"))
    system.deliver()
    _given_up(command, following)
    action, message_id = received(charger)
    assert action == "ClearCache"  # Reset came once
    say(charger, message_id, "Accepted")
    assert ended(following).state == "accepted"


def test_killed_between_sending_and_answer_over_soap(system: "System") -> None:
    callback = system.callback(lambda text: replied(text, {"status": "Accepted"}))
    row = factories.charge_point(transport="soap", callback_url=callback.url)
    delivery = lambda: SoapDelivery(inbox=system.inbox, pause=0, complete=never_stored)  # noqa: E731
    with process(system, delivery):
        command = command_send(charge_point=row, request=request("Reset"))
        wait_for(lambda: callback.requests)
    following = command_send(charge_point=row, request=request("ClearCache"))
    system.deliver()
    _given_up(command, following)
    assert ended(following).state == "accepted"
    assert [called(text)[0] for _, text in callback.requests] == ["Reset", "ClearCache"]


def test_stopped_between_sending_and_answer(system: "System") -> None:
    """A process that ends properly says at once that the outcome is unknown."""
    charger = system.charger(factories.charge_point())
    with process(system, lambda: JsonDelivery(system.server)):
        command = command_send(charge_point=charger.row, request=request("Reset"))
        received(charger)
    command.refresh_from_db()
    assert (command.state, "stopped" in command.error) == ("timed out", True)
    command_send(charge_point=charger.row, request=request("ClearCache"))
    charger.socket.close()
    system.deliver()
    assert received(system.charger(charger.row))[0] == "ClearCache"


class Mute:
    """A caller that can write no envelope."""

    def build(self, claimed: Any) -> str:
        raise ValueError("No words for it.")

    async def close(self) -> None:
        """Nothing was opened."""


def test_what_cannot_be_written_was_never_sent(system: "System") -> None:
    """Its outcome is known: it ends as an error, and what follows has its turn."""
    row = factories.charge_point(transport="soap", callback_url="http://127.0.0.1:9/")
    command = command_send(charge_point=row, request=request("ChangeAvailability"))
    delivery = lambda: SoapDelivery(inbox=system.inbox, pause=0, caller=Mute())  # type: ignore[arg-type]  # noqa: E731
    with process(system, delivery):
        ended(command)
    assert (command.state, command.error) == ("error", "It could not be written as an envelope.")
    assert not command.followers.exists()
    last = command.events.last()
    assert last is not None
    assert last.by == "gateway"
