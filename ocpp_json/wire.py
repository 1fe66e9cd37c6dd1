"""One WebSocket of the server: websockets' connection with our keep-alive and our limits.

websockets' own keep-alive holds a task for each connection and counts pongs only; here a timer
does, and everything that the peer sends is a sign of life.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, Event
from websockets.typing import BytesLike

from csms.gate import Gate
from csms.services import refusals
from csms.services.facts import ChargerFacts
from csms.services.peers import NOBODY, Peer, last_headers, peer_of, plain

log = logging.getLogger("ocpp_json")

WRITE_TIMEOUT = 10.0
"""Seconds that a peer may take to read what it is sent."""

AT_ONCE = 16 * 1024
"""Characters that are sent without waiting until the peer has read them."""

MOST_UNREAD = 256 * 1024
"""Bytes that may wait for a peer that sends pings but reads nothing."""

MOST_HEAD = 16 * 1024
"""Bytes of a handshake; websockets would take 128 lines of 8 KiB."""

TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n"


class Wire(ServerConnection):
    """A server's WebSocket: counted at the gate, pinged by a timer, bounded in what waits."""

    def __init__(self, *arguments: Any, gate: Gate, interval: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gate = gate
        self.interval = interval
        self.address = ""
        """The other end of the socket, or whom a listed proxy forwards."""
        self.peer: Peer = NOBODY
        """Who connects; known once `meet` was told the handshake's headers."""
        self.facts: ChargerFacts | None = None
        self.offered = False
        """Whether the handshake named subprotocols."""
        self.direct: Callable[[BytesLike], bool] | None = None
        """Takes a whole text message at once, or says that it must wait its turn in `recv`."""
        self._counted = False
        self._head = 0
        self._heard = True
        self._timer: asyncio.TimerHandle | None = None
        self._dismissed: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.address = plain(str(peer[0])) if isinstance(peer, tuple) else ""
        super().connection_made(transport)
        self._counted = True
        if not self.gate.enter(self.address):
            refusals.note(refusals.TOO_MANY_CONNECTIONS, "OCPP-J", address=self.address)
            self.transport.abort()

    def meet(self, headers: Headers) -> Peer:
        """Learn from the handshake's headers who connects; behind a proxy it is counted anew."""
        tls = self.transport.get_extra_info("ssl_object")
        self.peer = peer_of(
            last_headers(headers.raw_items()),
            address=self.address,
            tls=tls is not None,
            certificate=None if tls is None else tls.getpeercert(binary_form=True),
            proxies=self.gate.proxies,
        )
        if self._counted and self.peer.address != self.address:
            self.gate.leave(self.address)
            self.gate.enter(self.peer.address)
        self.address = self.peer.address
        return self.peer

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._counted = False
        self.gate.leave(self.address)
        if self.request is None:
            why = self.protocol.handshake_exc or exc or "nothing was asked in time"
            log.info("No handshake from %s: %s.", self.address, str(why)[:200])
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self.request is None:
            self._head += len(data)
            if self._head > MOST_HEAD:
                log.warning("The handshake from %s is too long.", self.address)
                info = "the handshake is too long"
                refusals.note(refusals.INVALID_MESSAGES, info, address=self.address)
                self.transport.write(TOO_LONG)
                self.transport.close()
                return
        super().data_received(data)
        if self.paused and self.transport.get_write_buffer_size() > MOST_UNREAD:
            log.warning("%s reads nothing: its connection is dropped.", self.address)
            self.transport.abort()

    def process_event(self, event: Event) -> None:
        """A whole message before which none waits need not go through the queue to the task that
        reads it, which took a fifth of the event loop's time."""
        if (
            self.direct is not None
            and isinstance(event, Frame)
            and event.opcode is Opcode.TEXT
            and event.fin
            and not len(self.recv_messages.frames)
            and self.direct(event.data)
        ):
            return
        super().process_event(event)

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

    def dismiss(self) -> None:
        """Its client certificate was revoked."""
        self._dismissed = self.loop.create_task(
            self.close(CloseCode.POLICY_VIOLATION, "The certificate was revoked.")
        )

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

    def send_at_once(self, text: str) -> bool:
        """Send without waiting; false when something is in the way, and nothing was sent.

        What `send` does otherwise, without its timer and contexts, which every answer would pay
        for. When this fills the buffer, the next one waits.
        """
        small = len(text) <= AT_ONCE and not self.paused and self.send_in_progress is None
        if not small or self.protocol.state is not OPEN:
            return False
        self.protocol.send_text(text.encode())
        self.send_data()
        return True

    async def send_text(self, text: str) -> None:
        """Send within WRITE_TIMEOUT; a peer that does not read is dropped (ConnectionClosed)."""
        if self.send_at_once(text):
            return
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self.send(text)
        except TimeoutError:
            log.warning("%s does not read: its connection is dropped.", self.address)
            self.transport.abort()
            await self.wait_closed()
            raise self.close_exc from None
