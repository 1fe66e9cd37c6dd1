"""Calls to SOAP charge points: zeep builds their envelopes, httpx sends them.

zeep works from the WSDL of ChargePointService that `wsdl` derives from the declarations, and does
no I/O. Replies are read by our codec, strictly, then tolerantly: charge points answer without
headers, without MessageID, with any RelatesTo; the HTTP exchange tells which call they answer.
"""

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
import zeep
from lxml import etree

from csms.conf import Settings, settings
from csms.ocpp.base import Request, action, reply_type
from csms.ocpp.errors import ProtocolError
from csms.ocpp.tolerance import Note
from csms.services import callbacks
from csms.services.facts import ChargerFacts
from csms.services.outbox import Answer, CallFailed, Claimed, NoAnswer, NotSent, Replied, Unreadable
from ocpp_soap import addressing, codec, guard
from ocpp_soap.namespaces import (
    ANONYMOUS,
    CP,
    HEADER,
    MUST_UNDERSTAND,
    WSA,
    Service,
    response_element,
)
from ocpp_soap.wsdl import wsdl

ANSWER_WITHIN = 10.0
"""Seconds for a whole call: a dead callback costs no more (F17)."""
CONNECT_WITHIN = 5.0
RESOLVERS = 32
"""Threads that resolve host names, so that dead name servers delay nobody else's."""
LONGEST_DESCRIPTION = 255

_KEPT = (datetime, Decimal)
_MUST_UNDERSTAND = frozenset({"Action", "To", "ReplyTo", "chargeBoxIdentity"})


class Envelopes:
    """Builds the envelopes of calls."""

    def __init__(self, *, own_address: str = ANONYMOUS) -> None:
        """`own_address`: where charge points reach us; it is what From says."""
        self._own_address = own_address
        self._zeep: Any = zeep.Client(  # type: ignore[no-untyped-call]
            io.BytesIO(wsdl(Service.CHARGE_POINT, ANONYMOUS))
        )

    def build(self, request: Request[Any], *, identity: str, to: str, message_id: str) -> str:
        """The envelope of one call, its headers as S3 asks (N25)."""
        envelope = self._zeep.create_message(
            self._zeep.service,
            action(type(request)),
            **_arguments(msgspec.to_builtins(request, builtin_types=_KEPT)),
            _soapheaders={"ChargeBoxIdentity": identity},
        )
        header = envelope.find(HEADER)
        # zeep's own addressing has written Action, MessageID and To.
        header.find(f"{{{WSA}}}MessageID").text = f"urn:uuid:{message_id}"
        header.find(f"{{{WSA}}}To").text = to
        for name, address in (("From", self._own_address), ("ReplyTo", ANONYMOUS)):
            block = etree.SubElement(header, f"{{{WSA}}}{name}")
            etree.SubElement(block, f"{{{WSA}}}Address").text = address
        for block in header:
            if etree.QName(block).localname in _MUST_UNDERSTAND:
                block.set(MUST_UNDERSTAND, "true")
        return etree.tostring(envelope, encoding="unicode")


def _arguments(plain: Any) -> Any:
    """Plain values as zeep takes them: its repeated elements are lists, never tuples."""
    if isinstance(plain, dict):
        return {name: _arguments(value) for name, value in plain.items()}
    return [_arguments(item) for item in plain] if isinstance(plain, list | tuple) else plain


class Received(NamedTuple):
    """An HTTP response."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        """For the log and for people."""
        return self.body.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


class _Lost(Exception):
    """No response; `sent` says whether the charge point may have read the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


class Sender:
    """Sends envelopes: to pinned addresses, without redirects, bounded in time and size."""

    def __init__(self, config: Settings | None = None, *, within: float = ANSWER_WITHIN) -> None:
        self._config = config or settings()
        self._within = within
        self._resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="soap-resolve")
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
            timeout=httpx.Timeout(within, connect=min(CONNECT_WITHIN, within)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Give up what is open."""
        await self._client.aclose()
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, text: str, name: str) -> Received:
        """The response to an envelope. Raises _Lost."""
        sent = False

        async def trace(event: str, _: Any) -> None:
            nonlocal sent
            sent = sent or event.endswith("send_request_headers.started")

        try:
            async with asyncio.timeout(self._within):
                target = await asyncio.get_running_loop().run_in_executor(
                    self._resolvers, callbacks.check, url, self._config
                )
                return await self._exchange(target, text, name, trace)
        except callbacks.CallbackRefused as refused:
            raise _Lost(str(refused), sent=False) from None
        except TimeoutError:
            raise _Lost(f"No answer within {self._within:g} seconds.", sent=sent) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError) as error:
            raise _Lost(_in_words(error), sent=sent) from None

    async def _exchange(
        self,
        target: callbacks.Target,
        text: str,
        name: str,
        trace: Callable[[str, Any], Awaitable[None]],
    ) -> Received:
        parts = urlsplit(target.url)
        pinned = f"[{target.address}]" if ":" in target.address else target.address
        url = parts._replace(netloc=f"{pinned}:{target.port}", fragment="").geturl()
        headers = {
            "host": parts.netloc,
            "content-type": f'application/soap+xml; charset=utf-8; action="/{name}"',
            "accept-encoding": "identity",
        }
        extensions = {"trace": trace, "sni_hostname": target.host}
        limit = self._config.max_message_bytes
        async with self._client.stream(
            "POST", url, content=text.encode(), headers=headers, extensions=extensions
        ) as response:
            parts_read: list[bytes] = []
            size = 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > limit:
                    raise _Lost("The answer is too large.", sent=True)
                parts_read.append(part)
            try:
                coding = response.headers.get("content-encoding", "")
                body = guard.unfold(b"".join(parts_read), coding, limit)
            except ProtocolError as refused:
                raise _Lost(refused.description, sent=True) from None
            return Received(response.status_code, response.headers.get("content-type", ""), body)


def _in_words(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "The connection was not answered in time."
    if isinstance(error, httpx.ConnectError):
        return f"No connection: {error}"[:LONGEST_DESCRIPTION]
    return f"The connection was lost: {type(error).__name__} {error}"[:LONGEST_DESCRIPTION]


class Caller:
    """Makes one call and says what came of it."""

    def __init__(self, *, envelopes: Envelopes, sender: Sender) -> None:
        self._envelopes = envelopes
        self._sender = sender

    async def close(self) -> None:
        """Give up what is open."""
        await self._sender.close()

    def build(self, claimed: Claimed) -> str:
        """The envelope of a command."""
        return self._envelopes.build(
            claimed.request,
            identity=claimed.charger.identity,
            to=claimed.callback_url,
            message_id=claimed.message_id,
        )

    async def call(self, claimed: Claimed, text: str) -> tuple[Answer, str]:
        """What became of a command whose envelope is `text`, and the raw answer ("" without)."""
        try:
            received = await self._sender.post(claimed.callback_url, text, claimed.action)
        except _Lost as lost:
            return (NoAnswer(lost.why) if lost.sent else NotSent(lost.why)), ""
        answer = read_reply(
            received,
            type(claimed.request),
            charger=claimed.charger,
            message_id=claimed.message_id,
            received_at=datetime.now(UTC),
        )
        return answer, received.text


def make_caller(config: Settings | None = None) -> Caller:
    """A Caller by the settings; From names us when CSMS_PUBLIC_HOST says who we are."""
    config = config or settings()
    own = f"http://{config.public_host}:{config.http_port}/ocpp/soap"
    envelopes = Envelopes(own_address=own if config.public_host else ANONYMOUS)
    return Caller(envelopes=envelopes, sender=Sender(config))


def read_reply(
    received: Received,
    request: type[Request[Any]],
    *,
    charger: ChargerFacts,
    message_id: str,
    received_at: datetime,
) -> Answer:
    """What a response means as the answer to `request`."""
    refused = received.status // 100 != 2
    try:
        root = guard.parse(guard.decode(received.body, received.content_type))
        envelope = addressing.read_envelope(root, CP)
        body = envelope.body
        if body is None:
            raise envelope.error or ProtocolError("The answer has no body.")
        if etree.QName(body).localname == "Fault":
            return _failed(body, received.text)
        if refused:
            return CallFailed(f"HTTP {received.status}", "", received.text)
        if envelope.body_name != response_element(action(request)):
            return Unreadable(received.text, "The body element is not the one that was asked for.")
        reading = codec.read(
            reply_type(request),
            body,
            namespace=CP,
            strict=charger.strict,
            received_at=received_at,
            zone=charger.zone,
        )
    except ProtocolError as error:
        if refused:
            return CallFailed(f"HTTP {received.status}", "", received.text)
        return Unreadable(received.text, error.description)
    notes = [*envelope.notes, *reading.notes]
    if envelope.relates_to not in ("", f"urn:uuid:{message_id}"):
        notes.append(Note("relates_to", "RelatesTo", envelope.relates_to[:255]))
    return Replied(reading.request, received.text, tuple(notes))


def _failed(fault: etree._Element, raw: str) -> CallFailed:
    """A Fault of SOAP 1.2 or 1.1: the innermost code that it names, and its reason."""
    values = [
        (element.text or "").strip().rpartition(":")[2]
        for element in fault.iter("{*}Value", "{*}faultcode", "faultcode")
    ]
    reasons = [
        " ".join((element.text or "").split())
        for element in fault.iter("{*}Text", "{*}faultstring", "faultstring")
    ]
    return CallFailed(
        (values[-1] if values else "Fault")[:64],
        (reasons[0] if reasons else "")[:LONGEST_DESCRIPTION],
        raw,
    )
