"""What each answer means that the specification allows, and what any other comes to."""

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from csms.ocpp import registry
from csms.ocpp.base import reply_type
from csms.services.commands import command_send
from csms.services.outbox import ACCEPTING
from tests.operations.examples import (
    EACH,
    MEANS,
    OPERATIONS,
    OVER_SOAP,
    WITHOUT_STATUS,
    replies_of,
    request,
    statuses_of,
)
from tests.operations.scripted import ended, history, scripted

if TYPE_CHECKING:
    from tests.running import System


def test_there_are_26_operations() -> None:
    assert (len(OPERATIONS), len(OVER_SOAP)) == (26, 19)


def test_every_status_that_is_declared_has_its_meaning() -> None:
    """What `test_each_status` goes through is all that there is, and nothing else."""
    assert {status for name in OPERATIONS for status in statuses_of(name)} == MEANS.keys()
    assert {name for name in OPERATIONS if not statuses_of(name)} == WITHOUT_STATUS.keys()
    assert {status for status, state in MEANS.items() if state == "accepted"} == ACCEPTING


@pytest.mark.parametrize(("transport", "name"), EACH)
def test_each_status(system: "System", transport: str, name: str) -> None:
    charger = scripted(system, transport)
    system.deliver()
    for reply, state in replies_of(name):
        command = command_send(charge_point=charger.row, request=request(name), by="ann")
        assert charger.answer(reply) == name
        ended(command)
        assert (command.state, command.answer, command.error) == (state, reply, ""), reply
        assert history(command) == ["queued", "sent", state]
        assert msgspec.convert(command.answer, reply_type(registry.ACTIONS[name]))
        assert (command.effect != "") <= (state == "accepted")
        for follower in command.followers.all():  # what it set is read back
            charger.fail("NotSupported")
            assert ended(follower).state == "error"


@pytest.mark.parametrize("transport", ["json", "soap"])
@pytest.mark.parametrize("code", ["NotSupported", "SecurityError", "InternalError"])
def test_errors(system: "System", transport: str, code: str) -> None:
    charger = scripted(system, transport)
    system.deliver()
    command = command_send(charge_point=charger.row, request=request("Reset"))
    charger.fail(code)
    ended(command)
    assert (command.state, command.error, command.answer) == ("error", f"{code}: No.", None)
    assert (code in command.raw_answer, command.effect) == (True, "")


@pytest.mark.parametrize(
    "payload",
    [
        {"status": "Perhaps"},
        {"status": ["Accepted"]},
        {"status": {"deep": "Accepted"}},
        {"condition": "Accepted"},
        ["Accepted"],
        "Accepted",
        17,
    ],
    ids=str,
)
def test_invalid_reply_is_kept_raw_over_json(system: "System", payload: object) -> None:
    charger = scripted(system, "json")
    system.deliver()
    command = command_send(charge_point=charger.row, request=request("Reset"))
    text = json.dumps(payload)
    charger.mumble(text)
    ended(command)
    assert (command.state, command.answer) == ("error", None)
    assert command.error.startswith("The answer could not be read: ")
    assert text in command.raw_answer
    following = command_send(charge_point=charger.row, request=request("ClearCache"))
    charger.answer({"status": "Accepted"})
    assert ended(following).state == "accepted"


@pytest.mark.parametrize(
    "body",
    [
        "<p:resetResponse><p:status>Perhaps</p:status></p:resetResponse>",
        "<p:resetResponse/>",
        "<p:resetResponse><p:status><p:deep>Accepted</p:deep></p:status></p:resetResponse>",
        "<p:clearCacheResponse><p:status>Accepted</p:status></p:clearCacheResponse>",
        "",
        "<p:resetResponse>",
    ],
)
def test_invalid_reply_is_kept_raw_over_soap(system: "System", body: str) -> None:
    charger = scripted(system, "soap")
    system.deliver()
    command = command_send(charge_point=charger.row, request=request("Reset"))
    charger.mumble(body)
    ended(command)
    assert (command.state, command.answer) == ("error", None)
    assert command.error.startswith("The answer could not be read: ")
    assert body in command.raw_answer
