"""A JsonServer over real sockets, with an inbox and an admission that the test holds."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from csms import conf
from csms.ocpp import core
from csms.ocpp.base import Payload
from csms.ocpp.errors import ProtocolError, SecurityViolation
from csms.services.admission import Refused
from csms.services.facts import ChargerFacts
from csms.services.inbox import Incoming, LogEntry, Outcome
from ocpp_json.server import JsonServer
from tests.inboxes import HandsOver

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Inbox(HandsOver):
    """Decides at once: a Heartbeat is answered, what cannot be read is refused."""

    def __init__(self) -> None:
        self.full = False
        self.incoming: list[Incoming] = []
        self.entries: list[LogEntry] = []
        self.may_decide = asyncio.Event()
        self.may_decide.set()
        self.failure: Exception | None = None

    async def submit(self, incoming: Incoming) -> Outcome:
        self.incoming.append(incoming)
        await self.may_decide.wait()
        if self.failure is not None:
            raise self.failure
        decided: Payload | ProtocolError
        if incoming.error is not None:
            decided = incoming.error
        elif isinstance(incoming.request, core.Heartbeat):
            decided = core.HeartbeatResponse(current_time=NOW)
        elif isinstance(incoming.request, core.StopTransaction):
            decided = core.StopTransactionResponse()
        else:
            decided = SecurityViolation("Not now.")
        return Outcome(incoming.encode(decided), None, None)

    def record(self, entry: LogEntry) -> None:
        self.entries.append(entry)


@dataclass
class Admission:
    """Knows CP_1 … CP_99; those in `passwords` must prove it."""

    passwords: dict[str, bytes] = field(default_factory=dict)
    strict: bool = False
    failure: Exception | None = None
    epochs: dict[int, int] = field(default_factory=dict)
    connected: dict[int, int] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def admit(self, **asked: Any) -> ChargerFacts:
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        identity = asked["identity"]
        if not identity.startswith("CP_"):
            raise Refused("No charge point of this identity is known here.", unknown=True)
        if identity == "CP_soap":
            raise Refused("This charge point is set up for SOAP.")
        password = self.passwords.get(identity)
        if password is not None and (asked["user"], asked["password"]) != (identity, password):
            raise Refused("The password is missing or wrong.", unauthorized=True)
        return ChargerFacts(
            pk=int(identity.removeprefix("CP_")),
            identity=identity,
            transport="json",
            strict=self.strict,
            time_zone="UTC",
            authenticated=password is not None,
        )

    async def connect(self, facts: ChargerFacts, **_: Any) -> ChargerFacts:
        epoch = self.epochs[facts.pk] = self.epochs.get(facts.pk, 0) + 1
        self.connected[facts.pk] = epoch
        return msgspec.structs.replace(facts, epoch=epoch)

    async def disconnect(self, facts: ChargerFacts) -> None:
        if self.connected.get(facts.pk) == facts.epoch:
            del self.connected[facts.pk]


class House:
    """A running JsonServer and what the test holds of it."""

    def __init__(self, **changes: Any) -> None:
        self.inbox = Inbox()
        self.admission = Admission()
        self.server = JsonServer(
            inbox=self.inbox,
            gateway="gateway",
            settings=replace(conf.read({}), **changes),
            admit=self.admission.admit,
            connect=self.admission.connect,
            disconnect=self.admission.disconnect,
        )

    def open(
        self,
        path: str = "/CP_1",
        *,
        subprotocols: list[str] | None = None,
        credentials: bytes | None = None,
        **options: Any,
    ) -> connect:
        """A charge point's connection (to be awaited)."""
        headers = {}
        if credentials is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
        offered = ["ocpp1.6"] if subprotocols is None else subprotocols
        return connect(
            f"ws://127.0.0.1:{self.server.port}{path}",
            subprotocols=[Subprotocol(name) for name in offered] or None,
            additional_headers=headers,
            proxy=None,
            **options,
        )

    async def raw(self, request: bytes) -> bytes:
        """What the server sends back for some bytes, until it closes or switches protocols."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request)
        if not request.endswith(b"\r\n\r\n"):  # no request: the server need not wait for more
            writer.write_eof()
        answer = b""
        try:
            async with asyncio.timeout(3):
                while not (answer.startswith(b"HTTP/1.1 101 ") and b"\r\n\r\n" in answer):
                    data = await reader.read(65536)
                    if not data:
                        break
                    answer += data
            return answer
        finally:
            writer.close()


async def until(condition: Callable[[], Any], seconds: float = 3) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  it watches what knows no events
            await asyncio.sleep(0.01)


async def closed(charger: ClientConnection) -> tuple[int | None, str | None]:
    """Close code and reason, when the server has closed."""
    async with asyncio.timeout(8):
        await charger.wait_closed()
    return charger.close_code, charger.close_reason
