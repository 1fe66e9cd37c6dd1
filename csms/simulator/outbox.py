"""Transaction messages: kept and delivered in order, however long the central system is away.

3.7: "The Charge Point SHOULD deliver transaction-related messages to the Central System in
chronological order as soon as possible", and 3.7.1 for those that the central system answers
with an error: they are tried TransactionMessageAttempts times, then given up.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from csms.ocpp.base import Payload, Request
from csms.simulator.clock import Clock
from csms.simulator.configuration import Configuration
from csms.simulator.transport import CallFailed, NoAnswer

Send = Callable[[Request[Any]], Awaitable[Payload]]


@dataclass(slots=True)
class _Waiting:
    """`make` is asked anew before each attempt: it knows the transactionId by then."""

    make: Callable[[], Request[Any]]
    heard: Callable[[Payload | None], None]
    done: asyncio.Future[Payload]


class Outbox:
    """The queue, and the task that empties it whenever `may_send` returns."""

    def __init__(
        self,
        *,
        send: Send,
        may_send: Callable[[], Awaitable[None]],
        clock: Clock,
        configuration: Configuration,
        given_up: Callable[[str], None],
    ) -> None:
        self._send = send
        self._may_send = may_send
        self._clock = clock
        self._configuration = configuration
        self._given_up = given_up
        self._waiting: deque[_Waiting] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(
        self,
        make: Callable[[], Request[Any]],
        heard: Callable[[Payload | None], None] = lambda reply: None,
    ) -> asyncio.Future[Payload]:
        """Queue a message; the future holds its reply, or CallFailed when it is given up.

        `heard` is told the same (None: given up) before the next message is made.
        """
        done: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_seen)
        self._waiting.append(_Waiting(make, heard, done))
        self._empty.clear()
        self._filled.set()
        return done

    async def emptied(self, seconds: float) -> bool:
        """Wait until everything is delivered (or given up), but not for ever: is it?"""
        return await self._clock.wait_for(self._empty, seconds)

    async def run(self) -> None:
        """Deliver, for ever."""
        while True:
            await self._filled.wait()
            while self._waiting:
                await self._deliver(self._waiting[0])
                self._waiting.popleft()
            self._filled.clear()
            self._empty.set()

    async def _deliver(self, message: _Waiting) -> None:
        """Until it is answered; errors count as attempts, silence and absence do not."""
        failures = 0
        interval = self._configuration.whole("TransactionMessageRetryInterval")
        while True:
            await self._may_send()
            request = message.make()
            try:
                reply = await self._send(request)
            except NoAnswer:
                await self._clock.sleep(interval)
            except CallFailed as error:
                failures += 1
                if failures >= self._configuration.whole("TransactionMessageAttempts"):
                    self._given_up(f"{type(request).__name__} given up: {error}")
                    message.heard(None)
                    if not message.done.done():
                        message.done.set_exception(error)
                    return
                await self._clock.sleep(interval * failures)
            else:
                message.heard(reply)
                if not message.done.done():
                    message.done.set_result(reply)
                return


def _seen(done: asyncio.Future[Payload]) -> None:
    """Nobody need ask for the outcome: `given_up` has told of it."""
    if not done.cancelled():
        done.exception()
