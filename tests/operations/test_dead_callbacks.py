"""SOAP charge points whose callback address leads nowhere block nobody (F17)."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from csms.models import ChargePoint, Command
from csms.services.commands import command_send
from tests import factories
from tests.operations.examples import request
from tests.operations.scripted import called, ended, history, replied
from tests.operations.test_rules import say_hello
from tests.running import PATIENCE, wait_for

if TYPE_CHECKING:
    from tests.running import System

DEAD, LIVE = 50, 5


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address where nobody takes up: its queue of connections is full."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_the_dead_hold_up_nobody(system: "System", black_hole: str) -> None:
    """Each call to a dead one takes five seconds; the live ones are through before the first."""
    callback = system.callback(lambda text: replied(text, {"status": "Accepted"}))
    dead = [
        factories.charge_point(transport="soap", callback_url=f"{black_hole}/{number}")
        for number in range(DEAD)
    ]
    live = [
        factories.charge_point(transport="soap", callback_url=callback.url) for _ in range(LIVE)
    ]
    away = [command_send(charge_point=row, request=request("ClearCache")) for row in dead]
    there = [command_send(charge_point=row, request=request("ClearCache")) for row in live]
    there += [command_send(charge_point=row, request=request("Reset")) for row in live]
    system.deliver()
    for command in there:
        assert ended(command).state == "accepted"
    states = Command.objects.filter(pk__in=[command.pk for command in away])
    assert set(states.values_list("state", flat=True)) == {"sent"}
    wait_for(lambda: states.filter(state="queued").count() == DEAD)
    said = ChargePoint.objects.filter(pk__in=[row.pk for row in dead])
    assert set(said.values_list("callback_error", flat=True)) == {
        "The connection was not answered in time."
    }
    assert set(states.values_list("sent_at", "error")) == {
        (None, "The connection was not answered in time.")
    }


def test_it_is_tried_again_at_the_next_contact(system: "System") -> None:
    """Its page says why it cannot be reached, until it can."""
    callback = system.callback(lambda text: replied(text, {"status": "Accepted"}))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
        listener.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        row = factories.charge_point(transport="soap", callback_url=url)
        system.deliver()
        first = command_send(charge_point=row, request=request("Reset"))
        wait_for(lambda: ChargePoint.objects.get().callback_error)
        row.refresh_from_db()
        assert row.callback_error.startswith("No connection")
        assert ended(first, "queued").error == row.callback_error
        second = command_send(charge_point=row, request=request("ClearCache"))
        say_hello(system, row)
        wait_for(lambda: len(history(first)) >= 5)  # tried once more, in vain
        assert history(first) == ["queued", "sent", "queued", "sent", "queued"]

        listener.listen()
        say_hello(system, row)
        for command in (first, second):
            callback.process_request(*listener.accept())
            assert ended(command).state == "accepted"
    assert [called(text)[0] for _, text in callback.requests] == ["Reset", "ClearCache"]
    row.refresh_from_db()
    assert (row.callback_error, row.callback_failed_at) == ("", None)


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://127.0.0.1:22/"])
def test_forbidden_address_is_said_to_be_so(system: "System", url: str) -> None:
    row = factories.charge_point(transport="soap", callback_url=url)
    system.deliver()
    command = command_send(charge_point=row, request=request("Reset"))
    wait_for(lambda: ChargePoint.objects.get().callback_error)
    row.refresh_from_db()
    assert "allowed" in row.callback_error or "CSMS_SOAP_CALLBACK_PORTS" in row.callback_error
    assert ended(command, "queued").sent_at is None
