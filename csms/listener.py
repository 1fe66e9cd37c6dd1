"""Accepts TLS connections: counted and paced before their handshake, which is what costs.

The event loop's own servers would neither count a socket whose handshake hangs, nor change their
certificates while they listen.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from csms.conf import Settings
from csms.gate import Gate, Pace
from csms.services.peers import plain

logger = logging.getLogger("csms.listener")

HANDSHAKE_SECONDS = 10.0
SHUTDOWN_SECONDS = 5.0
"""Seconds that a client may take to end TLS in good order."""
REST_SECONDS = 1.0
"""Pause when no more sockets can be had (F20)."""
USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Protocols = Callable[[], asyncio.BaseProtocol]


class TlsListener:
    """Hands each connection of a listening socket to a protocol, once TLS is agreed.

    `context` is asked at each connection. `protocols` makes the protocol; connections are its own
    to count, this counts those before and in their handshake.
    """

    def __init__(
        self,
        listening: socket.socket,
        *,
        context: Callable[[], ssl.SSLContext],
        protocols: Protocols,
        settings: Settings,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._listening = listening
        self._context = context
        self._protocols = protocols
        self._seconds = handshake_seconds
        self._gate = Gate(settings)
        self._rate = settings.accept_rate
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._listening.getsockname()[1]
        return port

    def start(self) -> None:
        """Accept from now on."""
        self._accepting = asyncio.create_task(self._accept(), name="TLS listener")

    async def close(self) -> None:
        """Accept no more; handshakes that are under way are given up."""
        if self._accepting is None:
            return
        ending = {self._accepting, *self._handshakes}
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)
        self._accepting = None
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        pace = Pace(self._rate)
        while True:
            try:
                accepted, address = await loop.sock_accept(self._listening)
            except OSError as error:
                if error.errno in USED_UP:
                    logger.error("No connection can be accepted: %s.", error.strerror)
                    await asyncio.sleep(REST_SECONDS)
                continue
            who = plain(str(address[0]))
            if not self._gate.enter(who) or self._gate.refusal(who):
                self._gate.leave(who)
                accepted.close()
                continue
            task = loop.create_task(self._shake_hands(accepted, who))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)
            # F11: who comes next waits in the system's queue, before anything was computed.
            wait = pace.wait(loop.time())
            if wait:
                await asyncio.sleep(wait)

    async def _shake_hands(self, accepted: socket.socket, who: str) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocols,
                accepted,
                ssl=self._context(),
                ssl_handshake_timeout=self._seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except OSError as error:  # ssl.SSLError and time-outs are among them
            reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error
            logger.info("No TLS handshake with %s: %s", who, str(reason)[:200])
        finally:
            self._gate.leave(who)
