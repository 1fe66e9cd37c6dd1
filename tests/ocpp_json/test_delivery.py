"""Commands, from the outbox to the charge point and back."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection

from csms.ocpp import core
from csms.ocpp.base import Request
from csms.services import bus
from csms.services.facts import ChargerFacts
from csms.services.late_answers import Late
from csms.services.outbox import (
    Answer,
    CallFailed,
    Claimed,
    NoAnswer,
    NotSent,
    Replied,
    Unreadable,
    Unsendable,
)
from ocpp_json import delivery
from tests.ocpp_json.house import House, until

pytestmark = pytest.mark.anyio


class Outbox:
    """An outbox in memory with the services' functions."""

    def __init__(self) -> None:
        self.queued: list[Claimed] = []
        self.done: list[tuple[int, Answer]] = []
        self.claims: list[dict[str, Any]] = []
        self.failing = False
        self.sent: dict[str, Late] = {}
        self.sought: list[str] = []

    def put(self, request: Request[Any], *, pk: int = 1, epoch: int = 1) -> str:
        message_id = str(uuid.uuid4())
        facts = ChargerFacts(
            pk=pk,
            identity=f"CP_{pk}",
            transport="json",
            strict=False,
            time_zone="UTC",
            authenticated=False,
            epoch=epoch,
        )
        command_id = len(self.queued) + len(self.done) + 1
        action = type(request).__name__
        self.queued.append(Claimed(command_id, facts, request, action, message_id, ""))
        bus.publish("commands")
        return message_id

    def claim(self, **asked: Any) -> list[Claimed]:
        self.claims.append(asked)
        if self.failing:
            raise OSError("no database")
        claimed, self.queued = self.queued, []
        for each in claimed:
            self.sent[each.message_id] = Late(
                each.command_id, each.charger, each.action, each.message_id, each.secrets
            )
        return claimed

    def find(self, *, charger: ChargerFacts, message_id: str) -> Late | None:
        self.sought.append(message_id)
        return self.sent.get(message_id)

    def complete(self, *, command_id: int, answer: Answer, now: object) -> None:
        self.done.append((command_id, answer))


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
async def charger(
    house: House, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ClientConnection]:
    """A connected charge point, while commands are delivered; calls time out after 0.3 s."""
    monkeypatch.setattr(delivery, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(delivery, "in_thread", asyncio.to_thread)  # this outbox has no database
    delivering = delivery.Delivery(
        house.server, claim=outbox.claim, complete=outbox.complete, find=outbox.find
    )
    monkeypatch.setattr(delivering, "_timeout", 0.3)
    task = asyncio.create_task(delivering.run())
    async with house.open() as charger:
        yield charger
    task.cancel()
    await asyncio.wait([task])


async def received(charger: ClientConnection) -> list[Any]:
    async with asyncio.timeout(3):
        frame: list[Any] = msgspec.json.decode(await charger.recv(decode=True))
    return frame


async def test_a_command_is_sent_and_its_reply_stored(
    house: House, outbox: Outbox, charger: ClientConnection
) -> None:
    message_id = outbox.put(core.Reset(type=core.ResetType.SOFT))
    assert await received(charger) == [2, message_id, "Reset", {"type": "Soft"}]
    await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
    await until(lambda: outbox.done)
    ((_, answer),) = outbox.done
    assert isinstance(answer, Replied)
    assert answer.reply == core.ResetResponse(status=core.ResetStatus.ACCEPTED)
    assert outbox.claims[0]["owner"] == "gateway"
    (entry,) = house.inbox.entries
    assert (entry.direction, entry.action, entry.message_id) == ("out", "Reset", message_id)
    assert entry.request == f'[2,"{message_id}","Reset",{{"type":"Soft"}}]'
    assert entry.answer == answer.raw
    assert entry.duration_ms is not None
    assert entry.duration_ms >= 0


async def test_a_deviating_reply_is_read_tolerantly(
    house: House, outbox: Outbox, charger: ClientConnection
) -> None:
    outbox.put(core.GetConfiguration())
    message_id = (await received(charger))[1]
    await charger.send(
        f'[3,"{message_id}",{{"configurationKey":[{{"key":"A","readonly":"true","value":5}}]}}]'
    )
    await until(lambda: outbox.done)
    answer = outbox.done[0][1]
    assert isinstance(answer, Replied)
    assert answer.notes
    assert house.inbox.entries[0].notes


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ('[4,"{id}","FormationViolation",""]', CallFailed),
        ('[4,"{id}","Whatever","because",{}]', CallFailed),
        ('[3,"{id}",{"configurationKey":[]', Unreadable),
        ('[3,"{id}",7]', Unreadable),
        ('[3,"{id}",{"configurationKey":"\\u0000"}]', Unreadable),
    ],
)
async def test_an_answer_of_any_shape_ends_the_command_at_once(
    outbox: Outbox, charger: ClientConnection, tail: str, expected: type
) -> None:
    message_id = outbox.put(core.GetConfiguration())
    await charger.recv()
    await charger.send(tail.replace("{id}", message_id))
    await until(lambda: outbox.done, 0.25)
    assert isinstance(outbox.done[0][1], expected)


async def test_f10_a_late_answer_still_completes_its_command(
    house: House, outbox: Outbox, charger: ClientConnection
) -> None:
    first = outbox.put(core.ClearCache())
    await charger.recv()
    await until(lambda: outbox.done)
    assert isinstance(outbox.done[0][1], NoAnswer)
    second = outbox.put(core.ClearCache())
    await charger.recv()
    await charger.send(f'[3,"{first}",{{"status":"Accepted"}}]')
    await until(lambda: len(outbox.done) == 2)
    assert outbox.done[1][0] == outbox.done[0][0]
    assert isinstance(outbox.done[1][1], Replied)
    await charger.send(f'[3,"{second}",{{"status":"Rejected"}}]')
    await until(lambda: len(outbox.done) == 3)
    assert "late" in [entry for entry in house.inbox.entries if entry.error][-1].error


async def test_f10_only_what_may_be_ours_is_looked_for(
    house: House, outbox: Outbox, charger: ClientConnection
) -> None:
    """Ids that are no UUIDs cost nothing; nor does the answer that is waited for."""
    message_id = outbox.put(core.ClearCache())
    await charger.recv()
    await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
    await until(lambda: outbox.done)
    for stray in ("", "1", "x" * 36, message_id.upper(), f"{{{message_id}}}"):
        await charger.send(f'[3,"{stray}",{{}}]')
    await until(lambda: len(house.inbox.entries) == 6)
    assert outbox.sought == []
    unknown = str(uuid.uuid4())
    await charger.send(f'[3,"{unknown}",{{}}]')
    await until(lambda: len(house.inbox.entries) == 7)
    assert outbox.sought == [unknown]
    assert {entry.error for entry in house.inbox.entries[1:]} == {"It answers no call of ours."}


async def test_f15_a_connection_that_ends_leaves_the_outcome_unknown(
    outbox: Outbox, charger: ClientConnection
) -> None:
    outbox.put(core.ClearCache())
    await charger.recv()
    await charger.close()
    await until(lambda: outbox.done)
    assert isinstance(outbox.done[0][1], NoAnswer)


async def test_who_is_not_connected_here_is_not_sent_to(
    outbox: Outbox, charger: ClientConnection
) -> None:
    outbox.put(core.ClearCache(), pk=7)
    await until(lambda: outbox.done)
    assert isinstance(outbox.done[0][1], NotSent)


async def test_f14_a_command_of_another_epoch_is_not_sent(
    outbox: Outbox, charger: ClientConnection
) -> None:
    outbox.put(core.ClearCache(), epoch=2)
    await until(lambda: outbox.done)
    assert isinstance(outbox.done[0][1], NotSent)


async def test_a_request_that_breaks_its_declaration_is_not_sent(
    outbox: Outbox, charger: ClientConnection
) -> None:
    outbox.put(core.RemoteStartTransaction(id_tag="x" * 21))
    await until(lambda: outbox.done)
    answer = outbox.done[0][1]
    assert isinstance(answer, Unsendable)
    assert "idTag" in answer.why


async def test_a_failing_database_stops_nothing(outbox: Outbox, charger: ClientConnection) -> None:
    outbox.failing = True
    seen = len(outbox.claims)
    await until(lambda: len(outbox.claims) > seen + 1)
    outbox.failing = False
    outbox.put(core.ClearCache())
    assert (await received(charger))[2] == "ClearCache"
