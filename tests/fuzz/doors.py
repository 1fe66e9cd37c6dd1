"""The doors at which hostile bytes knock: the edges' own code around an inbox in memory.

Nothing here looks at a database: `Memory` answers each message that could be read with the least
reply of its declaration.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Any

from websockets.exceptions import ConnectionClosedOK
from websockets.protocol import OPEN

from csms.conf import read as read_settings
from csms.ocpp.base import Payload, reply_type, validated
from csms.ocpp.errors import ProtocolError, SecurityViolation
from csms.services.admission import Refused
from csms.services.facts import ChargerFacts
from csms.services.inbox import Incoming, LogEntry, Outcome
from ocpp_json.connection import Connection
from ocpp_soap.asgi import SoapApplication
from ocpp_soap.budget import Budget
from tests.fuzz.properties import check_storable
from tests.inboxes import HandsOver
from tests.ocpp_soap.examples import example

LOOP = asyncio.new_event_loop()
SETTINGS = read_settings({})


def facts(*, transport: str, strict: bool) -> ChargerFacts:
    return ChargerFacts(
        pk=1,
        identity="CP1",
        transport=transport,
        strict=strict,
        time_zone="Europe/Vienna",
        authenticated=False,
    )


class Memory(HandsOver):
    """An inbox that keeps what it was given; `checked` as a database would."""

    full = False

    def __init__(self, *, checked: bool = True) -> None:
        self.checked = checked
        self.taken: list[Incoming] = []
        self.entries: list[LogEntry] = []

    async def submit(self, incoming: Incoming) -> Outcome:
        self.taken.append(incoming)
        self._check(
            incoming.identity,
            incoming.action,
            incoming.message_id,
            incoming.raw,
            incoming.request,
            incoming.notes,
            incoming.callback,
        )
        decided = self._decided(incoming)
        text = incoming.encode(decided)
        self._check(text)
        error = decided if isinstance(decided, ProtocolError) else None
        return Outcome(text, None if error is not None else decided, error)  # type: ignore[arg-type]

    @staticmethod
    def _decided(incoming: Incoming) -> Payload | ProtocolError:
        if incoming.error is not None:
            return incoming.error
        if incoming.charger is None:
            return SecurityViolation("The charge point is not known here.")
        assert incoming.request is not None
        reply: Payload = example(reply_type(type(incoming.request)), full=False)
        return validated(reply)

    def record(self, entry: LogEntry) -> None:
        self.entries.append(entry)
        self._check(entry)

    def _check(self, *values: Any) -> None:
        if self.checked:
            check_storable(*values)


class Socket:
    """A charge point's WebSocket on which these messages come, then its end.

    `at_once`: a message is given to `direct` first, as a wire does whose queue is empty.
    """

    address = "192.0.2.1"
    state = OPEN
    loop = LOOP
    direct: Callable[[bytes], bool] | None = None

    def __init__(self, *texts: str, at_once: bool = True) -> None:
        self._texts = list(texts)
        self._at_once = at_once
        self.sent: list[str] = []
        self.closed: list[tuple[int, str]] = []

    async def recv(self, *, decode: bool) -> str:
        await asyncio.sleep(0)  # what was asked before is answered
        while self._texts:
            text = self._texts.pop(0)
            if not self._at_once or self.direct is None or not self.direct(text.encode()):
                return text
        raise ConnectionClosedOK(None, None)

    def send_at_once(self, text: str) -> bool:
        self.sent.append(text)
        return True

    async def send_text(self, text: str) -> None:
        self.sent.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


def receive(
    *texts: str,
    strict: bool = False,
    checked: bool = True,
    at_once: bool = True,
) -> tuple[Socket, Memory]:
    """What a connection makes of messages."""
    inbox = Memory(checked=checked)
    return live(texts, facts(transport="json", strict=strict), inbox, at_once=at_once), inbox


def live(
    texts: Iterable[str], charger: ChargerFacts, inbox: Any, *, at_once: bool = True
) -> Socket:
    """The socket of a connection on which these messages came, up to its end."""
    socket = Socket(*texts, at_once=at_once)
    door: Any = socket

    async def run() -> None:
        await Connection(
            door, charger, inbox, lambda connection, _, answer: connection.ignore(answer)
        ).run()

    LOOP.run_until_complete(run())
    return socket


async def _admit(*, identity: str, user: str | None, **_: Any) -> ChargerFacts:
    if identity == "unknown":
        raise Refused("Not known here.", unknown=True)
    if user not in (None, identity):
        raise Refused("The user name is not the identity.", unauthorized=True)
    return facts(transport="soap", strict=identity == "strict")


_HOUSE = Memory()
_SOAP = SoapApplication(_HOUSE, admit=_admit, config=SETTINGS, budget=Budget(most=math.inf))


def post(path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, Memory]:
    """Status and body with which a POST is answered, and what became of it inside."""
    _HOUSE.taken, _HOUSE.entries = [], []
    return *exchange(_SOAP, path, headers, body), _HOUSE


def exchange(
    application: SoapApplication, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, bytes]:
    """Status and body with which an application answers a POST."""
    events: list[Any] = []
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("192.0.2.1", 4711),
    }

    async def come() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def go(event: Any) -> None:
        events.append(event)

    LOOP.run_until_complete(application(scope, come, go))
    return events[0]["status"], events[1]["body"]
