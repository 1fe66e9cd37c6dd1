"""HTTP as SOAP needs it: one request read within its limits, one response written."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from csms.conf import settings
from csms.services.peers import peer_of
from ocpp_soap import guard
from ocpp_soap.errors import Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SOAP_TYPE = "application/soap+xml; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
WSDL_TYPE = "text/xml; charset=utf-8"


class Gone(Exception):
    """The client closed its connection before its request was complete."""


class Request:
    """One HTTP request. Header names are in lower case; of a repeated header the last counts."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._received = b""
        self._complete = False
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        client = scope.get("client")
        tls = scope.get("extensions", {}).get("tls")
        self.peer = peer_of(
            self.headers,
            address=client[0] if client else "",
            tls=tls is not None,
            certificate=None if tls is None else tls["client_cert_der"],
            proxies=settings().trusted_proxies,
        )
        """Who sends, by the socket or by a listed proxy."""
        self.remote_address = self.peer.address
        self.scheme = "https" if self.peer.tls else "http"

    async def beginning(self, size: int, *, seconds: float) -> bytes:
        """The body as it was sent: all of it, or its first bytes, at least `size` of them.

        `body` reads on from there. Raises Refused (408) and Gone.
        """
        await self._read(size, seconds)
        return self._received

    @property
    def complete(self) -> bool:
        """All of the body was received."""
        return self._complete

    async def body(self, *, limit: int, seconds: float) -> str:
        """The text of the body, at most `limit` bytes long, received within `seconds`.

        Raises Refused and Gone.
        """
        size = guard.declared_size(self.headers.get("content-length"), limit)
        if not self._complete:
            await self._read(limit + 1, seconds)
        raw = self._received
        if len(raw) > limit:
            raise Refused("The message is too large.", 413)
        if size is not None and size != len(raw):
            raise Refused("The body is not as long as its Content-Length.", 400)
        body = guard.unfold(raw, self.headers.get("content-encoding", ""), limit)
        return guard.decode(body, self.headers.get("content-type", ""))

    async def _read(self, size: int, seconds: float) -> None:
        """Receive until there are `size` bytes, or all."""
        parts = [self._received]
        held = len(self._received)
        try:
            async with asyncio.timeout(seconds):
                while not self._complete and held < size:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        raise Gone
                    part = message.get("body", b"")
                    held += len(part)
                    parts.append(part)
                    self._complete = not message.get("more_body", False)
        except TimeoutError:
            raise Refused("The request was not complete in time.", 408) from None
        self._received = b"".join(parts)

    def credentials(self, identity: str) -> tuple[str | None, bytes | None]:
        """User name and password of HTTP Basic, (None, None) without.

        A user name has no colon by RFC 7617, but identities have (`00:13:F6:00:00:01`): when what
        was sent begins with `identity` and a colon, that is the user name.
        """
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None, None
        try:
            plain = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return "", b""
        named = identity.encode() + b":"
        if plain.startswith(named):
            return identity, plain[len(named) :]
        user, _, password = plain.partition(b":")
        return user.decode("utf-8", "replace"), password


@dataclass(slots=True, frozen=True)
class Response:
    """One HTTP response."""

    status: int
    body: bytes = b""
    content_type: str = SOAP_TYPE
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        """Write it."""
        headers = {**self.headers, "content-length": str(len(self.body))}
        if self.body:
            headers["content-type"] = self.content_type
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        await send({"type": "http.response.body", "body": self.body})
