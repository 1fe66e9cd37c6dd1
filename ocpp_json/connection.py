"""One live charge point: its WebSocket, the state of its calls, and who it is."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import OPEN
from websockets.typing import BytesLike

from csms.ocpp.errors import ProtocolError, Unavailable
from csms.services import refusals
from csms.services.facts import ChargerFacts
from csms.services.inbox import Incoming, LogEntry, Outcome, Superseded
from csms.services.jobs import Done
from ocpp_json import frames
from ocpp_json.session import (
    Answer,
    Answered,
    Asked,
    Busy,
    Ignored,
    Repeated,
    Request,
    Session,
)
from ocpp_json.wire import Wire

log = logging.getLogger("ocpp_json")

MOST_WAITING = 8
"""Calls of one charger that may wait for their answer before no more are read."""

LONGEST_ACTION = 64
LONGEST_ID = 255
LONGEST_IGNORED = 4096
"""Characters that the log keeps of an action, of a message id, of a frame that was ignored."""


BREACHES = frozenset({CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA, CloseCode.MESSAGE_TOO_BIG})
"""Why websockets closes by itself: broken framing, text that is no UTF-8, too long a message."""


class Inbox(Protocol):
    """What this edge needs of csms.services.inbox.Inbox."""

    @property
    def full(self) -> bool: ...

    async def submit(self, incoming: Incoming) -> Outcome: ...

    def hand_over(
        self, incoming: Incoming, loop: asyncio.AbstractEventLoop, done: Done
    ) -> None: ...

    def record(self, entry: LogEntry) -> None: ...


class NotSent(Exception):
    """The call was certainly not sent."""


class NoAnswer(Exception):
    """The call was sent, or may have been; what became of it is unknown."""


Late = Callable[["Connection", str, Answer], None]
"""Told of an answer that no call on its connection waits for: connection, message id, answer."""


class Connection:
    """A charge point that is connected and admitted."""

    __slots__ = (
        "_deciding",
        "_done",
        "_ours",
        "_session",
        "_worker",
        "facts",
        "flaps",
        "inbox",
        "late",
        "since",
        "unavailable",
        "wire",
    )

    def __init__(self, wire: Wire, facts: ChargerFacts, inbox: Inbox, late: Late) -> None:
        self.wire = wire
        self.facts = facts
        self.inbox = inbox
        self.late = late
        self.since = wire.loop.time()
        self.flaps = 0
        """How often in a row a connection of this charge point was replaced soon after."""
        self.unavailable = False
        """It was closed because nothing could be stored."""
        self._session = Session(strict=facts.strict)
        self._deciding = False
        """A call was handed to the inbox and `_decided` is to come."""
        self._done: asyncio.Future[None] | None = None
        """Resolved when it came, if somebody waits for that."""
        self._worker: asyncio.Task[None] | None = None
        """Answers what cannot be answered at once."""
        self._ours: asyncio.Future[Answer] | None = None

    async def run(self) -> None:
        """Read until the connection is closed."""
        self.wire.direct = self._take
        try:
            while True:
                self._received(await self.wire.recv(decode=True))
                await self._room()
        except ConnectionClosed as ended:
            self._record_breach(ended)
        finally:
            self.wire.direct = None
            if self._ours is not None:
                self._ours.cancel()
            await self._quiet()

    def _take(self, data: BytesLike) -> bool:
        """A message just received, read at once; false while a call before it is not answered, and
        for what is no text."""
        if self._deciding or self._worker is not None:
            return False
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            return False
        self._received(text)
        return True

    def _received(self, text: str) -> None:
        event = self._session.receive(text)
        match event:
            case Asked():
                if self._worker is None and not self._deciding:
                    self._decide()
            case Repeated(request):
                self._record(request, notes=("repeated while in flight: one execution",))
            case Answered(message_id, answer, late):
                if late:
                    self.late(self, message_id, answer)
                elif self._ours is not None and not self._ours.done():
                    self._ours.set_result(answer)
            case Ignored(frame, why):
                self._record(frame, error=why)

    async def _room(self) -> None:
        """Backpressure: read on when what was asked is answered, sooner or later as the inbox
        can take it. What is not read stays in the socket, and the charger notices."""
        if self._session.waiting and (self._session.waiting >= MOST_WAITING or self.inbox.full):
            await self._quiet()

    async def _quiet(self) -> None:
        """Wait until nothing is being decided or answered."""
        if self._deciding:
            if self._done is None:
                self._done = self.wire.loop.create_future()
            await asyncio.wait([self._done])
        if self._worker is not None:
            await asyncio.wait([self._worker])

    def _decide(self) -> None:
        """Have the next call decided: without a task of its own, if nothing is in the way."""
        request = self._session.next
        assert request is not None
        if request.action == "DataTransfer":
            self._answer()
            return
        try:
            self.inbox.hand_over(self._incoming(request), self.wire.loop, self._decided)
            self._deciding = True
        except Exception as error:
            self._answer(error)

    def _decided(self, result: Outcome | BaseException) -> None:
        """What became of the call that was handed over."""
        self._deciding = False
        if (
            isinstance(result, Outcome)
            and self._session.alone
            and self.wire.send_at_once(result.text)
        ):
            self._session.answered()
        else:
            self._answer(result)
        if self._done is not None:
            self._done.set_result(None)
            self._done = None

    def _answer(self, result: Outcome | BaseException | None = None) -> None:
        self._worker = self.wire.loop.create_task(self._answer_calls(result))

    async def _answer_calls(self, result: Outcome | BaseException | None) -> None:
        """Answer the calls of the charge point, one after another; `result`: what became of the
        first one, if that is decided."""
        try:
            if isinstance(result, BaseException):
                raise result
            while (request := self._session.next) is not None and self.wire.state is OPEN:
                outcome = result or await self.inbox.submit(self._incoming(request))
                result = None
                for _ in range(self._session.answered()):
                    await self.wire.send_text(outcome.text)
        except ConnectionClosed:
            pass  # it asks again on its next connection
        except Unavailable:
            self.unavailable = True
            # No CALLERROR: it would use up the charger's attempts, then it may drop the message.
            await self.wire.close(CloseCode.TRY_AGAIN_LATER, "Nothing can be stored now.")
        except Superseded:
            await self.wire.close(CloseCode.NORMAL_CLOSURE, "Replaced by a newer connection.")
        except Exception:
            known = {"message_id": getattr(self._session.next, "message_id", "")}
            log.exception("A message of %r could not be decided.", self.facts.identity, extra=known)
            await self.wire.close(CloseCode.INTERNAL_ERROR, "Internal error.")
        finally:
            self._worker = None

    def _incoming(self, request: Request) -> Incoming:
        """Decode what was asked; why it cannot be decoded is for the services to judge."""
        now = datetime.now(UTC)
        incoming = Incoming(
            charger=self.facts,
            identity=self.facts.identity,
            transport="json",
            action=request.action[:LONGEST_ACTION],
            message_id=request.message_id[:LONGEST_ID],
            raw=request.raw,
            request=None,
            remote_address=self.wire.address,
            encode=partial(frames.answer, request.echo),
            received_at=now,
        )
        if isinstance(request, frames.Unreadable):
            incoming.error = request.error
            return incoming
        incoming.notes = request.notes
        try:
            reading = frames.read(
                frames.declaration(request.action),
                request.payload,
                strict=self.facts.strict,
                received_at=now,
                zone=self.facts.zone,
            )
        except ProtocolError as error:
            incoming.error = error
        else:
            incoming.request = reading.request
            incoming.notes += reading.notes
        return incoming

    def ignore(self, answer: Answer) -> None:
        """An answer that belongs to no call of ours, for the log."""
        self._record(answer, error="It answers no call of ours.")

    def _record(
        self, frame: frames.Frame | None, *, error: str = "", notes: tuple[str, ...] = ()
    ) -> None:
        """A frame that has no answer, for the log; None when it could not be received."""
        self.inbox.record(
            LogEntry(
                charger_pk=self.facts.pk,
                identity=self.facts.identity,
                transport="json",
                direction="in",
                action=getattr(frame, "action", "")[:LONGEST_ACTION],
                message_id=getattr(frame, "message_id", "")[:LONGEST_ID],
                request=frame.raw[:LONGEST_IGNORED] if frame is not None else "",
                error=error[:LONGEST_ID],
                notes=notes,
                remote_address=self.wire.address,
                at=datetime.now(UTC),
            )
        )

    def _record_breach(self, ended: ConnectionClosed) -> None:
        """One line when we had to close: of the message that was the cause nothing can be kept."""
        sent = ended.sent
        if sent is None or ended.rcvd_then_sent or sent.code not in BREACHES:
            return
        why = f"Closed with {sent.code}: {sent.reason}"
        self._record(None, error=why)
        refusals.note(
            refusals.INVALID_MESSAGES,
            why,
            address=self.wire.address,
            identity=self.facts.identity,
            charger_pk=self.facts.pk,
        )

    # Calls of ours

    async def call(self, message_id: str, text: str, timeout: float) -> Answer:
        """Send a CALL and await what comes back.

        Raises NotSent, or NoAnswer after `timeout` seconds or when the connection ends before.
        """
        if self.wire.state is not OPEN:
            raise NotSent("The connection is closed.")
        try:
            self._session.expect(message_id)
        except Busy:
            raise NotSent("Another call is still outstanding.") from None
        ours: asyncio.Future[Answer] = self.wire.loop.create_future()
        self._ours = ours
        try:
            await self.wire.send_text(text)
            done, _ = await asyncio.wait([ours], timeout=timeout)
            if ours.cancelled():
                raise NoAnswer("The connection ended before the answer.")
            if done:
                return ours.result()
        except ConnectionClosed:
            raise NoAnswer("The connection ended while the call was sent.") from None
        finally:
            self._ours = None
        self._session.give_up()
        raise NoAnswer(f"There was no answer within {timeout:g} s.")

    # The end

    async def alive(self, seconds: float) -> bool:
        """Whether the charge point answers a ping within so many seconds."""
        return self.wire.state is OPEN and await self.wire.alive(seconds)

    async def close(self, code: int, reason: str) -> None:
        """Close; a charge point that does not answer is left after a few seconds."""
        await self.wire.close(code, reason)

    async def drain(self, seconds: float) -> None:
        """Take no more calls, answer those that wait (for so many seconds), close 1012 (F19)."""
        self._session.closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet()
        await self.wire.close(CloseCode.SERVICE_RESTART, "Restarting.")
