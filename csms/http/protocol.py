"""One HTTP connection: uvicorn's protocol, with limits.

uvicorn leaves silent, half-sent and unread connections open for ever and takes a head of any
size. Here a connection notes its phase as its parser goes along, and a sweep over all of them
(`csms.http.server`) finds those that stay in one too long: a request starts no timer.

::

              first byte          empty line           last byte
    RESTING ─────────────▶ HEAD ─────────────▶ BODY ─────────────▶ RESTING
       │                    │                   │      (the application may take its time)
       └ closed             └ 408, 431, 413     └ 408, 413 ─▶ REFUSED: what comes is not looked at
"""

import asyncio
import logging
import ssl
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from csms.http.config import HttpConfig
from csms.services import refusals
from csms.services.peers import plain

logger = logging.getLogger("csms.http")

RESTING, HEAD, BODY, REFUSED = range(4)

LINGER_SECONDS = 2.0
"""How long a refused client may go on sending: with bytes unread the system would reset the
connection at once, and the client would not see why."""

MOST_PIPELINED = 32
"""Requests that may wait for the answer to the one before them."""

CHUNKING = 2
"""How many times its size a body may have on the wire, for the frames of its chunks."""

TLS_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


class _Refusal(Exception):
    """Why a request is not taken; raised in the parser's callbacks, it ends the parsing."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


_NOT_HTTP = _Refusal(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1.")
_TOO_SLOW = _Refusal(HTTPStatus.REQUEST_TIMEOUT, "The request was not complete in time.")
_HEAD_TOO_LARGE = _Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The head of the request is too large."
)
_BODY_TOO_LARGE = _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large.")
_TOO_MANY = _Refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests at once.")


class _Joined:
    """The transport of one answer: its head leaves with the beginning of its body.

    uvicorn writes them one after the other, and uvloop makes a system call and a packet of each.
    """

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        if self._cycle.response_started and self._head is None:
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._head:  # nothing of the body has come, and nothing will
            self._transport.write(self._head)
        self._transport.close()


class HttpProtocol(HttpToolsProtocol):
    """A connection that ends when it takes too long, asks too much, or reads too slowly."""

    config: HttpConfig

    def __init__(
        self,
        config: HttpConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = config.limits
        self.address = ""
        self._phase = RESTING
        self._since = config.now
        """When the phase began, or the rest after the last answer."""
        self._unread_since = 0.0
        """Since when the client has not read all, or much, of what waits for it; 0: it has."""
        self._fed = 0
        """Bytes of the request's head or body so far, at least."""
        self._long = 0
        """Bytes that the body may have which is being received; 0: it is an ordinary one."""
        self._paced = (0, 0.0)
        """How much of a long body had come when its pace was last kept, and when that was."""
        self._extensions: dict[str, Any] | None = None
        self._refusal: _Refusal | None = None

    # --- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self.address = plain(self.client[0]) if self.client else ""
        gate = self.config.gate
        if not gate.enter(self.address):
            refusals.note(refusals.TOO_MANY_CONNECTIONS, "HTTP", address=self.address)
            self._phase = REFUSED
            transport.abort()
            return
        if full := gate.refusal(self.address):
            self._refuse(_Refusal(HTTPStatus.SERVICE_UNAVAILABLE, full))
            return
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._extensions = {"tls": _tls_extension(tls)}

    def connection_lost(self, exc: Exception | None) -> None:
        self.config.gate.leave(self.address)
        super().connection_lost(exc)

    def dismiss(self) -> None:
        """Its client certificate was revoked."""
        self.transport.close()

    def pause_writing(self) -> None:
        self._unread_since = self.config.now
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = self.config.now
        super().resume_writing()

    # --- what is received

    def data_received(self, data: bytes) -> None:
        if self._phase == REFUSED:
            return
        self._fed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # RFC 9110 7.8: an upgrade may be ignored; what follows it cannot be told apart.
            self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(self._refusal or _NOT_HTTP)
            return
        if self._phase == BODY:
            most = self._long or self.limits.body_bytes
            if self._fed > CHUNKING * most + self.limits.head_bytes:
                self._refuse(_BODY_TOO_LARGE)
        elif self._fed > self.limits.head_bytes:
            self._refuse(_HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._extensions is not None:
            self.scope["extensions"] = self._extensions
        self._phase = HEAD
        self._since = self.config.now

    def on_headers_complete(self) -> None:
        if self._fed > self.limits.head_bytes and self._head_size() > self.limits.head_bytes:
            self._turn_away(_HEAD_TOO_LARGE)
        if len(self.pipeline) >= MOST_PIPELINED:
            self._turn_away(_TOO_MANY)
        method, path = self.parser.get_method().decode(), self.url.partition(b"?")[0]
        self._long = self.config.long_body(method, path.decode("latin-1"))
        self._paced = (0, self.config.now)
        most = self._long or self.limits.body_bytes
        for name, value in self.headers:
            if name == b"content-length" and int(value) > most:
                self._turn_away(_BODY_TOO_LARGE)
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # its answer is a head alone
            self.cycle.transport = cast(asyncio.Transport, _Joined(self.cycle))
        self._phase = BODY
        self._since = self.config.now
        self._fed = max(0, self._fed - self.limits.head_bytes)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._phase = RESTING
        self._since = self.config.now
        self._fed = 0

    def _head_size(self) -> int:
        """Bytes of the head that was parsed, at least."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    # --- what is answered

    def on_response_complete(self) -> None:
        """uvicorn's, without its timer: the sweep ends a connection that rests too long."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, application = self.pipeline.pop()
            self._start_asgi_task(cycle, application)
        elif self._phase == RESTING:
            self._since = self.config.now

    def _turn_away(self, refusal: _Refusal) -> None:
        """Refuse from within the parser, which makes an error of its own of any exception."""
        self._refusal = refusal
        raise refusal

    def _refuse(self, refusal: _Refusal) -> None:
        """Answer what is being received, and close; cut it when an answer would be misplaced."""
        logger.info("Request from %s: %d. %s", self.address, refusal.status, refusal.why)
        full = refusal.status == HTTPStatus.SERVICE_UNAVAILABLE
        kind = refusals.TOO_MANY_CONNECTIONS if full else refusals.INVALID_MESSAGES
        refusals.note(kind, f"HTTP {refusal.status:d}, {refusal.why}", address=self.address)
        answerable = self._answerable()
        self._phase = REFUSED
        self._since = self.loop.time()
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not answerable:
            self.transport.abort()
            return
        text = f"{refusal.why}\n".encode()
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nconnection: close\r\nretry-after: 30\r\n"
            b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n\r\n%s"
            % (refusal.status, refusal.status.phrase.encode(), len(text), text)
        )
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _answerable(self) -> bool:
        """Whether the next answer on the wire is the one to what is being received."""
        if self._phase == BODY:
            return not self.cycle.response_started and not self.pipeline
        return not self.cycle or self.cycle.response_complete

    # --- the sweep

    def sweep(self, now: float) -> None:
        """End the connection when it has been too long in its phase."""
        limits = self.limits
        if self.transport.get_write_buffer_size() == 0:
            self._unread_since = 0.0
        elif self._unread_since == 0.0:
            self._unread_since = now
        elif now - self._unread_since > limits.write_seconds:
            logger.info("%s does not read: its connection is cut.", self.address)
            self.transport.abort()
            return
        waited = now - self._since - limits.sweep_seconds  # at least
        if self.flow.read_paused and self._phase != REFUSED:
            self._since, self._paced = now, (self._fed, now)  # it is we who do not read
        elif self._phase == RESTING:
            self._sweep_resting(now, waited)
        elif self._phase == REFUSED:
            if waited > LINGER_SECONDS:
                self.transport.abort()
        elif self._phase == BODY and self._long:
            self._sweep_long(now)
        elif waited > (limits.head_seconds if self._phase == HEAD else limits.body_seconds):
            self._refuse(_TOO_SLOW)

    def _sweep_long(self, now: float) -> None:
        """A long body may take its time, as long as it goes on."""
        fed, since = self._paced
        if self._fed - fed >= self.limits.pace_bytes:
            self._paced = (self._fed, now)
        elif now - since > self.limits.pace_seconds:
            self._refuse(_TOO_SLOW)

    def _sweep_resting(self, now: float, waited: float) -> None:
        if not self.cycle:  # it never sent a request
            if waited > self.limits.head_seconds:
                self.transport.close()
        elif not self.cycle.response_complete:
            self._since = now
        elif waited > self.limits.idle_seconds:
            self.transport.close()


def _tls_extension(tls: Any) -> dict[str, Any]:
    """The TLS extension of ASGI; beside it the client certificate that was verified, as DER."""
    der = tls.getpeercert(binary_form=True)
    return {
        "server_cert": None,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(der)] if der else [],
        "client_cert_name": None,
        "client_cert_error": None,
        "client_cert_der": der,
        "tls_version": TLS_VERSIONS.get(tls.version()),
        "cipher_suite": None,
    }
