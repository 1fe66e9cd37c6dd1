"""Charge points at the level of frames and envelopes, for scenes that are told step by step."""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from tests.faults.site import Site

PATIENCE = 25.0
"""Seconds: longer than a batch is tried again while the database does not answer."""

TIME = "2026-01-02T03:04:05Z"

_ENVELOPE = """
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:c="urn://Ocpp/Cs/2015/10/"><s:Header>
<c:chargeBoxIdentity>{identity}</c:chargeBoxIdentity><a:Action>/{action}</a:Action>
<a:MessageID>urn:uuid:{message_id}</a:MessageID><a:To>http://csms/</a:To>
<a:From><a:Address>http://192.0.2.7:8080/</a:Address></a:From>
</s:Header><s:Body><c:{element}Request>{body}</c:{element}Request></s:Body></s:Envelope>
"""
_numbers = itertools.count(1)


class Told(NamedTuple):
    """What became of a call: an answer, an error of the protocol, or the end of the connection."""

    reply: dict[str, Any] | None = None
    error: str = ""
    closed: int | None = None


async def until(holds: Callable[[], Awaitable[bool]], *, within: float = 20) -> None:
    """Ask again and again; TimeoutError when it does not hold in time (s)."""
    async with asyncio.timeout(within):
        while not await holds():  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.05)


def start(meter: int, *, connector: int = 1) -> dict[str, Any]:
    """A StartTransaction."""
    return {"connectorId": connector, "idTag": "TAG", "meterStart": meter, "timestamp": TIME}


def stop(transaction_id: int, meter: int) -> dict[str, Any]:
    return {"transactionId": transaction_id, "meterStop": meter, "timestamp": TIME}


async def json_charger(site: Site, identity: str = "json-1") -> "JsonCharger":
    """Connect. Raises InvalidStatus when the handshake is refused."""
    socket = await connect(
        f"{site.json_url}/{identity}",
        subprotocols=[Subprotocol("ocpp1.6")],
        proxy=None,
        open_timeout=PATIENCE,
        ping_interval=None,
        close_timeout=2,
    )
    return JsonCharger(socket)


async def handshake(site: Site, identity: str = "json-2") -> int:
    """The HTTP status of a handshake (101: it succeeded); 0 when nobody answers."""
    try:
        charger = await json_charger(site, identity)
    except InvalidStatus as refused:
        return refused.response.status_code
    except (OSError, InvalidHandshake):
        return 0
    await charger.socket.close()
    return 101


class JsonCharger:
    """A WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, action: str, payload: dict[str, Any], message_id: str = "") -> str:
        """Send a CALL; its message id."""
        message_id = message_id or f"m{next(_numbers)}"
        await self.socket.send(json.dumps([2, message_id, action, payload]))
        return message_id

    async def receive(self) -> Any:
        """The next frame."""
        return json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))

    async def told(self) -> Told:
        """What comes next."""
        try:
            frame = await self.receive()
        except ConnectionClosed:
            return Told(closed=self.socket.close_code)
        return Told(reply=frame[2]) if frame[0] == 3 else Told(error=str(frame[2:]))

    async def call(self, action: str, payload: dict[str, Any], message_id: str = "") -> Told:
        try:
            await self.send(action, payload, message_id)
        except ConnectionClosed:
            return Told(closed=self.socket.close_code)
        return await self.told()

    async def lives(self) -> bool:
        """Whether a ping is answered soon."""
        try:
            await asyncio.wait_for(await self.socket.ping(), 1)
        except (TimeoutError, ConnectionClosed):
            return False
        return True


class SoapCharger:
    """Posts envelopes."""

    def __init__(
        self, site: Site, identity: str = "soap-1", client: httpx.AsyncClient | None = None
    ) -> None:
        """With a `client` on its kept connection, otherwise each time on a new one."""
        self.site = site
        self.identity = identity
        self.client = client

    async def post(self, action: str, **fields: Any) -> httpx.Response:
        """One request; fields in the order of the WSDL."""
        envelope = _ENVELOPE.format(
            identity=self.identity,
            action=action,
            message_id=f"{next(_numbers):032}",
            element=action[0].lower() + action[1:],
            body="".join(f"<c:{name}>{value}</c:{name}>" for name, value in fields.items()),
        )
        if self.client is not None:
            return await self.client.post(self.site.soap_url, content=envelope)
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            return await client.post(self.site.soap_url, content=envelope)

    async def start(self, meter: int) -> httpx.Response:
        return await self.post(
            "StartTransaction", connectorId=1, idTag="TAG", timestamp=TIME, meterStart=meter
        )


def transaction_id(response: httpx.Response) -> int:
    """Of a StartTransaction.conf."""
    found = re.search(r"transactionId>(\d+)<", response.text)
    assert found is not None, response.text
    return int(found[1])
