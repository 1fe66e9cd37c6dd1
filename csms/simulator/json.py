"""OCPP-J 1.6: a charge point's WebSocket to its central system."""

import asyncio
import base64
import contextlib
import ssl
from typing import Any
from urllib.parse import quote

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosedError,
    InvalidHandshake,
    InvalidStatus,
    WebSocketException,
)
from websockets.typing import Subprotocol

from csms.ocpp.base import Payload, Request, action, encode_json, reply_type
from csms.ocpp.registry import from_central_system
from csms.simulator.transport import CallFailed, Endpoint, NoAnswer, Refused, Silent

CALL, CALLRESULT, CALLERROR = 2, 3, 4

_frame = msgspec.json.Decoder(list[msgspec.Raw])
_raw = msgspec.json.Encoder()


class JsonTransport:
    """A WebSocket to `url` + "/" + identity that is opened again, with back-off, when it breaks.

    `password` makes Basic authentication (security profiles 1 and 2), with the identity or `user`
    as user name. Times in seconds; `first_wait` doubles up to `longest_wait`, and each wait is
    drawn between half of it and all of it.
    """

    name = "JSON"

    def __init__(
        self,
        url: str,
        *,
        password: bytes | None = None,
        user: str | None = None,
        subprotocols: tuple[str, ...] = ("ocpp1.6",),
        call_timeout: float = 30.0,
        first_wait: float = 1.0,
        longest_wait: float = 60.0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.password = password
        self.user = user
        self.subprotocols = [Subprotocol(name) for name in subprotocols]
        self.call_timeout = call_timeout
        self.first_wait = first_wait
        self.longest_wait = longest_wait
        self.context = context
        self.connections = 0
        """How often the WebSocket was opened."""
        self.refused_with: int | None = None
        """The HTTP status of the last handshake that was refused."""
        self._endpoint: Endpoint | None = None
        self._socket: ClientConnection | None = None
        self._open = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[msgspec.Raw]] = {}
        self._running: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def reachable(self) -> bool:
        """Whether the WebSocket is open."""
        return self._open.is_set()

    @property
    def endpoint(self) -> Endpoint:
        """The charge point of this transport."""
        assert self._endpoint is not None, "start comes first"
        return self._endpoint

    async def start(self, endpoint: Endpoint) -> None:
        """Begin to connect."""
        self._endpoint = endpoint
        self._running = asyncio.create_task(self._run())

    async def ready(self) -> None:
        """Wait until the WebSocket is open."""
        await self._open.wait()

    def set_password(self, password: bytes) -> None:
        """Use another password from the next connection on."""
        self.password = password

    async def drop(self) -> None:
        """Cut the TCP connection."""
        if self._socket is not None:
            self._lost()
            self._socket.transport.abort()

    async def stop(self) -> None:
        """Close the WebSocket properly and stay closed."""
        if self._socket is not None:
            await self._socket.close()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        for task in tuple(self._answering):
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    # --- calls of the charge point

    async def call(self, message_id: str, request: Request[Any], *, drop: bool = False) -> Payload:
        """Send a CALL and wait for its answer."""
        socket = self._socket
        if socket is None or not self._open.is_set():
            raise NoAnswer("there is no connection")
        heading = _raw.encode([CALL, message_id, action(type(request))])[:-1].decode()
        frame = f"{heading},{encode_json(request).decode()}]"
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_seen)
        self._waiting[message_id] = answer
        try:
            await socket.send(frame)
            if drop:
                await self.drop()
            async with asyncio.timeout(self.call_timeout):
                payload = await answer
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {self.call_timeout:g} s") from error
        except WebSocketException as error:
            raise NoAnswer("the connection was lost") from error
        finally:
            self._waiting.pop(message_id, None)
        try:
            reply: Payload = msgspec.json.decode(
                bytes(payload) if bytes(payload) != b"null" else b"{}",
                type=reply_type(type(request)),
            )
        except msgspec.MsgspecError as error:
            self.endpoint.violation(f"{action(type(request))} answered badly: {error}")
            raise CallFailed("FormationViolation", str(error)) from error
        return reply

    # --- the connection

    async def _run(self) -> None:
        """Connect, read until it breaks, wait, again."""
        wait = self.first_wait
        while True:
            try:
                async with connect(
                    f"{self.url}/{quote(self.endpoint.identity, safe='')}",
                    subprotocols=self.subprotocols,
                    additional_headers=self._headers(),
                    compression=None,
                    proxy=None,
                    max_size=1 << 20,
                    open_timeout=10,
                    close_timeout=2,
                    ssl=self.context,
                ) as socket:
                    self._socket, self.refused_with = socket, None
                    self.connections += 1
                    wait = self.first_wait
                    if socket.subprotocol is None:
                        self.endpoint.violation("no subprotocol was agreed")
                    self._open.set()
                    self.endpoint.event("connected")
                    await self._read(socket)
            except ConnectionClosedError:
                self.endpoint.event("the connection broke")
            except InvalidStatus as error:
                self.refused_with = error.response.status_code
                self.endpoint.event(f"handshake refused with HTTP {self.refused_with}")
            except (OSError, InvalidHandshake, WebSocketException, EOFError) as error:
                self.endpoint.event(f"no connection: {type(error).__name__}")
            finally:
                self._lost()
                self._socket = None
            await self.endpoint.clock.sleep(wait * self.endpoint.random.uniform(0.5, 1.0))
            wait = min(wait * 2, self.longest_wait)

    def _headers(self) -> dict[str, str]:
        if self.password is None:
            return {}
        user = (self.user or self.endpoint.identity).encode()
        return {"Authorization": f"Basic {base64.b64encode(user + b':' + self.password).decode()}"}

    def _lost(self) -> None:
        """What was not answered will not be."""
        if self._open.is_set():
            self._open.clear()
            self.endpoint.event("disconnected")
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(NoAnswer("the connection was lost"))

    async def _read(self, socket: ClientConnection) -> None:
        """Until the connection ends."""
        async for message in socket:
            try:
                parts = _frame.decode(message)
                kind = msgspec.json.decode(parts[0], type=int)
                message_id = msgspec.json.decode(parts[1], type=str)
                if kind == CALL:
                    name = msgspec.json.decode(parts[2], type=str)
                    task = asyncio.create_task(self._answer(socket, message_id, name, parts[3]))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                elif kind in (CALLRESULT, CALLERROR):
                    self._answered(kind, message_id, parts[2:])
            except (msgspec.MsgspecError, IndexError) as error:
                self.endpoint.violation(f"unreadable frame: {error}")
        self.endpoint.event(f"closed with {socket.close_code} {socket.close_reason}".rstrip())

    def _answered(self, kind: int, message_id: str, rest: list[msgspec.Raw]) -> None:
        """Hand an answer to the call that waits for it; a late one is ignored."""
        answer = self._waiting.get(message_id)
        if answer is None or answer.done():
            self.endpoint.event(f"answer to {message_id} came too late")
        elif kind == CALLRESULT:
            answer.set_result(rest[0])
        else:
            code, description = (msgspec.json.decode(part, type=str) for part in rest[:2])
            answer.set_exception(CallFailed(code, description))

    # --- calls of the central system

    async def _answer(
        self, socket: ClientConnection, message_id: str, name: str, payload: msgspec.Raw
    ) -> None:
        then = None
        try:
            request = self._decoded(name, payload)
            reply, then = await self.endpoint.answer(message_id, request)
            head = _raw.encode([CALLRESULT, message_id])[:-1].decode()
            frame = f"{head},{encode_json(reply).decode()}]"
        except Refused as error:
            frame = _raw.encode(
                [CALLERROR, message_id, error.code, error.description[:255], {}]
            ).decode()
        except Silent as error:
            if error.drop:
                await self.drop()
            return
        with contextlib.suppress(WebSocketException):
            await socket.send(frame)
        self.endpoint.follow_up(then)

    def _decoded(self, name: str, payload: msgspec.Raw) -> Request[Any]:
        """The request; raises Refused."""
        declaration = from_central_system(name)
        if declaration is None:
            self.endpoint.violation(f"unknown action {name}")
            raise Refused("NotImplemented", f"{name} is not known.")
        plain = bytes(payload)
        try:
            request: Request[Any] = msgspec.json.decode(
                plain if plain != b"null" else b"{}", type=declaration
            )
        except msgspec.MsgspecError as error:
            self.endpoint.violation(f"{name} is not valid: {error}")
            raise Refused("FormationViolation", str(error)) from error
        return request


def _seen(answer: "asyncio.Future[msgspec.Raw]") -> None:
    """Nobody waits any more when the connection was lost while the call was being sent."""
    if not answer.cancelled():
        answer.exception()
