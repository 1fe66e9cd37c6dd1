"""One WebSocket of the server: websockets' connection with our keep-alive and our limits.

websockets' own keep-alive holds a task for each connection and counts pongs only; here a timer
does, and everything that the peer sends is a sign of life.
"""

import asyncio
import logging
import random
from collections import Counter
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.protocol import OPEN

from csms.conf import Settings
from csms.services.facts import ChargerFacts

log = logging.getLogger("ocpp_json")

WRITE_TIMEOUT = 10.0
"""Seconds that a peer may take to read what it is sent."""

AT_ONCE = 16 * 1024
"""Characters that are sent without waiting until the peer has read them."""

MOST_UNREAD = 256 * 1024
"""Bytes that may wait for a peer that sends pings but reads nothing."""

ROOM = 256
"""Sockets above the caps that are still answered 503; beyond them they are dropped at once."""


class Gate:
    """Counts sockets, all and by address, from the moment they are accepted (F20)."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.max_connections
        self._most_each = settings.max_connections_per_address
        self._all = 0
        self._by_address: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a socket; false when it should be dropped without a word."""
        self._all += 1
        self._by_address[address] += 1
        return self._all <= self._most + ROOM and self._by_address[address] <= (
            self._most_each + ROOM
        )

    def leave(self, address: str) -> None:
        self._all -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def refusal(self, address: str) -> str:
        """Why a counted socket must not become a connection; empty when it may."""
        if self._all > self._most:
            return "There are too many connections."
        if self._by_address[address] > self._most_each:
            return "There are too many connections from this address."
        return ""


class Wire(ServerConnection):
    """A server's WebSocket: counted at the gate, pinged by a timer, bounded in what waits."""

    def __init__(self, *arguments: Any, gate: Gate, interval: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gate = gate
        self.interval = interval
        self.address = ""
        self.facts: ChargerFacts | None = None
        self.offered = False
        """Whether the handshake named subprotocols."""
        self._heard = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        super().connection_made(transport)
        if not self.gate.enter(self.address):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.gate.leave(self.address)
        if self.request is None:
            why = self.protocol.handshake_exc or exc or "nothing was asked in time"
            log.info("No handshake from %s: %s.", self.address, str(why)[:200])
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        super().data_received(data)
        if self.paused and self.transport.get_write_buffer_size() > MOST_UNREAD:
            log.warning("%s reads nothing: its connection is dropped.", self.address)
            self.transport.abort()

    def opened(self) -> None:
        """The handshake is complete: forget its headers (memory), begin to ping."""
        self.request = Request("", Headers())
        self.response = None
        # Spread, so that chargers that came together are not pinged together.
        first = self.interval * random.uniform(0.5, 1)  # noqa: S311  no secret
        self._timer = self.loop.call_later(first, self._beat)

    def _beat(self) -> None:
        """F12: a peer that sent nothing since the last ping is gone: within two intervals."""
        if self.protocol.state is not OPEN:
            return
        if not self._heard and not self.recv_messages.paused:
            log.info("%s answers no ping: its connection is dropped.", self.address)
            self.protocol.fail(CloseCode.INTERNAL_ERROR, "no answer to ping")
            self.send_data()
            self.transport.abort()
            return
        self._heard = False
        self.protocol.send_ping(b"")
        self.send_data()
        self._timer = self.loop.call_later(self.interval, self._beat)

    async def alive(self, seconds: float) -> bool:
        """Whether the peer answers a ping within so many seconds."""
        if self.recv_messages.paused:  # we do not read: its answer could not be seen
            return True
        try:
            async with asyncio.timeout(seconds):
                await (await self.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def send_text(self, text: str) -> None:
        """Send within WRITE_TIMEOUT; a peer that does not read is dropped (ConnectionClosed)."""
        small = len(text) <= AT_ONCE and not self.paused and self.send_in_progress is None
        if small and self.protocol.state is OPEN:
            # What `send` does when nothing is in its way, without its timer and contexts, which
            # every answer would pay for. When this fills the buffer, the next one waits.
            self.protocol.send_text(text.encode())
            self.send_data()
            return
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self.send(text)
        except TimeoutError:
            log.warning("%s does not read: its connection is dropped.", self.address)
            self.transport.abort()
            await self.wait_closed()
            raise self.close_exc from None
