"""Delivers commands to the charge points that are connected here, and what they answer back.

The outbox is in the database: a wake-up (`bus`) or the sweep each second claims what is due for
the charge points of this gateway, each command is sent in a task of its own, and whatever comes of
it is stored. What was sent and not answered is never sent again from here: its outcome is unknown.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from csms.logs import about
from csms.ocpp.base import reply_type
from csms.ocpp.errors import ProtocolError
from csms.services import bus, outbox
from csms.services.log import LogEntry, notes_of_reply
from csms.services.outages import patiently
from csms.services.outbox import (
    CallFailed,
    Claimed,
    NoAnswer,
    NotSent,
    Replied,
    Unreadable,
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

REMEMBERED = 4096
"""Commands that were given up and whose answer may still come."""

What = outbox.Answer
Claim = Callable[..., list[Claimed]]
Complete = Callable[..., None]


class Delivery:
    """The delivery loop of one JsonServer. `claim` and `complete` are those of the services."""

    def __init__(
        self,
        server: JsonServer,
        *,
        claim: Claim = outbox.commands_claim,
        complete: Complete = outbox.command_complete,
    ) -> None:
        self._server = server
        self._timeout = float(server.settings.call_timeout)
        self._claim = claim
        self._complete = complete
        self._tasks: set[asyncio.Task[None]] = set()
        self._given_up: OrderedDict[str, tuple[Claimed, asyncio.Task[None]]] = OrderedDict()
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
            task = self._spawn(self._deliver(command))
            self._given_up[command.message_id] = (command, task)
        while len(self._given_up) > REMEMBERED:
            self._given_up.popitem(last=False)

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
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
        if not isinstance(what, NoAnswer):
            self._given_up.pop(command.message_id, None)
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
            return CallFailed(errors.code(error), errors.description(error), "")
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
        what = discreet(understood(command, answer, strict=charger.strict), command.secrets)
        self._record(command, connection, text, answer.raw, duration, _problem(what), at, what)
        return what

    def _late(self, connection: Connection, message_id: str, answer: Answer) -> None:
        """An answer after its call was given up still tells what became of the command (F10)."""
        known = self._given_up.pop(message_id, None)
        if known is None:
            return
        command, delivering = known
        strict = command.charger.strict
        what = discreet(understood(command, answer, strict=strict), command.secrets)
        self._record(
            command,
            connection,
            "",
            answer.raw,
            None,
            "The answer came late.",
            datetime.now(UTC),
            what,
        )
        self._spawn(self._store_after(delivering, command, what))

    async def _store_after(
        self, delivering: asyncio.Task[None], command: Claimed, what: What
    ) -> None:
        """Store a late answer, after its absence was stored."""
        if not delivering.done():
            await asyncio.wait([delivering])
        await self._store(command, what)

    async def _store(self, command: Claimed, what: What) -> None:
        try:
            await patiently(
                self._complete, command_id=command.command_id, answer=what, now=datetime.now(UTC)
            )
        except Exception:
            # The row stays 'sent'; the services' clock ends it as 'outcome unknown'.
            log.exception("What became of command %d could not be stored.", command.command_id)

    def _record(
        self,
        command: Claimed,
        connection: Connection,
        request: str,
        answer: str,
        duration: float | None,
        error: str,
        at: datetime,
        what: What | None = None,
    ) -> None:
        notes: list[str] = []
        if isinstance(what, Replied):
            notes = notes_of_reply(what.reply, what.notes, command.secrets)
        self._server.inbox.record(
            LogEntry(
                charger_pk=command.charger.pk,
                identity=command.charger.identity,
                transport="json",
                direction="out",
                action=command.action,
                message_id=command.message_id,
                request=without(request, command.secrets),
                answer=without(answer, command.secrets),
                duration_ms=duration,
                error=error,
                notes=notes,
                remote_address=connection.wire.address,
                at=at,
            )
        )


def understood(command: Claimed, answer: Answer, *, strict: bool) -> What:
    """An answer's frame as the services know it: its reply decoded, strictly then tolerantly."""
    if isinstance(answer, frames.CallError):
        return CallFailed(answer.code, answer.description, answer.raw)
    if isinstance(answer, frames.Unreadable):
        return Unreadable(answer.raw, answer.error.description)
    declared: type[Any] = reply_type(type(command.request))
    try:
        reading = frames.read(
            declared,
            answer.payload,
            strict=strict,
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
        case Unreadable(_, why):
            return why
    return ""
