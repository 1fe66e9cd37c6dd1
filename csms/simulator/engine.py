"""What drives a simulated charge point: its calls, its answers, its tasks, its journal."""

import asyncio
import random
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar, cast

import msgspec

from csms.ocpp.base import Payload, Request, action, validated
from csms.simulator.clock import Clock
from csms.simulator.journal import Entry, Journal
from csms.simulator.misbehaviour import Misbehaviour, Misbehaviours
from csms.simulator.transport import (
    Answer,
    CallFailed,
    FollowUp,
    NoAnswer,
    Refused,
    Silent,
    Transport,
)

R = TypeVar("R", bound=Payload)


class Engine(ABC):
    """An identity on a transport that makes calls, one at a time, and answers them."""

    def __init__(
        self,
        identity: str,
        *,
        transport: Transport,
        clock: Clock | None,
        journal: Journal | None,
        seed: int | None,
        on_event: Callable[[str], None] | None,
    ) -> None:
        self.identity = identity
        self.transport = transport
        self.clock = clock or Clock()
        self.journal = journal or Journal()
        self.random = random.Random(None if seed is None else f"{seed}:{identity}")
        self.failures: list[str] = []
        """What the central system did wrong, and what this simulator did."""
        self._on_event = on_event or (lambda text: None)
        self._misbehaviours = Misbehaviours()
        self._one_call = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    @abstractmethod
    def decide(self, request: Request[Any]) -> Answer:
        """What a call of the central system is answered; raises Refused."""

    async def __aenter__(self) -> Self:
        await self.transport.start(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.transport.stop()

    async def call(self, request: Request[R]) -> R:
        """Send any request, one at a time; raises NoAnswer or CallFailed."""
        request = validated(request)
        name = action(type(request))
        async with self._one_call:  # J4.1.1: one outstanding call
            message_id = str(uuid.uuid4())  # unique over all runs, also with a seed
            entry = self.journal.opened(self._entry("sent", message_id, request))
            drop = self._misbehaviours.take(name).drop
            try:
                reply = await self.transport.call(message_id, request, drop=drop)
            except (NoAnswer, CallFailed) as error:
                said = str(error) or type(error).__name__
                self.journal.closed(entry, at=self.clock.now(), error=said)
                raise
            self.journal.closed(entry, at=self.clock.now(), reply=reply)
            return cast(R, reply)

    def misbehave(self, name: str, misbehaviour: Misbehaviour) -> None:
        """Let something go wrong with the next messages of an action."""
        self._misbehaviours.plan(name, misbehaviour)

    async def answer(self, message_id: str, request: Request[Any]) -> Answer:
        """Decide what a call of the central system is answered; raises Refused or Silent."""
        name = action(type(request))
        entry = self.journal.opened(self._entry("received", message_id, request))
        wrong = self._misbehaviours.take(name)
        try:
            if wrong.delay:
                await self.clock.sleep(wrong.delay)
            if wrong.silent or wrong.drop:
                raise Silent(drop=wrong.drop)
            if wrong.error:
                raise Refused(wrong.error, "The charge point was told to fail.")
            answer = self.decide(request) if wrong.reply is None else Answer(wrong.reply)
            answer = Answer(validated(answer.reply), answer.then)
        except (Refused, Silent) as error:
            self.journal.closed(entry, at=self.clock.now(), error=str(error))
            self.event(f"{name}: {error}")
            raise
        self.journal.closed(entry, at=self.clock.now(), reply=answer.reply)
        status = getattr(answer.reply, "status", None)
        self.event(f"{name} answered" + (f" {status.value}" if status is not None else ""))
        return answer

    def follow_up(self, then: FollowUp | None) -> None:
        """The answer is sent: what comes next begins."""
        if then is not None:
            self.spawn(_await(then))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a task as long as the charge point lives; its exception is a failure."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, NoAnswer | CallFailed):
                self.event(f"not delivered: {error}")
            else:
                self.violation(f"{type(error).__name__}: {error}")

    def event(self, text: str) -> None:
        """Something notable has happened."""
        self._on_event(f"{self.identity}: {text}")

    def violation(self, text: str) -> None:
        """Something has failed, or the central system has broken a rule."""
        self.failures.append(text)
        self.event(f"FAILED {text}")

    def _entry(self, direction: str, message_id: str, request: Request[Any]) -> Entry:
        return Entry(
            identity=self.identity,
            direction=direction,
            message_id=message_id,
            action=action(type(request)),
            payload=msgspec.to_builtins(request),
            at=self.clock.now(),
        )


async def _await(then: FollowUp) -> None:
    await then()
