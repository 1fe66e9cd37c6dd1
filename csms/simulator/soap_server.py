"""The HTTP server of a SOAP charge point: where the central system calls it.

Small as in a charger's firmware: HTTP/1.1 with Content-Length, keep-alive, one request after
another on a connection.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from csms.simulator.transport import FollowUp

LARGEST = 1 << 20
IDLE = 30.0
"""Seconds after which a silent connection is closed."""


class HttpAnswer(NamedTuple):
    """What is sent back, and what comes after it; without content the connection is cut."""

    status: str
    content: bytes | None
    then: FollowUp | None = None


Respond = Callable[[bytes], Awaitable[HttpAnswer]]


class CallbackServer:
    """Listens at `host`, on `port` or, with 0, on a free one."""

    def __init__(
        self,
        respond: Respond,
        *,
        host: str,
        port: int,
        content_type: str,
        follow_up: Callable[[FollowUp | None], None],
    ) -> None:
        self._respond = respond
        self._host = host
        self._port = port
        self._content_type = content_type
        self._follow_up = follow_up
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Begin to listen; the port."""
        self._server = await asyncio.start_server(self._accept, self._host, self._port)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        connections = tuple(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError):
            pass
        except asyncio.LimitOverrunError:
            await self._send(writer, HttpAnswer("431 Request Header Fields Too Large", b""))
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether another may follow."""
        async with asyncio.timeout(IDLE):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = head.split("\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (field.partition(":") for field in fields)
            }
            length = headers.get("content-length", "")
            if not line.startswith("POST "):
                return await self._send(writer, HttpAnswer("405 Method Not Allowed", b""))
            if not length.isdecimal():
                return await self._send(writer, HttpAnswer("411 Length Required", b""))
            if int(length) > LARGEST:
                return await self._send(writer, HttpAnswer("413 Content Too Large", b""))
            content = await reader.readexactly(int(length))
        answer = await self._respond(content)
        if answer.content is None:
            writer.transport.abort()
            return False
        await self._send(writer, answer)
        self._follow_up(answer.then)
        return headers.get("connection", "").lower() != "close"

    async def _send(self, writer: asyncio.StreamWriter, answer: HttpAnswer) -> bool:
        content = answer.content or b""
        kind = f"Content-Type: {self._content_type}\r\n" if content else ""
        head = f"HTTP/1.1 {answer.status}\r\n{kind}Content-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode("latin-1") + content)
        await writer.drain()
        return False
