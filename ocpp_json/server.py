"""The OCPP-J server: handshakes, and the registry of live connections.

::

    TCP ─▶ Gate (caps) ─▶ handshake: identity, Basic, admission ─▶ take-over ─▶ Connection.run
                          404 401 403 426 429 503                  (F13)

Refusals happen in the HTTP handshake wherever OCPP-J allows it, each with one line in the log.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol, cast
from weakref import WeakValueDictionary

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from csms.conf import Settings
from csms.conf import settings as current_settings
from csms.gate import Gate, Paces
from csms.listener import TlsListener
from csms.logs import about
from csms.ocpp.errors import Unavailable
from csms.services import admission, bus, refusals
from csms.services.facts import ChargerFacts
from csms.services.metrics import meters
from csms.services.outages import OUTAGES
from ocpp_json import auth, turned_away
from ocpp_json.connection import Connection, Inbox, Late
from ocpp_json.session import Answer
from ocpp_json.wire import Wire

log = logging.getLogger("ocpp_json")

# Its own lines about each connection are replaced by ours, which name the charge point.
_quiet = logging.getLogger("ocpp_json.websockets")
_quiet.setLevel(logging.ERROR)

OCPP16 = Subprotocol("ocpp1.6")

OPEN_TIMEOUT = 10.0  # seconds for the whole handshake
CLOSE_TIMEOUT = 5.0  # seconds for the closing handshake
ALIVE_TIMEOUT = 5.0  # seconds that an old connection has to show that it lives (F13)
DRAIN_TIMEOUT = 8.0  # seconds for what is in the inbox (F19)
MOST_WAIT = 5.0  # seconds that a handshake waits for its turn in a reconnect storm (F11)
FLAP_SECONDS = 60.0  # a connection replaced within them counts as a flap
MOST_FLAPS = 5  # in a row; then the connection that is there stays
REFUSE_SECONDS = 5.0  # for which handshakes are 503 after something could not be stored (F3)
BACKLOG = 4096  # sockets that may wait to be accepted in a reconnect storm (F11)
REVIEW_EVERY = 30.0  # seconds between looks whether connections still hold, when nobody wakes us
QUEUED_FRAMES = 16  # of one connection, before no more are read

Admit = Callable[..., Awaitable[ChargerFacts]]


class _Disconnect(Protocol):
    def __call__(self, facts: ChargerFacts, /) -> Awaitable[None]: ...


class JsonServer:
    """Listens for charge points that speak OCPP-J 1.6.

    `gateway` names this process as the owner of its connections. `admit`, `connect` and
    `disconnect` are those of csms.services.admission.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        gateway: str,
        settings: Settings | None = None,
        admit: Admit = admission.admit,
        connect: Admit = admission.connect,
        disconnect: _Disconnect = admission.disconnect,
    ) -> None:
        self.inbox = inbox
        self.gateway = gateway
        self.settings = settings or current_settings()
        self.connections: dict[int, Connection] = {}
        """The live connections by the primary key of their charge point."""
        self.port = 0
        """The port it listens on."""
        self.late: Late | None = None
        """Told of answers that no call waits for: it may have been given up."""
        self._admit = admit
        self._connect = connect
        self._disconnect = disconnect
        self._gate = Gate(self.settings)
        self._paces = Paces(self.settings.accept_rate, self.settings.trusted_proxies)
        self._server: Server | None = None
        self._tls: TlsListener | None = None
        self._down_until = 0.0
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._closing: set[asyncio.Task[None]] = set()

    async def start(
        self, host: str | None = None, port: int | None = None, sock: socket.socket | None = None
    ) -> None:
        """Listen, on `host` and `port` or on a bound socket."""
        where: dict[str, Any] = {"sock": sock} if sock is not None else {"host": host, "port": port}
        self._server = await serve(
            self._serve,
            subprotocols=[OCPP16],
            select_subprotocol=_select_subprotocol,
            process_request=self._process_request,
            process_response=turned_away.log_refusal,
            create_connection=cast(type[ServerConnection], self._new_wire),
            compression=None,  # a bomb otherwise, and 54 instead of 16 KiB a connection
            max_size=self.settings.max_message_bytes,
            max_queue=QUEUED_FRAMES,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,  # Wire pings
            server_header=None,
            logger=_quiet,
            backlog=BACKLOG,
            **where,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    def listen_tls(
        self,
        sock: socket.socket,
        context: Callable[[], ssl.SSLContext],
        revoked: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Listen there too, over TLS, with the context of each moment; after `start`. `revoked`
        says it of a client certificate (DER)."""
        self._tls = TlsListener(
            sock,
            context=context,
            protocols=self._tls_wire,
            settings=self.settings,
            revoked=revoked,
        )
        self._tls.start()

    def _new_wire(self, *arguments: Any, **options: Any) -> Wire:
        interval = float(self.settings.ping_interval)
        return Wire(*arguments, gate=self._gate, interval=interval, **options)

    def _tls_wire(self) -> Wire:
        """A connection as `serve` makes them for its own socket."""
        protocol = ServerProtocol(
            subprotocols=[OCPP16],
            select_subprotocol=_select_subprotocol,
            max_size=self.settings.max_message_bytes,
            logger=_quiet,
        )
        options: dict[str, Any] = {"ping_interval": None, "close_timeout": CLOSE_TIMEOUT}
        return self._new_wire(protocol, self._server, max_queue=QUEUED_FRAMES, **options)

    async def drain(self) -> None:
        """F19: stop listening, take no more calls, answer what waits, close 1012."""
        if self._server is None:
            return
        if self._tls is not None:
            await self._tls.close()
        self._server.close(close_connections=False)
        connections = list(self.connections.values())
        await asyncio.gather(*(c.drain(DRAIN_TIMEOUT) for c in connections))

    async def disconnect_all(self) -> None:
        """Close all connections, 1012: the charge points connect anew."""
        for connection in list(self.connections.values()):
            self._soon(connection.wire.close(CloseCode.SERVICE_RESTART, "Connect again."))

    async def review(self) -> None:
        """End the connections whose charge points must log in again: their key, certificate or
        security profile was changed, they were deleted, or connected elsewhere."""
        held = list(self.connections.items())
        epochs = await admission.epochs([pk for pk, _ in held])
        for pk, connection in held:
            if epochs.get(pk) != connection.facts.epoch:
                log.info("%r must log in again.", connection.facts.identity)
                self._soon(connection.close(CloseCode.POLICY_VIOLATION, "Log in again."))

    async def watch(self) -> None:
        """Review the connections after each change of charge points, and now and then; run until
        cancelled."""
        changed = bus.subscribe("charge_points")
        try:
            while True:
                await changed.wait(REVIEW_EVERY)
                try:
                    await self.review()
                except OUTAGES as error:
                    log.warning("The connections are reviewed later: %s", error)
        finally:
            bus.unsubscribe("charge_points", changed)

    async def close(self) -> None:
        """Drain, then wait until all connections have ended."""
        if self._server is None:
            return
        await self.drain()
        for wire in list(self._server.all_connections):  # those that came while draining
            self._soon(wire.close(CloseCode.SERVICE_RESTART, "Restarting."))
        await self._server.wait_closed()
        if self._closing:
            await asyncio.wait(self._closing)
        self._server = None

    # The handshake

    async def _process_request(self, wire: ServerConnection, request: Request) -> Response | None:
        assert isinstance(wire, Wire)
        headers = request.headers
        wire.meet(headers)
        upgrade = ",".join(headers.get_all("Upgrade")).lower()
        if request.method != "GET" or "websocket" not in upgrade:
            response = wire.respond(
                HTTPStatus.UPGRADE_REQUIRED,
                "This port is for charge points (OCPP-J 1.6 over WebSocket).\n",
            )
            response.headers["Upgrade"] = "websocket"
            return response
        if "upgrade" not in ",".join(headers.get_all("Connection")).lower():
            headers["Connection"] = "Upgrade"  # Autel leaves it out (lbbrhzn/ocpp#1933)
        if full := self._gate.refusal(wire.address):
            refusals.note(refusals.TOO_MANY_CONNECTIONS, "OCPP-J", address=wire.address)
            return turned_away.unavailable(wire, full, "too many connections")
        if self.inbox.full:
            return turned_away.unavailable(wire, "Too many messages are waiting.", "inbox full")
        if wire.loop.time() < self._down_until:
            return turned_away.unavailable(wire, "Nothing can be stored now.", "nothing stored")
        try:
            identity = auth.identity(request.path)
        except auth.BadIdentity as error:
            return wire.respond(turned_away.status_of(request.path), f"{error}\n")
        began = wire.loop.time()
        for pace in self._paces.of(wire.address):
            now = wire.loop.time()
            wait = pace.wait(now, began + MOST_WAIT - now)
            if wait is None:
                return turned_away.unavailable(
                    wire, "Too many charge points connect at once.", "storm"
                )
            if wait:
                await asyncio.sleep(wait)
        given = headers.get_all("Authorization")
        user, password = auth.credentials(given[0] if len(given) == 1 else None, identity)
        try:
            wire.facts = await self._admit(
                identity=identity,
                transport="json",
                user=user,
                password=password,
                peer=wire.peer,
            )
        except admission.Refused as refused:
            self._gate.refused(wire.address)
            return turned_away.refuse(wire, refused)
        except Unavailable:
            return turned_away.unavailable(wire, "Nothing can be stored now.", "nothing stored")
        wire.offered = "Sec-WebSocket-Protocol" in headers
        return None

    # The connection

    async def _serve(self, wire: ServerConnection) -> None:
        assert isinstance(wire, Wire)
        assert wire.facts is not None
        subprotocol = wire.subprotocol
        wire.opened()
        facts = wire.facts
        about(charge_point=facts.identity)
        if subprotocol is None and wire.offered:
            # 3.2: no common subprotocol: complete the handshake without the header, then close.
            log.warning("%r offers no subprotocol that we speak.", facts.identity)
            await wire.close(CloseCode.PROTOCOL_ERROR, "The subprotocol must be ocpp1.6.")
            return
        if subprotocol is None:
            log.info("%r names no subprotocol; taken as ocpp1.6.", facts.identity)
        try:
            connection = await self._take_over(wire, facts)
        except Unavailable:
            self._down_until = wire.loop.time() + REFUSE_SECONDS
            await wire.close(CloseCode.TRY_AGAIN_LATER, "Nothing can be stored now.")
            return
        except Exception:  # deleted since it was admitted, say
            log.exception("%r could not be connected.", facts.identity)
            await wire.close(CloseCode.INTERNAL_ERROR, "Internal error.")
            return
        if connection is None:
            await wire.close(CloseCode.POLICY_VIOLATION, "Another connection is alive.")
            return
        meters.connect("json", 1)
        try:
            await connection.run()
        finally:
            meters.connect("json", -1)
            if connection.unavailable:
                self._down_until = wire.loop.time() + REFUSE_SECONDS
            await self._ended(connection)

    async def _take_over(self, wire: Wire, facts: ChargerFacts) -> Connection | None:
        """Make this the charge point's connection, unless another one stays (F13): then None."""
        lock = self._locks.setdefault(facts.pk, asyncio.Lock())
        async with lock:
            old = self.connections.get(facts.pk)
            flaps = 0
            if old is not None and await old.alive(ALIVE_TIMEOUT):
                recent = wire.loop.time() - old.since < FLAP_SECONDS
                flaps = old.flaps + 1 if recent else 0
                if not facts.authenticated or flaps > MOST_FLAPS:
                    log.warning(
                        "A second connection of %r from %s is refused: the one from %s is alive.",
                        *(facts.identity, wire.address, old.wire.address),
                    )
                    refusals.note(
                        "SecondConnectionRefused",
                        f"the one from {old.wire.address} is alive",
                        address=wire.address,
                        identity=facts.identity,
                        charger_pk=facts.pk,
                    )
                    return None
                log.warning(
                    "A second connection of %r from %s replaces the one from %s, which is alive.",
                    *(facts.identity, wire.address, old.wire.address),
                )
            facts = await self._connect(facts, gateway=self.gateway, remote_address=wire.address)
            connection = Connection(wire, facts, self.inbox, self._late)
            connection.flaps = flaps
            old = self.connections.get(facts.pk)
            self.connections[facts.pk] = connection
        if old is not None:
            self._soon(old.close(CloseCode.NORMAL_CLOSURE, "Replaced by a newer connection."))
        log.info("%r is connected from %s.", facts.identity, wire.address)
        return connection

    async def _ended(self, connection: Connection) -> None:
        """A connection has ended; when it was replaced, its end changes nothing."""
        facts = connection.facts
        wire = connection.wire
        log.info("%r is gone: %s %s", facts.identity, wire.close_code, wire.close_reason or "")
        if self.connections.get(facts.pk) is not connection:
            return
        del self.connections[facts.pk]
        try:
            await self._disconnect(facts)
        except Exception as error:  # the database is gone; the next connection corrects it
            log.warning("It could not be stored that %r is gone: %s", facts.identity, error)

    def _late(self, connection: Connection, message_id: str, answer: Answer) -> None:
        if self.late is not None:
            self.late(connection, message_id, answer)
        else:
            connection.ignore(answer)

    def _soon(self, closing: Awaitable[None]) -> None:
        task = asyncio.ensure_future(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _select_subprotocol(_: object, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return OCPP16 if OCPP16 in offered else None
