"""The long poll: it returns when the outcome is known, holds no connection, and leaves nothing."""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from csms.api import commands
from csms.models import ChargePoint, Command
from csms.services import bus
from csms.services.outbox import commands_claim
from csms.services.threads import in_thread
from csms.services.tokens import token_add
from tests import factories
from tests.api.caller import caller

pytestmark = pytest.mark.django_db(transaction=True)


def queued() -> tuple[str, Command]:
    """A token and a command that waits."""
    return caller("read").token, factories.command(factories.charge_point())


async def get(token: str, path: str) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {token}"}
    response = await AsyncClient().get(f"/api/v1/{path}", headers=headers)
    return response.status_code, json.loads(response.content)


async def begun(command: Command) -> None:
    """Wait until somebody waits for the command."""
    async with asyncio.timeout(10):
        while f"command {command.pk}" not in bus._subscriptions:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def change(pk: int, **columns: Any) -> None:
    Command.objects.filter(pk=pk).update(**columns)


def test_without_waiting_it_is_told_as_it_is() -> None:
    token, command = queued()
    status, answer = asyncio.run(get(token, f"commands/{command.pk}"))
    assert (status, answer["state"], answer["id"]) == (200, "queued", command.pk)


def test_it_returns_as_soon_as_the_command_has_ended() -> None:
    token, command = queued()

    async def scenario() -> Any:
        waiting = asyncio.create_task(get(token, f"commands/{command.pk}?wait=30"))
        await begun(command)
        await in_thread(change, pk=command.pk, state="sent")
        bus.publish(f"command {command.pk}")
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await in_thread(change, pk=command.pk, state="accepted", answer={"status": "Accepted"})
        bus.publish(f"command {command.pk}")
        return await waiting

    started = time.monotonic()
    _, answer = asyncio.run(scenario())
    assert time.monotonic() - started < 10
    assert (answer["state"], answer["answer"]) == ("accepted", {"status": "Accepted"})
    assert f"command {command.pk}" not in bus._subscriptions


def test_what_another_process_wrote_is_seen_within_a_second() -> None:
    token, command = queued()

    async def scenario() -> Any:
        waiting = asyncio.create_task(get(token, f"commands/{command.pk}?wait=30"))
        await asyncio.sleep(0.2)
        await in_thread(change, pk=command.pk, state="expired")
        return await asyncio.wait_for(waiting, 5)

    assert asyncio.run(scenario())[1]["state"] == "expired"


def test_what_became_impossible_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused when its turn has come; nobody waits for the next look."""
    monkeypatch.setattr(commands, "LOOK_EVERY", 60.0)
    token, command = queued()
    ChargePoint.objects.update(connected=True, owner="here", transport="json")
    Command.objects.update(action="RemoteStopTransaction", payload={"transactionId": 1})
    ChargePoint.objects.update(registration="Pending")

    async def scenario() -> Any:
        waiting = asyncio.create_task(get(token, f"commands/{command.pk}?wait=30"))
        await begun(command)
        await asyncio.sleep(0.2)  # it has looked, and waits
        now = datetime.now(UTC)
        assert await in_thread(commands_claim, transport="json", owner="here", now=now) == []
        return await asyncio.wait_for(waiting, 5)

    _, answer = asyncio.run(scenario())
    assert (answer["state"], "is Pending" in answer["error"]) == ("error", True)


def test_it_can_wait_for_the_effect_too() -> None:
    token, command = queued()
    change(command.pk, state="accepted", effect="waiting")

    async def scenario() -> Any:
        path = f"commands/{command.pk}?wait=30"
        _, answer = await get(token, path)
        assert answer["effect"] == "waiting"
        waiting = asyncio.create_task(get(token, path + "&until=effect"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await in_thread(change, pk=command.pk, effect="seen", effect_text="It has booted.")
        return await asyncio.wait_for(waiting, 5)

    _, answer = asyncio.run(scenario())
    assert (answer["effect"], answer["effect_text"]) == ("seen", "It has booted.")


def test_it_gives_up_in_time() -> None:
    token, command = queued()
    started = time.monotonic()
    status, answer = asyncio.run(get(token, f"commands/{command.pk}?wait=0.3"))
    assert 0.3 <= time.monotonic() - started < 5
    assert (status, answer["state"]) == (200, "queued")


def test_nobody_keeps_a_subscription_who_left() -> None:
    token, command = queued()

    async def scenario() -> None:
        waiting = asyncio.create_task(get(token, f"commands/{command.pk}?wait=30"))
        await begun(command)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        deadline = time.monotonic() + 5
        while f"command {command.pk}" in bus._subscriptions and time.monotonic() < deadline:
            bus.publish(f"command {command.pk}")
            await asyncio.sleep(0.02)

    asyncio.run(scenario())
    assert f"command {command.pk}" not in bus._subscriptions


@pytest.mark.parametrize(
    ("path", "expected", "field"),
    [
        ("commands/987654321", 404, None),
        ("commands/987654321?wait=30", 404, None),
        (f"commands/{10**30}", 404, None),
        ("commands/1?wait=61", 422, "wait"),
        ("commands/1?wait=-1", 422, "wait"),
        ("commands/1?wait=nan", 422, "wait"),
        ("commands/1?until=later", 422, "until"),
    ],
)
def test_what_cannot_be_waited_for(path: str, expected: int, field: str | None) -> None:
    token = caller("read").token
    status, answer = asyncio.run(get(token, path))
    assert (status, answer["error"]["field"]) == (expected, field)


def test_it_takes_a_token_and_the_permission() -> None:
    _, command = queued()
    assert asyncio.run(get("wrong", f"commands/{command.pk}"))[0] == 401
    _, text = token_add(name="n", user=User.objects.create_user("nobody"))
    assert asyncio.run(get(text, f"commands/{command.pk}"))[0] == 403
