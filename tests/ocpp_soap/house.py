"""A SoapApplication with a trivial inbox, and the envelopes to knock at it with."""

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
from lxml import etree

from csms.conf import read
from csms.ocpp import core, firmware_management
from csms.ocpp.base import Payload, Request
from csms.ocpp.errors import ProtocolError, SecurityViolation, Unavailable
from csms.ocpp.types import AuthorizationStatus, IdTagInfo, RegistrationStatus
from csms.services.admission import Refused
from csms.services.facts import ChargerFacts
from csms.services.inbox import Incoming, LogEntry, Outcome
from ocpp_soap.asgi import SoapApplication
from ocpp_soap.namespaces import ANONYMOUS, CS, SOAP, WSA, request_element

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)
NS = {"env": SOAP, "wsa": WSA, "cs": CS}
ACCEPTED = IdTagInfo(status=AuthorizationStatus.ACCEPTED)

REPLIES: dict[type[Request[Any]], Payload] = {
    core.Authorize: core.AuthorizeResponse(id_tag_info=ACCEPTED),
    core.BootNotification: core.BootNotificationResponse(
        status=RegistrationStatus.ACCEPTED, current_time=NOW, interval=300
    ),
    core.DataTransfer: core.DataTransferResponse(
        status=core.DataTransferStatus.ACCEPTED, data="<&>\n"
    ),
    core.Heartbeat: core.HeartbeatResponse(current_time=NOW),
    core.MeterValues: core.MeterValuesResponse(),
    core.StartTransaction: core.StartTransactionResponse(transaction_id=7, id_tag_info=ACCEPTED),
    core.StatusNotification: core.StatusNotificationResponse(),
    core.StopTransaction: core.StopTransactionResponse(id_tag_info=ACCEPTED),
    firmware_management.DiagnosticsStatusNotification: (
        firmware_management.DiagnosticsStatusNotificationResponse()
    ),
    firmware_management.FirmwareStatusNotification: (
        firmware_management.FirmwareStatusNotificationResponse()
    ),
}


class FakeInbox:
    """Answers at once, and keeps what it was given."""

    def __init__(self) -> None:
        self.full = False
        self.available = True
        self.taken: list[Incoming] = []
        self.entries: list[LogEntry] = []
        self.decide: Callable[[Incoming], Payload | ProtocolError] = reply_to

    async def submit(self, incoming: Incoming) -> Outcome:
        if not self.available:
            raise Unavailable
        self.taken.append(incoming)
        result = self.decide(incoming)
        text = await asyncio.to_thread(incoming.encode, result)
        if isinstance(result, ProtocolError):
            return Outcome(text, None, result)
        return Outcome(text, result, None)

    def record(self, entry: LogEntry) -> None:
        self.entries.append(entry)


def reply_to(incoming: Incoming) -> Payload | ProtocolError:
    """The fixed reply of the action, or the error of what could not be read."""
    if incoming.error is not None:
        return incoming.error
    if incoming.charger is None:
        return SecurityViolation("The charge point is not known here.")
    return REPLIES[type(incoming.request)]  # type: ignore[index]


def facts(identity: str = "CP1", **changes: Any) -> ChargerFacts:
    """A tolerant SOAP charge point."""
    known: dict[str, Any] = {
        "pk": 1,
        "transport": "soap",
        "strict": False,
        "time_zone": "UTC",
        "authenticated": False,
    }
    return ChargerFacts(identity=identity, **(known | changes))


class House:
    """The application with a client at its ASGI door."""

    def __init__(self, **environment: str) -> None:
        self.inbox = FakeInbox()
        self.strict = False
        self.passwords: dict[str, bytes] = {}
        self.unknown: set[str] = set()
        self.asked: list[dict[str, Any]] = []
        self.application = SoapApplication(
            self.inbox, admit=self.admit, config=read(environment), complete_within=0.5
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.application), base_url="http://csms"
        )

    async def close(self) -> None:
        await self.client.aclose()

    async def admit(self, **asked: Any) -> ChargerFacts:
        self.asked.append(asked)
        identity = asked["identity"]
        if not self.inbox.available:
            raise Unavailable
        if identity in self.unknown:
            raise Refused("Not known here.", unknown=True)
        if asked["user"] not in (None, identity):
            raise Refused("The user name is not the identity.", unauthorized=True, mismatch=True)
        if identity in self.passwords and asked["password"] != self.passwords[identity]:
            raise Refused("The password is missing or wrong.", unauthorized=True)
        return facts(identity, strict=self.strict, authenticated=identity in self.passwords)

    async def post(
        self, body: str | bytes, path: str = "/ocpp/soap", **headers: str
    ) -> httpx.Response:
        content = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(
            path, content=content, headers={"content-type": "application/soap+xml", **named}
        )

    @property
    def last(self) -> Incoming:
        """What the inbox was given last."""
        return self.inbox.taken[-1]

    @property
    def request(self) -> Any:
        """The request that was read last."""
        return self.last.request


def basic(user: str, password: bytes) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(user.encode() + b":" + password).decode()


def header(identity: str = "CP1", action: str = "", message_id: str = "urn:uuid:1") -> str:
    """All headers that S3 asks of a charge point."""
    return (
        f'<cs:chargeBoxIdentity env:mustUnderstand="true">{identity}</cs:chargeBoxIdentity>'
        f'<wsa:Action env:mustUnderstand="true">{action}</wsa:Action>'
        f"<wsa:MessageID>{message_id}</wsa:MessageID>"
        "<wsa:From><wsa:Address>http://192.0.2.7:8080/cp</wsa:Address></wsa:From>"
        '<wsa:To env:mustUnderstand="true">http://csms/ocpp/soap</wsa:To>'
        '<wsa:ReplyTo env:mustUnderstand="true">'
        f"<wsa:Address>{ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
    )


def envelope(headers: str, body: str) -> str:
    """An envelope; prefixes env, wsa and cs are declared."""
    return (
        f'<env:Envelope xmlns:env="{SOAP}" xmlns:wsa="{WSA}" xmlns:cs="{CS}">'
        f"<env:Header>{headers}</env:Header><env:Body>{body}</env:Body></env:Envelope>"
    )


def message(action: str, inner: str = "", **named: str) -> str:
    """A whole message of an action."""
    body = f'<{request_element(action)} xmlns="{CS}">{inner}</{request_element(action)}>'
    return envelope(header(action=f"/{action}", **named), body)


HEARTBEAT = message("Heartbeat")


def parsed(response: httpx.Response) -> etree._Element:
    """The envelope of a response."""
    assert response.headers["content-type"] == "application/soap+xml; charset=utf-8"
    return etree.fromstring(response.content)


def text_of(root: etree._Element, path: str) -> str | None:
    """The text at a path with the prefixes env, wsa and cs; None when nothing is there."""
    return root.findtext(path, namespaces=NS)


def fault_of(response: httpx.Response) -> tuple[str, str]:
    """Code and subcode of a fault, the subcode resolved to `{namespace}name`."""
    fault = parsed(response).find("env:Body/env:Fault", NS)
    assert fault is not None, response.text
    code = fault.findtext("env:Code/env:Value", namespaces=NS) or ""
    sub = fault.find("env:Code/env:Subcode/env:Value", NS)
    if sub is None:
        return code, ""
    prefix, _, name = (sub.text or "").partition(":")
    return code, f"{{{sub.nsmap[prefix]}}}{name}"
