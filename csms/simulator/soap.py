"""OCPP-S 1.6: a charge point that posts envelopes and is called back at its own address."""

import asyncio
import base64
from typing import Any

import httpx

from csms.ocpp.base import Payload, Request, action, reply_type
from csms.ocpp.registry import from_central_system
from csms.simulator import envelopes
from csms.simulator.envelopes import CONTENT_TYPE, CP, CS, BadEnvelope, Envelope, Fault
from csms.simulator.soap_server import CallbackServer, HttpAnswer
from csms.simulator.transport import Answer, CallFailed, Endpoint, NoAnswer, Refused, Silent

_SUBCODES = {
    "NotImplemented": "NotSupported",
    "NotSupported": "NotSupported",
    "SecurityError": "SecurityError",
    "FormationViolation": "ProtocolError",
}
"""Codes of OCPP-J as sub-codes of OCPP-S §4; any other is an InternalError."""

HANGS = 3600.0
"""Seconds for which a call stays unanswered that is never to be answered."""


class SoapTransport:
    """Posts to `url`; listens at `host` and `port` (0: a free one) for calls.

    `callback_url` is what wsa:From says, by default the address at which it listens. `password`
    makes Basic authentication. `timeout` and `retry_wait` in seconds.
    """

    name = "SOAP"

    def __init__(
        self,
        url: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        callback_url: str = "",
        password: bytes | None = None,
        timeout: float = 30.0,
        retry_wait: float = 5.0,
    ) -> None:
        self.url = url
        self.host = host
        self.port = port
        self.callback_url = callback_url
        self.password = password
        self.timeout = timeout
        self.retry_wait = retry_wait
        self.reachable = True
        self._endpoint: Endpoint | None = None
        self._client: httpx.AsyncClient | None = None
        self._server: CallbackServer | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The charge point of this transport."""
        assert self._endpoint is not None, "start comes first"
        return self._endpoint

    async def start(self, endpoint: Endpoint) -> None:
        """Begin to listen."""
        self._endpoint = endpoint
        self._client = self._new_client()
        self._server = CallbackServer(
            self._respond,
            host=self.host,
            port=self.port,
            content_type=CONTENT_TYPE,
            follow_up=endpoint.follow_up,
        )
        self.port = await self._server.start()
        self.callback_url = self.callback_url or f"http://{self.host}:{self.port}/"

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=self.timeout, trust_env=False, follow_redirects=False)

    async def ready(self) -> None:
        """After a call that did not get through: wait a while."""
        if not self.reachable:
            await self.endpoint.clock.sleep(self.retry_wait)

    def set_password(self, password: bytes) -> None:
        """Use another password from now on."""
        self.password = password

    async def drop(self) -> None:
        """Close the connections that were kept alive."""
        client, self._client = self._client, self._new_client()
        if client is not None:
            await client.aclose()

    async def stop(self) -> None:
        """Stop listening and close."""
        if self._server is not None:
            await self._server.stop()
        if self._client is not None:
            await self._client.aclose()

    # --- calls of the charge point

    async def call(self, message_id: str, request: Request[Any], *, drop: bool = False) -> Payload:
        """Post a request and read its answer; with `drop` the answer is lost."""
        name = action(type(request))
        uuid = f"urn:uuid:{message_id}"
        content = envelopes.request(
            name,
            request,
            identity=self.endpoint.identity,
            message_id=uuid,
            to=self.url,
            sender=self.callback_url,
        )
        response = await self._post(name, content)
        if drop:
            raise NoAnswer("the answer was lost")
        try:
            envelope = envelopes.read(response.content)
            self._check_headers(name, uuid, envelope)
            expected = f"{{{CS}}}{envelopes.element_name(name, 'Response')}"
            if envelope.body.tag != expected:
                raise BadEnvelope(f"{expected} was expected, not {envelope.body.tag}")
            reply = envelopes.payload_of(envelope.body, reply_type(type(request)), CS)
        except Fault as error:
            self.reachable = True
            raise CallFailed(error.subcode, error.reason) from error
        except BadEnvelope as error:
            if response.status_code != httpx.codes.OK:
                self.reachable = False
                raise NoAnswer(f"HTTP {response.status_code}") from error
            self.endpoint.violation(f"{name} answered badly: {error}")
            raise CallFailed("ProtocolError", str(error)) from error
        self.reachable = True
        return reply

    async def _post(self, name: str, content: bytes) -> httpx.Response:
        if self._client is None:
            raise NoAnswer("the charge point is off")
        headers = {"Content-Type": f'{CONTENT_TYPE}; action="/{name}"'}
        if self.password is not None:
            credentials = self.endpoint.identity.encode() + b":" + self.password
            headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
        try:
            return await self._client.post(self.url, content=content, headers=headers)
        except (httpx.HTTPError, RuntimeError) as error:
            self.reachable = False
            raise NoAnswer(str(error) or type(error).__name__) from error

    def _check_headers(self, name: str, message_id: str, envelope: Envelope) -> None:
        """S3: the answer's Action is /XResponse and RelatesTo the MessageID of the request."""
        if envelope.headers.get("Action") != f"/{name}Response":
            said = envelope.headers.get("Action")
            self.endpoint.violation(f"{name} was answered with Action {said}")
        if envelope.headers.get("RelatesTo") != message_id:
            self.endpoint.violation(f"{name} was answered with another RelatesTo")

    # --- calls of the central system

    async def _respond(self, content: bytes) -> HttpAnswer:
        """What the callback server sends back."""
        message_id = ""
        try:
            envelope = envelopes.read(content)
            message_id = envelope.headers.get("MessageID", "")
            name, request = self._decoded(envelope)
            reply, then = await self._decided(message_id, request)
        except (BadEnvelope, Fault) as error:
            self.endpoint.violation(f"unreadable call: {error}")
            return self._fault("ProtocolError", str(error), message_id)
        except Refused as error:
            subcode = _SUBCODES.get(error.code, error.code)
            known = ("SecurityError", "IdentityMismatch", "ProtocolError", "NotSupported")
            return self._fault(
                subcode if subcode in known else "InternalError", error.description, message_id
            )
        except Silent as error:
            if not error.drop:
                await asyncio.sleep(HANGS)
            return HttpAnswer("", None)
        made = envelopes.response(
            name, reply, relates_to=message_id, identity=self.endpoint.identity
        )
        return HttpAnswer("200 OK", made, then)

    async def _decided(self, message_id: str, request: Request[Any]) -> Answer:
        return await self.endpoint.answer(message_id.removeprefix("urn:uuid:"), request)

    def _decoded(self, envelope: Envelope) -> tuple[str, Request[Any]]:
        """The action and its request; raises Refused or BadEnvelope."""
        identity = envelope.headers.get("chargeBoxIdentity", "")
        if identity != self.endpoint.identity:
            self.endpoint.violation(f"a call for {identity!r} came here")
            raise Refused("IdentityMismatch", "This is another charge point.")
        for header in ("Action", "MessageID", "From", "To", "ReplyTo"):  # S3
            if not envelope.headers.get(header):
                self.endpoint.violation(f"a call came without {header}")
        name = envelope.headers.get("Action", "").removeprefix("/")
        declaration = from_central_system(name)
        if declaration is None or not declaration.soap:
            self.endpoint.violation(f"unknown action {name}")
            raise Refused("NotSupported", f"{name} is not known.")
        if envelope.body.tag != f"{{{CP}}}{envelopes.element_name(name, 'Request')}":
            raise BadEnvelope(f"the body of {name} is {envelope.body.tag}")
        request = envelopes.payload_of(envelope.body, declaration, CP)
        assert isinstance(request, Request)
        return name, request

    def _fault(self, subcode: str, reason: str, message_id: str) -> HttpAnswer:
        receiver = subcode == "InternalError"
        made = envelopes.fault(subcode, reason, relates_to=message_id, sender=not receiver)
        return HttpAnswer("500 Internal Server Error" if receiver else "400 Bad Request", made)
