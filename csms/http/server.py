"""The HTTP server: plain and TLS, and the sweep over its connections."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, cast

import uvicorn

from csms.conf import Settings
from csms.http.config import HttpConfig, Limits, LongBody
from csms.http.protocol import HttpProtocol
from csms.listener import HANDSHAKE_SECONDS, TlsListener


def http_config(
    application: Any,
    *,
    limits: Limits | None = None,
    config: Settings | None = None,
    long_body: LongBody | None = None,
) -> HttpConfig:
    """What a server of this ASGI application needs."""
    return HttpConfig(application, HttpProtocol, limits=limits, config=config, long_body=long_body)


class HttpServer(uvicorn.Server):
    """uvicorn as a library. `listen_tls` comes before `serve`."""

    config: HttpConfig

    def __init__(self, config: HttpConfig) -> None:
        super().__init__(config)
        self._tls: TlsListener | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    def listen_tls(
        self,
        sock: socket.socket,
        context: Callable[[], ssl.SSLContext],
        revoked: Callable[[bytes], bool] | None = None,
        *,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        """Listen there too, with the context of each moment. `revoked` says it of a client
        certificate (DER)."""
        self._tls = TlsListener(
            sock,
            context=context,
            protocols=self._protocol,
            settings=self.config.settings,
            revoked=revoked,
            handshake_seconds=handshake_seconds,
        )

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(self.config, self.server_state, self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours, or they would end the process before the drain."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._sweep()
        if self._tls is not None:
            self._tls.start()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._tls is not None:
            await self._tls.close()
        await super().shutdown(sockets)
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def _sweep(self) -> None:
        """Look at all connections, now and every `sweep_seconds`."""
        loop = asyncio.get_running_loop()
        self.config.now = now = loop.time()
        self._sweeping = loop.call_later(self.config.limits.sweep_seconds, self._sweep)
        for connection in tuple(self.server_state.connections):
            cast(Any, connection).sweep(now)
