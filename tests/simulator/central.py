"""Central systems for the simulator's tests: they speak the wire, and know nothing of csms."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any, Self

from lxml import etree
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

ENV = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
CS = "urn://Ocpp/Cs/2015/10/"
CP = "urn://Ocpp/Cp/2015/10/"
NOW = "2026-01-02T03:04:05Z"

Decide = Callable[[dict[str, Any]], Any]


class Failed(Exception):
    """Answer with an error of this code."""


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is so, at most five seconds."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  what is watched knows no event
            await asyncio.sleep(0.005)


class Central:
    """What both have: replies by action, and all that came in. Subclasses carry it."""

    def __init__(self) -> None:
        self.transactions = 100
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.raw: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.decide: dict[str, Decide] = {}

    def seen(self, action: str) -> list[dict[str, Any]]:
        """The payloads of an action, in order."""
        return [payload for name, payload in self.calls if name == action]

    async def until(self, action: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until an action has come so often."""
        await eventually(lambda: len(self.seen(action)) >= count)
        return self.seen(action)

    def reply(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The reply to a call; raises Failed."""
        self.calls.append((action, payload))
        if action in self.decide:
            decided = self.decide[action](payload)
            if decided is not None:
                return dict(decided)
        if action == "BootNotification":
            return {"status": "Accepted", "currentTime": NOW, "interval": 300}
        if action == "Heartbeat":
            return {"currentTime": NOW}
        if action == "Authorize":
            return {"idTagInfo": {"status": "Accepted"}}
        if action == "StartTransaction":
            self.transactions += 1
            return {"transactionId": self.transactions, "idTagInfo": {"status": "Accepted"}}
        if action in ("SignCertificate", "DataTransfer"):
            return {"status": "Accepted"}
        return {}


class JsonCentral(Central):
    """OCPP-J: a bare WebSocket server."""

    def __init__(self) -> None:
        super().__init__()
        self.server: Server | None = None
        self.socket: ServerConnection | None = None
        self.authorization: list[str | None] = []
        self.answers: dict[str, asyncio.Future[list[Any]]] = {}
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def listen(self) -> None:
        """Begin, or begin again on the same port."""
        self.server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol("ocpp1.6")],
            compression=None,
        )
        self.port = next(iter(self.server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Be away."""
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ocpp"

    async def _serve(self, socket: ServerConnection) -> None:
        self.socket = socket
        assert socket.request is not None
        self.authorization.append(socket.request.headers.get("Authorization"))
        async for frame in socket:
            self.raw.append(str(frame))
            message = json.loads(frame)
            if message[0] != 2:
                self.answers[message[1]].set_result(message)
                continue
            try:
                answer = [3, message[1], self.reply(message[2], message[3])]
            except Failed as failed:
                answer = [4, message[1], str(failed), "told to fail", {}]
            await socket.send(json.dumps(answer))

    async def call(self, action: str, payload: dict[str, Any], timeout: float = 5) -> list[Any]:
        """Call the charge point; the frame of its answer."""
        async with asyncio.timeout(timeout):
            await eventually(lambda: self.socket is not None)
            assert self.socket is not None
            message_id = uuid.uuid4().hex
            self.answers[message_id] = asyncio.get_running_loop().create_future()
            await self.socket.send(json.dumps([2, message_id, action, payload]))
            return await self.answers[message_id]


class SoapCentral(Central):
    """OCPP-S: a bare HTTP server, and a bare HTTP client for the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[etree._Element] = []
        self.writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.status: str = "200 OK"

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.writers:
            writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocpp/soap"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while True:
                content = await _http_content(reader)
                status, answer = self._answer(content)
                head = f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n\r\n"
                writer.write(head.encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, content: bytes) -> tuple[str, bytes]:
        if self.status != "200 OK":
            return self.status, b""
        self.raw.append(content.decode())
        header, body = _parts(content)
        self.headers.append(header)
        self.bodies.append(body)
        action = header["Action"].removeprefix("/")
        related = f'<w:RelatesTo xmlns:w="{WSA}">{header["MessageID"]}</w:RelatesTo>'
        try:
            reply = self.reply(action, plain(body))
        except Failed as failed:
            fault = (
                "<e:Fault><e:Code><e:Value>e:Receiver</e:Value><e:Subcode><e:Value>"
                f"c:{failed}</e:Value></e:Subcode></e:Code><e:Reason>"
                '<e:Text xml:lang="en">told to fail</e:Text></e:Reason></e:Fault>'
            )
            return "500 Internal Server Error", _envelope(related, fault)
        named = f'{related}<w:Action xmlns:w="{WSA}">/{action}Response</w:Action>'
        name = f"{action[0].lower()}{action[1:]}Response"
        return "200 OK", _envelope(named, f'<{name} xmlns="{CS}">{_xml(reply)}</{name}>')

    async def call(
        self, identity: str, callback: str, action: str, payload: dict[str, Any], timeout: float = 5
    ) -> tuple[str, dict[str, str], etree._Element]:
        """Call the charge point: HTTP status, headers by local name, the body's element."""
        header = (
            f'<chargeBoxIdentity xmlns="{CP}">{identity}</chargeBoxIdentity>'
            f'<w:g xmlns:w="{WSA}"><w:MessageID>urn:uuid:{uuid.uuid4()}</w:MessageID>'
            f"<w:From><w:Address>{self.url}</w:Address></w:From><w:To>{callback}</w:To>"
            f"<w:ReplyTo><w:Address>{WSA}/anonymous</w:Address></w:ReplyTo>"
            f"<w:Action>/{action}</w:Action></w:g>"
        )
        header = header.replace(f'<w:g xmlns:w="{WSA}">', "").replace("</w:g>", "")
        name = f"{action[0].lower()}{action[1:]}Request"
        content = _envelope(header, f'<{name} xmlns="{CP}">{_xml(payload)}</{name}>')
        host, port = callback.removeprefix("http://").rstrip("/").split(":")
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
                writer.write(head.encode() + content)
                line = (await reader.readline()).decode().strip()
                answer = await _http_content(reader)
            finally:
                writer.close()
        return line.partition(" ")[2], *_parts(answer)


async def _http_content(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    return await reader.readexactly(length)


def _envelope(header: str, body: str) -> bytes:
    return (
        f'<e:Envelope xmlns:e="{ENV}" xmlns:w="{WSA}" xmlns:c="{CS}"><e:Header>{header}</e:Header>'
        f"<e:Body>{body}</e:Body></e:Envelope>"
    ).encode()


def _parts(content: bytes) -> tuple[dict[str, str], etree._Element]:
    root = etree.fromstring(content)
    header = root.find(f"{{{ENV}}}Header")
    body = root.find(f"{{{ENV}}}Body")
    assert header is not None
    assert body is not None
    return {etree.QName(e).localname: text_of(e) for e in header}, body[0]


def text_of(element: etree._Element) -> str:
    """All text in an element."""
    return "".join(str(text) for text in element.itertext())


def _xml(payload: dict[str, Any]) -> str:
    made = []
    for name, value in payload.items():
        for item in value if isinstance(value, list) else [value]:
            text = _xml(item) if isinstance(item, dict) else str(item)
            made.append(f"<{name}>{text}</{name}>")
    return "".join(made)


def plain(element: etree._Element) -> dict[str, Any]:
    """An element as texts under names; what is repeated as a list."""
    found: dict[str, Any] = {}
    for child in element:
        name = etree.QName(child).localname
        value = plain(child) if len(child) else child.text or ""
        if name in found:
            found[name] = [
                *(found[name] if isinstance(found[name], list) else [found[name]]),
                value,
            ]
        else:
            found[name] = value
    return found
