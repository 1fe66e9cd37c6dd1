"""Delivers commands to the charge points that are connected here, and what they answer back.

The outbox is in the database: a wake-up (`bus`) or the sweep each second claims what is due for
the charge points of this gateway, each command is sent in a task of its own, and whatever comes of
it is stored. What was sent and not answered is never sent again from here: its outcome is unknown.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any

from csms.logs import about
from csms.ocpp import registry
from csms.ocpp.base import reply_type
from csms.ocpp.errors import ProtocolError
from csms.services import bus, late_answers, outbox
from csms.services.late_answers import Late
from csms.services.log import LogEntry, notes_of_reply
from csms.services.outages import patiently
from csms.services.outbox import (
    CallFailed,
    Claimed,
    NoAnswer,
    NotSent,
    Replied,
    Unreadable,
    Unsendable,
    discreet,
)
from csms.services.secrets import without
from csms.services.threads import in_thread
from ocpp_json import connection as live
from ocpp_json import errors, frames
from ocpp_json.connection import Connection
from ocpp_json.server import JsonServer
from ocpp_json.session import Answer

log = logging.getLogger("ocpp_json")

SWEEP_SECONDS = 1.0
"""A lost wake-up costs no more than this."""

GATHER_SECONDS = 0.02
"""Wake-ups within this time are one claim."""

MOST_LATE = 8
"""Answers of one charge point at a time whose command is looked for in the database."""

What = outbox.Answer
Claim = Callable[..., list[Claimed]]
Complete = Callable[..., None]
Find = Callable[..., Late | None]


class Delivery:
    """The delivery loop of one JsonServer. `claim`, `complete` and `find` are the services'."""

    def __init__(
        self,
        server: JsonServer,
        *,
        claim: Claim = outbox.commands_claim,
        complete: Complete = outbox.command_complete,
        find: Find = late_answers.command_answered,
    ) -> None:
        self._server = server
        self._timeout = float(server.settings.call_timeout)
        self._claim = claim
        self._complete = complete
        self._find = find
        self._tasks: set[asyncio.Task[None]] = set()
        self._delivering: dict[str, asyncio.Task[None]] = {}
        self._looking: Counter[int] = Counter()
        self._claiming = asyncio.Lock()
        self._finishing = False
        server.late = self._late

    async def run(self) -> None:
        """Deliver until cancelled; then end what is being delivered."""
        subscription = bus.subscribe("commands json")
        rested_until = 0.0
        try:
            while True:
                await subscription.wait(SWEEP_SECONDS)
                await asyncio.sleep(rested_until - time.monotonic())
                rested_until = time.monotonic() + GATHER_SECONDS
                try:
                    await self._sweep()
                except Exception:
                    log.exception("Commands could not be claimed; trying again.")
        finally:
            bus.unsubscribe("commands json", subscription)
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def finish(self, within: float) -> None:
        """Claim nothing more, and wait for the answers to what was sent, `within` seconds."""
        self._finishing = True
        async with self._claiming:
            tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=within)

    async def _sweep(self) -> None:
        """Claim what is due for the charge points that are connected here, and send it."""
        async with self._claiming:
            if not self._finishing and self._server.connections:
                await self._send_due()

    async def _send_due(self) -> None:
        claimed = await in_thread(
            self._claim,
            transport="json",
            owner=self._server.gateway,
            now=datetime.now(UTC),
        )
        for command in claimed:
            delivery = self._spawn(self._deliver(command))
            self._delivering[command.message_id] = delivery
            delivery.add_done_callback(partial(self._delivered, command.message_id))

    def _delivered(self, message_id: str, _: asyncio.Task[None]) -> None:
        del self._delivering[message_id]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _deliver(self, command: Claimed) -> None:
        """Send one command and store what becomes of it."""
        about(
            charge_point=command.charger.identity,
            command_id=command.command_id,
            message_id=command.message_id,
        )
        try:
            what = await self._call(command)
        except asyncio.CancelledError:
            what = NoAnswer("The gateway was stopped before the answer.")
            await self._store(command, what)
            raise
        except Exception:
            log.exception("Command %d could not be delivered.", command.command_id)
            what = NoAnswer("An internal error occurred.")
        if isinstance(what, NotSent):  # it is claimed again at once when it is put back
            await asyncio.sleep(SWEEP_SECONDS)
        await self._store(command, what)

    async def _call(self, command: Claimed) -> What:
        charger = command.charger
        connection = self._server.connections.get(charger.pk)
        if connection is None or connection.facts.epoch != charger.epoch:
            return NotSent("The charge point is not connected.")
        try:
            text = frames.call(command.message_id, command.request)
        except ProtocolError as error:
            why = errors.description(error)
            return Unsendable(f"It could not be written as a message: {why}")
        at, began = datetime.now(UTC), time.monotonic()
        try:
            answer = await connection.call(command.message_id, text, self._timeout)
        except live.NotSent as why:
            return NotSent(str(why))
        except live.NoAnswer as why:
            what: What = NoAnswer(str(why))
            self._record(command, connection, text, "", None, str(why), at)
            return what
        duration = (time.monotonic() - began) * 1000
        what = discreet(understood(command, answer), command.secrets)
        self._record(command, connection, text, answer.raw, duration, _problem(what), at, what)
        return what

    def _late(self, connection: Connection, message_id: str, answer: Answer) -> None:
        """An answer that no call waits for still tells what became of its command (F10)."""
        pk = connection.facts.pk
        if self._looking[pk] >= MOST_LATE or not late_answers.may_be_ours(message_id):
            connection.ignore(answer)
            return
        self._looking[pk] += 1
        self._spawn(self._look_for(connection, message_id, answer))

    async def _look_for(self, connection: Connection, message_id: str, answer: Answer) -> None:
        """Store a late answer, if there is a command of this charge point that it answers."""
        charger = connection.facts
        about(charge_point=charger.identity, message_id=message_id)
        try:
            if delivery := self._delivering.get(message_id):
                await asyncio.wait([delivery])  # a second answer must not overtake the first
            command = await patiently(self._find, charger=charger, message_id=message_id)
            if command is None:
                connection.ignore(answer)
                return
            what = late_answers.discreet_late(understood(command, answer), command.secrets)
            self._record(
                command,
                connection,
                "",
                answer.raw if command.secrets is not None else "",
                None,
                "The answer came late.",
                datetime.now(UTC),
                what,
            )
            await self._store(command, what)
        except Exception:
            log.exception("The command of a late answer could not be looked for.")
        finally:
            self._looking[charger.pk] -= 1
            if not self._looking[charger.pk]:
                del self._looking[charger.pk]

    async def _store(self, command: Claimed | Late, what: What) -> None:
        try:
            await patiently(
                self._complete, command_id=command.command_id, answer=what, now=datetime.now(UTC)
            )
        except Exception:
            # The row stays 'sent'; the services' clock ends it as 'outcome unknown'.
            log.exception("What became of command %d could not be stored.", command.command_id)

    def _record(
        self,
        command: Claimed | Late,
        connection: Connection,
        request: str,
        answer: str,
        duration: float | None,
        error: str,
        at: datetime,
        what: What | None = None,
    ) -> None:
        notes: list[str] = []
        secrets = command.secrets or frozenset()
        if isinstance(what, Replied):
            notes = notes_of_reply(what.reply, what.notes, secrets)
        self._server.inbox.record(
            LogEntry(
                charger_pk=command.charger.pk,
                identity=command.charger.identity,
                transport="json",
                direction="out",
                action=command.action,
                message_id=command.message_id,
                request=without(request, secrets),
                answer=without(answer, secrets),
                duration_ms=duration,
                error=error,
                notes=notes,
                remote_address=connection.wire.address,
                at=at,
            )
        )


def understood(command: Claimed | Late, answer: Answer) -> What:
    """An answer's frame as the services know it: its reply decoded, strictly then tolerantly."""
    if isinstance(answer, frames.CallError):
        return CallFailed(answer.code, answer.description, answer.raw)
    if isinstance(answer, frames.Unreadable):
        return Unreadable(answer.raw, answer.error.description)
    declared: type[Any] = reply_type(registry.ACTIONS[command.action])
    try:
        reading = frames.read(
            declared,
            answer.payload,
            strict=command.charger.strict,
            received_at=datetime.now(UTC),
            zone=command.charger.zone,
        )
    except ProtocolError as error:
        return Unreadable(answer.raw, errors.description(error))
    return Replied(reading.request, answer.raw, reading.notes)


def _problem(what: What) -> str:
    match what:
        case CallFailed(code, description, _):
            return f"{code}: {description}"
        case Unreadable(_, why) | Unsendable(why):
            return why
    return ""
