"""Delivers the commands of SOAP charge points: claim, call, complete.

Each command is delivered in a task of its own, so that dead callbacks (10 seconds each) delay
nobody; a charge point has at most one command outstanding, which the claim sees to.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from csms.logs import about
from csms.services import bus
from csms.services.log import LogEntry, notes_of_reply
from csms.services.outages import patiently
from csms.services.outbox import (
    Answer,
    CallFailed,
    Claimed,
    NoAnswer,
    NotSent,
    Replied,
    Unreadable,
    Unsendable,
    command_complete,
    commands_claim,
    discreet,
)
from csms.services.secrets import without
from csms.services.threads import in_thread
from ocpp_soap.client import Caller, make_caller

logger = logging.getLogger(__name__)

SWEEP = 1.0
"""Seconds after which commands are looked for without a wake-up."""
PAUSE = 0.2
"""Seconds between a claim and the call: small firmware serves one socket, and must first have
closed the one on which it was answered."""
MOST_AT_ONCE = 1_000
"""Calls under way at a time; a claim takes no more than there is room for."""


Claim = Callable[..., list[Claimed]]
Complete = Callable[..., None]


class Recorder(Protocol):
    """What this loop needs of `csms.services.inbox.Inbox`."""

    def record(self, entry: LogEntry) -> None: ...


class Delivery:
    """The delivery loop of one process. `claim` and `complete` are those of the services."""

    def __init__(
        self,
        *,
        inbox: Recorder,
        caller: Caller | None = None,
        claim: Claim = commands_claim,
        complete: Complete = command_complete,
        pause: float = PAUSE,
        most_at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._inbox = inbox
        self._caller = caller or make_caller()
        self._claim = claim
        self._complete = complete
        self._pause = pause
        self._most_at_once = most_at_once
        self._under_way: set[asyncio.Task[None]] = set()
        self._claiming = asyncio.Lock()
        self._finishing = False

    async def run(self) -> None:
        """Deliver until cancelled; then give up what is under way and say so."""
        wake = bus.subscribe("commands soap")
        try:
            while True:
                try:
                    await self._sweep()
                except Exception:  # the database is away: the commands are still there later
                    logger.exception("SOAP commands could not be claimed")
                await wake.wait(SWEEP)
        finally:
            bus.unsubscribe("commands soap", wake)
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._caller.close()

    async def finish(self, within: float) -> None:
        """Claim nothing more, and wait for the answers to what was sent, `within` seconds."""
        self._finishing = True
        async with self._claiming:
            tasks = list(self._under_way)
        if tasks:
            await asyncio.wait(tasks, timeout=within)

    async def _sweep(self) -> None:
        async with self._claiming:
            room = self._most_at_once - len(self._under_way)
            if room > 0 and not self._finishing:
                await self._send_due(room)

    async def _send_due(self, room: int) -> None:
        claimed = await in_thread(self._claim, transport="soap", limit=room, now=datetime.now(UTC))
        for each in claimed:
            task = asyncio.create_task(self._deliver(each))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # The clock will call the command timed out.
            logger.error("The outcome of a command was not kept", exc_info=task.exception())

    async def _deliver(self, claimed: Claimed) -> None:
        """One command from its claim to its completion."""
        about(
            charge_point=claimed.charger.identity,
            command_id=claimed.command_id,
            message_id=claimed.message_id,
        )
        started = time.monotonic()
        answer: Answer = Unsendable("It could not be written as an envelope.")
        text = raw = ""
        try:
            text = self._caller.build(claimed)
            answer = NotSent("The process was stopped before it was sent.")
            await asyncio.sleep(self._pause)
            started = time.monotonic()
            answer = NoAnswer("The process was stopped while it waited for the answer.")
            answer, raw = await self._caller.call(claimed, text)
            answer = discreet(answer, claimed.secrets)
        except Exception:
            logger.exception("%s could not be sent to %s", claimed.action, claimed.charger.identity)
            if not isinstance(answer, Unsendable):
                answer = NoAnswer("An internal error occurred while it was sent.")
        finally:  # also when the process is being stopped
            self._inbox.record(_entry(claimed, answer, text, raw, time.monotonic() - started))
            await patiently(
                self._complete,
                command_id=claimed.command_id,
                answer=answer,
                now=datetime.now(UTC),
            )


def _entry(claimed: Claimed, answer: Answer, text: str, raw: str, seconds: float) -> LogEntry:
    notes: list[str] = []
    if isinstance(answer, Replied):
        notes = notes_of_reply(answer.reply, answer.notes, claimed.secrets)
    return LogEntry(
        charger_pk=claimed.charger.pk,
        identity=claimed.charger.identity,
        transport="soap",
        direction="out",
        action=claimed.action,
        message_id=claimed.message_id,
        request=without(text, claimed.secrets),
        answer=without(raw, claimed.secrets),
        duration_ms=seconds * 1000,
        error=_problem(answer),
        notes=notes,
        at=datetime.now(UTC),
    )


def _problem(answer: Answer) -> str:
    """Why the command has no reply, "" when it has."""
    match answer:
        case CallFailed(code, description, _):
            return f"{code}: {description}"[:255]
        case NoAnswer(why) | NotSent(why) | Unsendable(why) | Unreadable(_, why):
            return why[:255]
        case _:
            return ""
