"""The delivery loop: each command in a task of its own, every outcome kept."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from csms.ocpp import core
from csms.ocpp.tolerance import Note
from csms.services import bus
from csms.services.inbox import LogEntry
from csms.services.outbox import Answer, CallFailed, Claimed, NoAnswer, NotSent, Replied, Unreadable
from ocpp_soap.delivery import Delivery
from tests.ocpp_soap.house import facts

pytestmark = pytest.mark.anyio

RESET = core.Reset(type=core.ResetType.SOFT)
REPLY = core.ResetResponse(status=core.ResetStatus.ACCEPTED)
YES = Replied(REPLY, "<raw/>", (Note("relates_to", "RelatesTo", "7"),))


def _claimed(number: int, identity: str = "CP1") -> Claimed:
    return Claimed(number, facts(identity), RESET, "Reset", f"id-{number}", "http://192.0.2.7/")


class Fakes:
    """The services, the log and the caller of one Delivery."""

    def __init__(self) -> None:
        self.queue: list[Claimed] = []
        self.limits: list[int] = []
        self.completed: dict[int, Answer] = {}
        self.entries: list[LogEntry] = []
        self.answers: Callable[[Claimed], Any] = lambda _: YES
        self.called: list[tuple[int, float]] = []
        self.closed = False
        self.fails = 0

    # services, in a thread
    def claim(self, *, transport: str, limit: int, now: Any) -> list[Claimed]:
        assert transport == "soap"
        self.limits.append(limit)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the database is away")
        taken, self.queue = self.queue[:limit], self.queue[limit:]
        return taken

    def complete(self, *, command_id: int, answer: Answer, now: Any) -> None:
        self.completed[command_id] = answer

    # inbox
    def record(self, entry: LogEntry) -> None:
        self.entries.append(entry)

    # caller
    def build(self, claimed: Claimed) -> str:
        return f"<call id='{claimed.command_id}'/>"

    async def call(self, claimed: Claimed, text: str) -> tuple[Answer, str]:
        self.called.append((claimed.command_id, time.monotonic()))
        answer = self.answers(claimed)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return answer, getattr(answer, "raw", "")

    async def close(self) -> None:
        self.closed = True

    async def until(self, condition: Callable[[], bool], seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  what is waited for ends in other threads too
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _running(fakes: Fakes, **options: Any) -> AsyncIterator[Delivery]:
    delivery = Delivery(
        inbox=fakes,
        caller=fakes,  # type: ignore[arg-type]
        claim=fakes.claim,
        complete=fakes.complete,
        **({"pause": 0.0} | options),
    )
    task = asyncio.create_task(delivery.run())
    try:
        yield delivery
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (YES, ""),
        (Unreadable("<raw/>", "no reply"), "no reply"),
        (CallFailed("NotSupported", "no", "<raw/>"), "NotSupported: no"),
        (NoAnswer("silence"), "silence"),
        (NotSent("refused"), "refused"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_outcomes_are_kept_and_logged(answer: Answer, error: str) -> None:
    fakes = Fakes()
    fakes.queue, fakes.answers = [_claimed(1)], lambda _: answer
    async with _running(fakes):
        await fakes.until(lambda: 1 in fakes.completed)
    assert fakes.completed == {1: answer}
    (entry,) = fakes.entries
    assert (entry.direction, entry.action, entry.message_id) == ("out", "Reset", "id-1")
    assert (entry.request, entry.error) == ("<call id='1'/>", error)
    assert entry.answer == getattr(answer, "raw", "")
    assert list(entry.notes) == (["relates_to at RelatesTo: 7"] if answer is YES else [])
    assert fakes.closed


async def test_a_wake_up_is_followed_at_once() -> None:
    fakes = Fakes()
    async with _running(fakes):
        await fakes.until(lambda: bool(fakes.limits))
        fakes.queue = [_claimed(1)]
        bus.publish("commands")
        await fakes.until(lambda: 1 in fakes.completed, seconds=0.5)


async def test_a_lost_wake_up_costs_a_second() -> None:
    fakes = Fakes()
    async with _running(fakes):
        await fakes.until(lambda: bool(fakes.limits))
        fakes.queue = [_claimed(1)]
        await fakes.until(lambda: 1 in fakes.completed, seconds=3)


async def test_the_loop_survives_the_database() -> None:
    fakes = Fakes()
    fakes.fails, fakes.queue = 1, [_claimed(1)]
    async with _running(fakes):
        await fakes.until(lambda: 1 in fakes.completed)


async def test_a_pause_before_the_call() -> None:
    fakes = Fakes()
    fakes.queue = [_claimed(1)]
    started = time.monotonic()
    async with _running(fakes, pause=0.2):
        await fakes.until(lambda: 1 in fakes.completed)
    assert fakes.called[0][1] - started >= 0.2


async def test_f17_dead_callbacks_delay_nobody() -> None:
    fakes = Fakes()

    async def dead() -> Answer:
        await asyncio.sleep(60)
        return NoAnswer("")

    fakes.answers = lambda claimed: YES if claimed.command_id > 500 else dead()
    fakes.queue = [_claimed(number, f"CP{number}") for number in range(1, 502)]
    async with _running(fakes):
        await fakes.until(lambda: 501 in fakes.completed, seconds=3)
        assert len(fakes.called) == 501


async def test_no_more_is_claimed_than_there_is_room_for() -> None:
    fakes = Fakes()
    release = asyncio.Event()

    async def wait() -> Answer:
        await release.wait()
        return YES

    fakes.answers = lambda _: wait()
    fakes.queue = [_claimed(number) for number in range(1, 6)]
    async with _running(fakes, most_at_once=2):
        await fakes.until(lambda: len(fakes.called) == 2)
        bus.publish("commands")
        await asyncio.sleep(0.05)
        assert len(fakes.called) == 2
        release.set()
        await fakes.until(lambda: len(fakes.completed) == 5)
    assert max(fakes.limits) == 2


async def test_an_exception_is_an_unknown_outcome() -> None:
    fakes = Fakes()

    async def fail() -> Answer:
        raise KeyError("of ours")

    fakes.queue, fakes.answers = [_claimed(1)], lambda _: fail()
    async with _running(fakes):
        await fakes.until(lambda: 1 in fakes.completed)
    assert isinstance(fakes.completed[1], NoAnswer)
    assert "of ours" not in fakes.completed[1].why


async def test_f19_when_the_process_stops() -> None:
    fakes = Fakes()

    async def dead() -> Answer:
        await asyncio.sleep(60)
        return YES

    fakes.queue, fakes.answers = [_claimed(1)], lambda _: dead()
    async with _running(fakes):
        await fakes.until(lambda: len(fakes.called) == 1)
    assert isinstance(fakes.completed[1], NoAnswer)

    fakes.queue = [_claimed(2)]
    async with _running(fakes, pause=30):
        await fakes.until(lambda: not fakes.queue)
        await asyncio.sleep(0.1)
    assert isinstance(fakes.completed[2], NotSent)
