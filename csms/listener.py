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
from typing import Any, Protocol
from weakref import WeakSet

from csms.conf import Settings
from csms.gate import Gate, Pace
from csms.services import refusals
from csms.services.peers import plain

logger = logging.getLogger("csms.listener")

HANDSHAKE_SECONDS = 10.0
SHUTDOWN_SECONDS = 5.0
"""Seconds that a client may take to end TLS in good order."""
REST_SECONDS = 1.0
"""Pause when no more sockets can be had (F20)."""
USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

OF_VERSION = frozenset({"UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "VERSION_TOO_HIGH"})
OF_SUITE = frozenset({"NO_SHARED_CIPHER", "NO_SUITABLE_SIGNATURE_ALGORITHM"})
"""OpenSSL's reasons for which the security extension has types of events of their own."""

REVOKED_EVERY = 5.0
"""Seconds between two looks whether there is a new revocation list."""


class Dismissable(Protocol):
    """A protocol of asyncio that can be told to end its connection."""

    transport: Any

    def dismiss(self) -> None: ...


Protocols = Callable[[], Any]
"""Makes protocols of asyncio; `Dismissable` ones where client certificates are asked for."""


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
        revoked: Callable[[bytes], bool] | None = None,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._listening = listening
        self._context = context
        self._protocols = protocols
        self._seconds = handshake_seconds
        self._gate = Gate(settings)
        self._rate = settings.accept_rate
        self._accepting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._handshakes: set[asyncio.Task[None]] = set()
        self._revoked = revoked
        self._certified: WeakSet[Dismissable] = WeakSet()
        """The connections with a client certificate."""

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._listening.getsockname()[1]
        return port

    def start(self) -> None:
        """Accept from now on."""
        self._accepting = asyncio.create_task(self._accept(), name="TLS listener")
        self._watching = asyncio.create_task(self._watch(), name="revoked certificates")

    async def close(self) -> None:
        """Accept no more; handshakes that are under way are given up."""
        if self._accepting is None or self._watching is None:
            return
        ending = {self._accepting, self._watching, *self._handshakes}
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
                refusals.note(refusals.TOO_MANY_CONNECTIONS, "before TLS", address=who)
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

    async def _watch(self) -> None:
        """After each change of the TLS files: end the connections whose certificate was revoked
        meanwhile (WP A00.FR.704)."""
        seen = self._context()
        while self._revoked is not None:
            await asyncio.sleep(REVOKED_EVERY)
            if self._context() is seen:
                continue
            seen = self._context()
            held = [(each, der) for each in self._certified if (der := _certificate(each))]
            for protocol, der in held:
                if await asyncio.to_thread(self._revoked, der):
                    who = plain(str((protocol.transport.get_extra_info("peername") or ("",))[0]))
                    info = "the certificate of an open connection was revoked"
                    logger.info("%s: %s.", who, info)
                    refusals.note("InvalidClientCertificate", info, address=who)
                    protocol.dismiss()

    async def _shake_hands(self, accepted: socket.socket, who: str) -> None:
        protocol = self._protocols()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                accepted,
                ssl=self._context(),
                ssl_handshake_timeout=self._seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
            if _certificate(protocol):
                self._certified.add(protocol)
        except OSError as error:  # ssl.SSLError and time-outs are among them
            reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error
            logger.info("No TLS handshake with %s: %s", who, str(reason)[:200])
            if kind := _kind(error):
                refusals.note(kind, str(reason)[:200], address=who)
        finally:
            self._gate.leave(who)


def _certificate(protocol: Any) -> bytes | None:
    """The client certificate (DER) of a connection over TLS."""
    tls = protocol.transport.get_extra_info("ssl_object")
    der: bytes | None = None if tls is None else tls.getpeercert(binary_form=True)
    return der


def _kind(error: OSError) -> str:
    """The security event of a handshake that failed; empty when the other end only went away."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "InvalidClientCertificate"
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError):
        return ""
    reason = getattr(error, "reason", None) or ""
    if reason in OF_VERSION:
        return "InvalidTLSVersion"
    if reason in OF_SUITE:
        return "InvalidTLSCipherSuite"
    return "TLSHandshakeFailed"
