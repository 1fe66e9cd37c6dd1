"""A charge point at one of the two real edges, on a running system: bytes in, bytes out.

Both speak the same way, so that a test is told once for OCPP-J and OCPP-S: a call is an action and
plain values in the order of the WSDL, an answer is what came over the wire and what it says.
"""

import contextlib
import itertools
import json
import re
import socket
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import httpx
from lxml import etree

from csms.models import ChargePoint
from tests.running import PATIENCE, JsonCharger

if TYPE_CHECKING:
    from tests.running import System

CS = "urn://Ocpp/Cs/2015/10/"
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_WSA = "http://www.w3.org/2005/08/addressing"
_BODY = re.compile(r"<(?:\w+:)?Body>(.*)</(?:\w+:)?Body>", re.DOTALL)
_PREFIX = re.compile(r"(?<=[<])(/?)\w+:")
_numbers = itertools.count(1)


class Call(NamedTuple):
    """A request as it is meant; without an id of its own it gets a new one."""

    action: str
    payload: Any
    message_id: str = ""


class Answer(NamedTuple):
    """What a call is answered. JSON: numbers are numbers; SOAP: all values are texts."""

    raw: str
    """The frame or the envelope."""
    body: str
    """The payload's JSON, or the element in the body without its prefix."""
    fields: dict[str, Any]
    """Empty when it is an error."""
    error: str = ""
    """The errorCode of a CALLERROR, the subcode of a Fault; empty for a reply."""

    @property
    def transaction_id(self) -> int:
        return int(self.fields["transactionId"])

    @property
    def status(self) -> str | None:
        """Of the idTagInfo, where there is one."""
        status: str | None = self.fields.get("idTagInfo", {}).get("status")
        return status


class Edge(Protocol):
    """A charge point that talks."""

    row: ChargePoint

    def exchange(self, calls: Sequence[Call]) -> list[Answer]:
        """Send all, without waiting for answers in between; the answer of each."""

    def lose(self, calls: Sequence[Call]) -> None:
        """Send all, and be gone without having read an answer; then connect anew."""

    def reconnect(self) -> None:
        """End the connection in order and make a new one."""

    def written(self, action: str, payload: Any) -> str:
        """A request's payload as `essence` finds it in what was sent."""

    def reply(self, action: str, **fields: Any) -> str:
        """The body of an answer with these fields, byte for byte."""


def essence(raw: str) -> str:
    """What a frame or an envelope says, apart from ids and headers."""
    if raw.startswith("["):
        return json.dumps(json.loads(raw)[3], sort_keys=True)
    found = _BODY.search(raw)
    assert found is not None, raw
    return found[1]


def numbered(calls: Sequence[Call]) -> list[Call]:
    """The calls, each with a message id."""
    return [c if c.message_id else c._replace(message_id=f"e{next(_numbers)}") for c in calls]


def ask(edge: Edge, action: str, message_id: str = "", **payload: Any) -> Answer:
    """One call, and what it is answered; never an error."""
    (answer,) = edge.exchange([Call(action, payload, message_id)])
    assert not answer.error, answer.raw
    return answer


class JsonEdge:
    """A WebSocket to the real server."""

    def __init__(self, system: "System", row: ChargePoint) -> None:
        self.row = row
        self._system = system
        self.charger = self._connected()

    def _connected(self) -> JsonCharger:
        charger = JsonCharger(self._system, self.row)
        return charger.__enter__()

    def exchange(self, calls: Sequence[Call]) -> list[Answer]:
        calls = numbered(calls)
        for call in calls:
            self.charger.send(_frame(call))
        came: dict[str, list[Answer]] = defaultdict(list)
        for _ in calls:
            answer = _json_answer(str(self.charger.socket.recv(timeout=PATIENCE)))
            came[json.loads(answer.raw)[1]].append(answer)
        answers = [came[call.message_id].pop(0) for call in calls]
        assert not any(came.values()), came
        return answers

    def lose(self, calls: Sequence[Call]) -> None:
        for call in numbered(calls):
            self.charger.send(_frame(call))
        with contextlib.suppress(OSError):
            self.charger.socket.socket.shutdown(socket.SHUT_RDWR)
        self.reconnect()

    def reconnect(self) -> None:
        self.close()
        self.charger = self._connected()

    def close(self) -> None:
        self.charger.__exit__(None, None, None)

    def written(self, action: str, payload: Any) -> str:
        return json.dumps(payload, sort_keys=True)

    def reply(self, action: str, **fields: Any) -> str:
        return json.dumps(fields, separators=(",", ":"))


def _frame(call: Call) -> str:
    return json.dumps([2, call.message_id, call.action, call.payload])


def _json_answer(raw: str) -> Answer:
    frame = json.loads(raw)
    if frame[0] == 4:
        assert len(frame) == 5, raw
        return Answer(raw, "", {}, frame[2])
    kind, message_id, fields = frame
    assert kind == 3, raw
    beginning = f"[3,{json.dumps(message_id)},"
    assert raw.startswith(beginning), raw
    return Answer(raw, raw[len(beginning) : -1], fields)


class SoapEdge:
    """HTTP posts to the real server, on kept connections."""

    def __init__(self, system: "System", row: ChargePoint) -> None:
        self.row = row
        self._url = system.soap_url
        self._client = self._connected()

    @staticmethod
    def _connected() -> httpx.Client:
        return httpx.Client(
            trust_env=False,
            timeout=PATIENCE,
            headers={"Content-Type": "application/soap+xml; charset=utf-8"},
        )

    def exchange(self, calls: Sequence[Call]) -> list[Answer]:
        calls = numbered(calls)
        if len(calls) <= 1:  # the usual case needs no threads
            return [self._post(call) for call in calls]
        with ThreadPoolExecutor(len(calls)) as pool:  # at once, each on a connection of its own
            return list(pool.map(self._post, calls))

    def _post(self, call: Call) -> Answer:
        response = self._client.post(self._url, content=self._envelope(call))
        assert response.status_code in (200, 400, 401, 403, 500), response
        answer = _soap_answer(response.text, call)
        assert bool(answer.error) == (response.status_code != 200)
        return answer

    def _envelope(self, call: Call) -> str:
        sender = self.row.callback_url or f"{_WSA}/anonymous"
        return (
            f'<s:Envelope xmlns:s="{_SOAP}" xmlns:a="{_WSA}" xmlns:c="{CS}"><s:Header>'
            f"<c:chargeBoxIdentity>{self.row.identity}</c:chargeBoxIdentity>"
            f"<a:Action>/{call.action}</a:Action><a:MessageID>{call.message_id}</a:MessageID>"
            f"<a:From><a:Address>{sender}</a:Address></a:From>"
            f"<a:To>{self._url}</a:To></s:Header>"
            f"<s:Body>{self.written(call.action, call.payload)}</s:Body></s:Envelope>"
        )

    def lose(self, calls: Sequence[Call]) -> None:
        where = urlsplit(self._url)
        for call in numbered(calls):
            content = self._envelope(call).encode()
            head = (
                f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n"
                f"Content-Type: application/soap+xml; charset=utf-8\r\n"
                f"Content-Length: {len(content)}\r\n\r\n"
            )
            with socket.create_connection((where.hostname or "", where.port or 0)) as sending:
                sending.sendall(head.encode() + content)
                sending.settimeout(PATIENCE)
                sending.recv(1, socket.MSG_PEEK)  # what is told later would come after the retry
        self.reconnect()

    def reconnect(self) -> None:
        self.close()
        self._client = self._connected()

    def close(self) -> None:
        self._client.close()

    def written(self, action: str, payload: Any) -> str:
        name = f"{action[0].lower()}{action[1:]}Request"
        return _element(f"c:{name}", payload if isinstance(payload, dict) else {}, prefix="c:")

    def reply(self, action: str, **fields: Any) -> str:
        return _element(f"{action[0].lower()}{action[1:]}Response", fields, prefix="")


def _element(tag: str, value: Any, *, prefix: str) -> str:
    """An element for a plain value; a list is as many elements as it has items."""
    if isinstance(value, dict):
        inner = "".join(
            _element(f"{prefix}{name}", item, prefix=prefix)
            for name, items in value.items()
            for item in (items if isinstance(items, list) else [items])
        )
        return f"<{tag}>{inner}</{tag}>" if inner else f"<{tag}/>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{tag}>{escape(text)}</{tag}>"


def _soap_answer(raw: str, call: Call) -> Answer:
    envelope = etree.fromstring(raw.encode())
    assert envelope.findtext(f".//{{{_WSA}}}RelatesTo") == call.message_id, raw
    body = envelope.find(f"{{{_SOAP}}}Body")
    assert body is not None
    assert len(body) == 1, raw
    if body[0].tag == f"{{{_SOAP}}}Fault":
        subcode = body.findtext(f".//{{{_SOAP}}}Subcode/{{{_SOAP}}}Value", "")
        return Answer(raw, "", {}, subcode.rpartition(":")[2])
    name = f"{call.action[0].lower()}{call.action[1:]}Response"
    assert body[0].tag == f"{{{CS}}}{name}", raw
    assert envelope.findtext(f".//{{{_WSA}}}Action") == f"/{call.action}Response", raw
    return Answer(raw, _PREFIX.sub(r"\1", essence(raw)), _fields(body[0]))


def _fields(element: etree._Element) -> dict[str, Any]:
    return {
        etree.QName(child).localname: _fields(child) if len(child) else child.text or ""
        for child in element
    }


EDGES: dict[str, type[JsonEdge] | type[SoapEdge]] = {"json": JsonEdge, "soap": SoapEdge}
"""By the name of their transport."""
