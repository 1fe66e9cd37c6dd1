"""The OCPP-S endpoint: an ASGI application for the paths below `/ocpp/soap`.

    POST /ocpp/soap                 a charge point's message
    POST /ocpp/soap/<identity>      the same; chargeBoxIdentity must then be that identity
    POST /ocpp/soap/<identity>/<secret>     the same with its password, which nothing repeats
    GET  /ocpp/soap?wsdl            WSDL of CentralSystemService
    GET  /ocpp/soap/charge-point?wsdl   WSDL of ChargePointService

One try covers all steps of a request: whatever happens, the charge point gets an answer of its
protocol, or HTTP 503 while nothing can be committed (F3: for every request, Heartbeat too, because
a charge point whose Heartbeat is answered takes its transaction message for the fault).
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote

from lxml import etree

from csms.conf import Settings, settings
from csms.ocpp.base import Payload
from csms.ocpp.errors import (
    IdentityMismatch,
    InternalFailure,
    ProtocolError,
    RpcViolation,
    SecurityViolation,
    Unavailable,
    UnsupportedAction,
)
from csms.ocpp.tolerance import Note
from csms.services import admission, refusals
from csms.services.charge_points import identity_problem
from csms.services.facts import ChargerFacts
from csms.services.inbox import Incoming, LogEntry, Outcome
from csms.services.metrics import meters
from csms.services.secrets import SHORTEST, masked_urls, without
from ocpp_soap import addressing, faults, guard, wsdl
from ocpp_soap.addressing import Envelope
from ocpp_soap.budget import Budget
from ocpp_soap.errors import UNREAD, Refused
from ocpp_soap.http import (
    TEXT_TYPE,
    WSDL_TYPE,
    Gone,
    Receive,
    Request,
    Response,
    Scope,
    Send,
)
from ocpp_soap.namespaces import CP, CS, Service
from ocpp_soap.service import Call, CentralSystem

logger = logging.getLogger(__name__)

PREFIX = "/ocpp/soap"
XML_TIMES = 2
"""How many times as long as in JSON a message may be."""
UNPROVEN = 64 * 1024
"""Bytes of a body that are received, and characters that are parsed, before it is known who sends
it."""
COMPLETE_WITHIN = 10.0
"""Seconds in which a request must have arrived."""
RETRY_AFTER = "30"
"""Seconds after which a charge point may try again while nothing can be committed."""
ANSWERED_WITHIN = 20.0
"""Seconds after which it is 503 (F4): longer than the inbox tries while a database says no."""
LOGGED = 4_096
"""Characters that the log keeps of a message that was turned away."""

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")

Admit = Callable[..., Awaitable[ChargerFacts]]


class Inbox(Protocol):
    """What this edge needs of `csms.services.inbox.Inbox`."""

    @property
    def full(self) -> bool: ...
    async def submit(self, incoming: Incoming) -> Outcome: ...
    def record(self, entry: LogEntry) -> None: ...


@dataclass(slots=True)
class Trace:
    """What is known of a request so far, for the log and for the answer to an error."""

    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)
    raw: str = ""
    identity: str = ""
    action: str = ""
    message_id: str = ""
    kept: bool = False
    """The refusal was kept as a security event where it was decided."""
    cost: float = 0.0
    """CPU seconds of the parse."""


class AccessRefused(SecurityViolation):
    """This charge point may not talk to us."""

    def __init__(self, refusal: admission.Refused) -> None:
        super().__init__(refusal.reason)
        self.unauthorized = refusal.unauthorized
        self.status = 429 if refusal.too_many else 401 if refusal.unauthorized else 403


class SoapApplication:
    """The central system's SOAP endpoint."""

    def __init__(
        self,
        inbox: Inbox,
        *,
        admit: Admit = admission.admit,
        config: Settings | None = None,
        complete_within: float = COMPLETE_WITHIN,
        answered_within: float = ANSWERED_WITHIN,
        budget: Budget | None = None,
    ) -> None:
        self._inbox = inbox
        self._admit = admit
        self._config = config or settings()
        self._complete_within = complete_within
        self._answered_within = answered_within
        self._budget = budget or Budget()
        self._service = CentralSystem()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError("Only HTTP is spoken here.")
        request = Request(scope, receive)
        if request.method == "POST":
            response = await self._post(request)
        else:
            response = self._page(request)
        if response is not None:
            await response.send(send)

    # --- a charge point's message ----------------------------------------------------------------

    async def _post(self, request: Request) -> Response | None:
        """The answer to a message; None when nobody waits for it any more."""
        trace = Trace()
        try:
            return await self._answer(request, trace)
        except Gone:
            return None
        except Unavailable:
            return Response(503, headers={"retry-after": RETRY_AFTER})
        except ProtocolError as error:
            return self._fault(error, request, trace)
        except Exception:
            logger.exception(
                "A SOAP request of %s failed",
                trace.identity or "an unknown sender",
                extra={"charge_point": trace.identity, "message_id": trace.message_id},
            )
            return self._fault(InternalFailure("An internal error occurred."), request, trace)

    async def _answer(self, request: Request, trace: Trace) -> Response:
        named, secret = _path_identity(request.path)
        trace.identity = named
        if self._inbox.full:
            meters.message("", "soap", Unavailable())
            raise Unavailable
        limit, seconds = XML_TIMES * self._config.max_message_bytes, self._complete_within
        size = guard.declared_size(request.headers.get("content-length"), limit)
        proven = False
        if size is None or size > UNPROVEN:
            beginning = (await request.beginning(UNPROVEN, seconds=seconds)).decode(
                "utf-8", "replace"
            )
            if not request.complete:
                await self._admitted_early(request, trace, beginning, named, secret, 413)
                proven = True
        text = await request.body(limit=limit, seconds=seconds)
        # Charge points repeat the URL they call in To.
        trace.raw = without(text, frozenset({secret, quote(secret)})) if secret else text
        if not proven and self._budget.is_spent(request.remote_address):
            await self._admitted_early(request, trace, text, named, secret, 429)
        elif not proven and len(text) > UNPROVEN:  # it was compressed
            await self._admitted_early(request, trace, text, named, secret, 413)
        began = time.thread_time()
        try:
            envelope = addressing.read_envelope(guard.parse(text, limit))
        finally:
            trace.cost = time.thread_time() - began
        addressing.check_request(envelope)
        trace.action, trace.message_id = envelope.body_action, envelope.message_id
        if not envelope.identity and named:
            envelope.identity = named
            envelope.notes.append(Note("missing_header", "chargeBoxIdentity", ""))
        trace.identity = envelope.identity
        addressing.check_identity(envelope.identity, named)
        if problem := identity_problem(envelope.identity):
            raise envelope.error or RpcViolation(f"chargeBoxIdentity: {problem}")
        charger = await self._admitted(request, trace, envelope.identity, secret)
        if charger is None:
            self._refused(refusals.UNKNOWN_CHARGE_POINT, envelope.body_action, request, trace)
        began = time.thread_time()
        incoming = self._incoming(request, trace, envelope, charger)
        if charger is None:
            self._budget.spend(request.remote_address, trace.cost + time.thread_time() - began)
        try:
            async with asyncio.timeout(self._answered_within):
                outcome = await self._inbox.submit(incoming)
        except TimeoutError:  # it may still be stored; it is known when it comes again (F2)
            raise Unavailable from None
        status = 200 if outcome.error is None else faults.code_of(outcome.error).status
        return Response(status, outcome.text.encode())

    async def _admitted(
        self, request: Request, trace: Trace, identity: str, secret: str
    ) -> ChargerFacts | None:
        """Who sends; None when nobody knows them. Raises IdentityMismatch and AccessRefused."""
        user, password = request.credentials(identity)
        if secret:
            password = secret.encode()
        try:
            charger = await self._admit(
                identity=identity,
                transport="soap",
                peer=request.peer,
                user=user or None,
                password=password or None,
                in_path=bool(secret),
            )
        except admission.Refused as refusal:
            trace.kept = not refusal.unknown or refusal.mismatch
            if refusal.mismatch:
                raise IdentityMismatch(refusal.reason) from None
            if refusal.unknown:
                return None
            raise AccessRefused(refusal) from None
        return charger

    async def _admitted_early(
        self, request: Request, trace: Trace, beginning: str, named: str, secret: str, status: int
    ) -> None:
        """Look at who sends before more of a long body is received, or anything is parsed of one
        who has sent too much that was refused. Raises Refused with the status."""
        identity = named or guard.salvage(beginning).get("chargeBoxIdentity", "")
        trace.identity = identity[:255]
        if identity_problem(identity) or not await self._admitted(request, trace, identity, secret):
            raise Refused(UNREAD[status], status)

    def _incoming(
        self, request: Request, trace: Trace, envelope: Envelope, charger: ChargerFacts | None
    ) -> Incoming:
        """The message as the inbox takes it.

        Its action is empty when the envelope itself is wrong: such a message is answered with its
        error, whatever it would have been.
        """
        strict = charger is not None and charger.strict
        call: Call | None = None
        try:
            call = self._open(envelope, trace, charger, strict=strict)
            error = call.error
        except ProtocolError as refusal:
            error = refusal

        def encode(result: Payload | ProtocolError) -> str:
            if call is not None:
                return call.encode(result)
            known = result if isinstance(result, ProtocolError) else error
            assert known is not None
            return faults.fault_text(known, relates_to=envelope.message_id)

        return Incoming(
            charger=charger,
            identity=envelope.identity,
            transport="soap",
            action="" if call is None else call.action,
            message_id=envelope.message_id,
            raw=trace.raw,
            request=None if call is None else call.request,
            error=error,
            notes=(*envelope.notes, *(() if call is None else call.notes)),
            remote_address=request.remote_address,
            callback=envelope.sender,
            encode=encode,
            received_at=trace.received_at,
        )

    def _open(
        self, envelope: Envelope, trace: Trace, charger: ChargerFacts | None, *, strict: bool
    ) -> Call:
        """The call that an envelope makes. Raises the error of the envelope."""
        if envelope.body is not None:
            namespace = etree.QName(envelope.body).namespace or ""
            if namespace in (CP, ""):
                # A suds client's requests are in the Cp namespace (frame 116).
                envelope.notes.append(Note("namespace", envelope.body_name[:100], namespace))
            elif namespace != CS:
                envelope.broken(UnsupportedAction("Only OCPP 1.6 is spoken here."))
        if strict:
            addressing.check_strictly(envelope)
        if envelope.error is not None:
            raise envelope.error
        return self._service.open(
            envelope,
            strict=strict,
            received_at=trace.received_at,
            zone=UTC if charger is None else charger.zone,
        )

    def _fault(self, error: ProtocolError, request: Request, trace: Trace) -> Response:
        """The Fault of an error that the inbox has not seen, which is logged here."""
        if not trace.message_id:
            known = guard.salvage(trace.raw)
            trace.identity = trace.identity or known.get("chargeBoxIdentity", "")
            trace.action = trace.action or known.get("Action", "").rpartition("/")[2]
            trace.message_id = known.get("MessageID", "")
        self._budget.spend(request.remote_address, trace.cost)
        text = faults.fault_text(error, relates_to=trace.message_id)
        meters.message(trace.action, "soap", error)
        status, headers = faults.code_of(error).status, {}
        if isinstance(error, Refused):
            # What was not read of the request would be taken for the next one.
            status, headers = error.status, {"connection": "close"}
        elif isinstance(error, AccessRefused):
            # What was not read of the request would be taken for the next one.
            status, headers = error.status, {} if request.complete else {"connection": "close"}
            if error.unauthorized:
                headers["www-authenticate"] = 'Basic realm="ocpp"'
        if not trace.kept and not isinstance(error, InternalFailure):
            mismatch = isinstance(error, IdentityMismatch)
            kind = refusals.IDENTITY_MISMATCH if mismatch else refusals.INVALID_MESSAGES
            what = error.description
            if not isinstance(error, Refused):
                what = f"{type(error).__name__}: {masked_urls(what)}"
            self._refused(kind, f"HTTP {status}, {what}", request, trace)
        self._inbox.record(
            LogEntry(
                charger_pk=None,
                identity=trace.identity[:255],
                transport="soap",
                direction="in",
                action=trace.action[:64],
                message_id=trace.message_id[:255],
                request=trace.raw[:LOGGED].replace("\0", "\N{REPLACEMENT CHARACTER}"),
                answer=text,
                duration_ms=(time.monotonic() - trace.started) * 1000,
                error=f"{type(error).__name__}: {error.description}"[:255],
                remote_address=request.remote_address,
                at=trace.received_at,
            )
        )
        return Response(status, text.encode(), headers=headers)

    def _refused(self, kind: str, info: str, request: Request, trace: Trace) -> None:
        refusals.note(kind, info, address=request.remote_address, identity=trace.identity[:255])

    # --- pages -----------------------------------------------------------------------------------

    def _page(self, request: Request) -> Response:
        """What a browser or a SOAP toolkit gets."""
        place = request.path.removeprefix(PREFIX).strip("/")
        service = {"": Service.CENTRAL_SYSTEM, "charge-point": Service.CHARGE_POINT}.get(place)
        asked = request.query.partition("&")[0].partition("=")[0].lower()
        if request.method in ("GET", "HEAD") and asked == "wsdl" and service is not None:
            return Response(200, wsdl.wsdl(service, self._location(request)), WSDL_TYPE)
        text = f"OCPP 1.6 over SOAP: POST messages here; the service's WSDL is {PREFIX}?wsdl.\n"
        return Response(405, text.encode(), TEXT_TYPE, {"allow": "POST"})

    def _location(self, request: Request) -> str:
        """Where this service is found, as the client names it."""
        host = request.headers.get("host", "")
        host = host if _HOST.fullmatch(host) else "localhost"
        if self._config.public_host:
            port = host.rpartition(":")[2] if re.search(r":\d+$", host) else ""
            host = f"{self._config.public_host}:{port}" if port else self._config.public_host
        return f"{request.scheme}://{host}{PREFIX}"


def _path_identity(path: str) -> tuple[str, str]:
    """Identity and secret of a path, "" for what it does not hold. Raises Refused (404)."""
    identity, _, secret = path.removeprefix(PREFIX).strip("/").partition("/")
    nameless = identity in (".", "..") or (secret and not identity)
    readable = identity.isprintable() and secret.isprintable()
    if nameless or "/" in secret or not readable or 0 < len(secret) < SHORTEST:
        raise Refused("There is no such path.", 404)
    return identity, secret
