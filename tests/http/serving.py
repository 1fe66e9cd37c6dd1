"""A small application behind our HTTP server, and clients that misbehave byte by byte."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from csms import conf
from csms.http.config import Limits
from csms.http.server import HttpServer, http_config

PATIENCE = 10.0
"""Seconds after which a test gives up."""

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}

SHORT = Limits(
    head_seconds=0.3,
    body_seconds=0.3,
    idle_seconds=0.3,
    write_seconds=0.3,
    sweep_seconds=0.05,
)
"""Seconds for the impatient; sizes as they are."""

HUGE = 32 * 1024 * 1024
"""Bytes of the answer of /huge: more than the system's buffers hold."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """`/echo` answers the size of the body, `/huge` 32 MiB, `/slow` after a second, `/late` its
    head at once and then nothing for a while, `/broken` its head and then nothing at all."""
    answer = b"ok"
    if scope["path"] == "/echo":
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            size += len(message["body"])
            more = message["more_body"]
        answer = b"%d" % size
    elif scope["path"] == "/huge":
        answer = bytes(HUGE)
    elif scope["path"] == "/slow":
        await asyncio.sleep(1)
    length = (b"content-length", b"%d" % len(answer))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    if scope["path"] == "/late":
        await asyncio.sleep(0.2)
    elif scope["path"] == "/broken":
        return
    for start in range(0, len(answer), 65536):
        part, more = answer[start : start + 65536], start + 65536 < len(answer)
        await send({"type": "http.response.body", "body": part, "more_body": more})


class Served:
    """A running server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: HttpServer, port: int) -> None:
        self.loop = loop
        self.server = server
        self.port = port

    @property
    def connections(self) -> int:
        """Connections that the server holds."""
        return len(self.server.server_state.connections)

    def client(self, **options: Any) -> "Client":
        return Client(self.port, **options)


class Client:
    """A socket; use it as a context."""

    def __init__(self, port: int, *, receive_buffer: int = 0, source: str = "127.0.0.1") -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.began = time.monotonic()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def drip(self, data: bytes, pause: float = 0.02) -> bytes:
        """Send byte by byte until the server has had enough; what it answered."""
        for byte in data:
            try:
                self.socket.sendall(bytes([byte]))
            except OSError:
                break
            self.socket.settimeout(pause)
            try:
                answer = self.socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return b""
            finally:
                self.socket.settimeout(PATIENCE)
            return answer + self.rest()
        return self.rest()

    def rest(self) -> bytes:
        """All that comes until the server closes; TimeoutError when it never does."""
        parts: list[bytes] = []
        while True:
            try:
                part = self.socket.recv(65536)
            except ConnectionError:
                part = b""
            if not part:
                return b"".join(parts)
            parts.append(part)

    def answer(self, head: bytes = b"", body: bytes = b"") -> bytes:
        """One short answer, its body at least as long as `content-length` says."""
        self.send(head + body)
        received = b""
        while b"\r\n\r\n" not in received:
            part = self.socket.recv(65536)
            assert part, received
            received += part
        head, _, content = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(content) < length:
            content += self.socket.recv(65536)
        return head.partition(b"\r\n")[0] + b" / " + content

    @property
    def lasted(self) -> float:
        """Seconds since it connected."""
        return time.monotonic() - self.began


@contextmanager
def serving(
    *,
    loop: str = "uvloop",
    limits: Limits = SHORT,
    app: Any = application,
    prepare: Callable[[HttpServer], None] = lambda server: None,
    **environment: str,
) -> Iterator[Served]:
    """The application served with these limits and settings, until the end of the block."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    server = HttpServer(http_config(app, limits=limits, config=conf.read(environment)))
    prepare(server)
    running = LOOPS[loop]()
    thread = threading.Thread(
        target=running.run_until_complete, args=(server.serve(sockets=[listening]),), daemon=True
    )
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    try:
        yield Served(running, server, listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()
        running.close()
