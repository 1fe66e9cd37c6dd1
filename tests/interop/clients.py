"""Charge points that are none of ours: the `ocpp` package, zeep over the official WSDL, and a
small server for calls. Everything they are answered is judged by the official files."""

import asyncio
import json
from pathlib import Path
from typing import Any

import ocpp.v16
import zeep
from lxml import etree
from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import on
from ocpp.v16 import call, call_result
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.simulator.official import check_json, check_xml

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
CS = "urn://Ocpp/Cs/2015/10/"
CP = "urn://Ocpp/Cp/2015/10/"
ANONYMOUS = f"{WSA}/anonymous"

Payload = dict[str, Any]


class Judged:
    """A WebSocket whose frames are judged by the official schemas as they pass."""

    def __init__(self, socket: ClientConnection, contracts: Path) -> None:
        self.socket = socket
        self.contracts = contracts
        self.asked: dict[str, str] = {}
        self.answers: list[Payload] = []
        self.calls: list[tuple[str, Payload]] = []

    async def send(self, text: str) -> None:
        frame = json.loads(text)
        if frame[0] == 2:
            self.asked[frame[1]] = frame[2]
        await self.socket.send(text)

    async def recv(self) -> str:
        text = await self.socket.recv(decode=True)
        frame = json.loads(text)
        if frame[0] == 2:
            check_json(self.contracts, frame[2], frame[3])
            self.calls.append((frame[2], frame[3]))
        else:
            assert frame[0] == 3, frame
            check_json(self.contracts, f"{self.asked[frame[1]]}Response", frame[2])
            self.answers.append(frame[2])
        return text


class OcppClient(ocpp.v16.ChargePoint):  # type: ignore[misc]
    """The `ocpp` package's charge point; it answers the four commands with `status`."""

    status = "Accepted"

    @on("TriggerMessage")  # type: ignore[untyped-decorator]
    async def on_trigger_message(self, **_: Any) -> Any:
        return call_result.TriggerMessage(status=self.status)

    @on("Reset")  # type: ignore[untyped-decorator]
    async def on_reset(self, **_: Any) -> Any:
        return call_result.Reset(status=self.status)

    @on("RemoteStartTransaction")  # type: ignore[untyped-decorator]
    async def on_remote_start_transaction(self, **_: Any) -> Any:
        return call_result.RemoteStartTransaction(status=self.status)

    @on("RemoteStopTransaction")  # type: ignore[untyped-decorator]
    async def on_remote_stop_transaction(self, **_: Any) -> Any:
        return call_result.RemoteStopTransaction(status=self.status)


class JsonSession:
    """A charge point of the `ocpp` package; its methods run on the loop where it was opened."""

    def __init__(self, socket: Judged, identity: str) -> None:
        self.socket = socket
        self.client = OcppClient(identity, socket)
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, identity: str, contracts: Path) -> "JsonSession":
        socket = await connect(
            f"{url}/{identity}", subprotocols=[Subprotocol("ocpp1.6")], proxy=None
        )
        return cls(Judged(socket, contracts), identity)

    async def _read(self) -> None:
        await self.client.start()

    async def call(self, action: str, payload: Payload) -> Payload:
        """The answer's payload, as it was on the wire."""
        request = getattr(call, action)(**camel_to_snake_case(payload))
        await self.client.call(request, suppress=False)
        return self.socket.answers[-1]

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self.socket.socket.close()


class _Headers(zeep.Plugin):
    """Writes the headers that S3 asks of a charge point, and judges each answer."""

    def __init__(self, contracts: Path, callback: str) -> None:
        self.contracts = contracts
        self.callback = callback
        self.asked = ""
        self.answer: Payload = {}

    def egress(self, envelope: Any, headers: Any, operation: Any, options: Any) -> Any:
        header = envelope.find(f"{{{SOAP}}}Header")
        for name, address in (("From", self.callback), ("ReplyTo", ANONYMOUS)):
            block = etree.SubElement(header, f"{{{WSA}}}{name}")
            etree.SubElement(block, f"{{{WSA}}}Address").text = address
        for name in ("Action", "To", "ReplyTo"):
            header.find(f"{{{WSA}}}{name}").set(f"{{{SOAP}}}mustUnderstand", "true")
        header.find(f"{{{CS}}}chargeBoxIdentity").set(f"{{{SOAP}}}mustUnderstand", "true")
        self.asked = header.findtext(f"{{{WSA}}}MessageID")
        return envelope, headers

    def ingress(self, envelope: Any, headers: Any, operation: Any) -> Any:
        header = envelope.find(f"{{{SOAP}}}Header")
        assert header.findtext(f"{{{WSA}}}Action") == f"/{operation.name}Response"
        assert header.findtext(f"{{{WSA}}}RelatesTo") == self.asked
        assert header.findtext(f"{{{WSA}}}MessageID")
        assert header.findtext(f"{{{WSA}}}To") == ANONYMOUS
        (body,) = envelope.find(f"{{{SOAP}}}Body")
        check_xml(self.contracts, body)
        self.answer = plain(body) or {}
        return envelope, headers


def plain(element: etree._Element) -> Any:
    """An element as dicts of texts; without children and text it is None."""
    if len(element):
        return {etree.QName(child).localname: plain(child) for child in element}
    return element.text


class SoapSession:
    """A charge point of zeep, made from the official WSDL."""

    def __init__(self, url: str, identity: str, contracts: Path, callback: str) -> None:
        self.identity = identity
        self._plugin = _Headers(contracts, callback)
        wsdl = contracts / "ocpp16-wsdl" / "OCPP_CentralSystemService_1.6.wsdl"
        self._client = zeep.Client(str(wsdl), plugins=[self._plugin])
        self._client.transport.session.trust_env = False
        self._service = self._client.create_service(f"{{{CS}}}CentralSystemServiceSoap", url)

    def call(self, action: str, payload: Payload) -> Payload:
        """The answer's body as texts."""
        headers = {"ChargeBoxIdentity": self.identity}
        getattr(self._service, action)(**payload, _soapheaders=headers)
        return self._plugin.answer

    def close(self) -> None:
        self._client.transport.session.close()


def check_call(
    contracts: Path, headers: dict[str, str], text: str, *, identity: str, to: str
) -> tuple[str, Payload]:
    """Judge a call that a SOAP charge point received (N25); its action and payload."""
    assert headers["content-type"].startswith("application/soap+xml")
    envelope = etree.fromstring(text.encode())
    (header,) = envelope.findall(f"{{{SOAP}}}Header")
    found = {etree.QName(block).localname: block for block in header}
    assert len(found) == len(header)
    assert set(found) == {"Action", "MessageID", "From", "To", "ReplyTo", "chargeBoxIdentity"}
    (body,) = envelope.findall(f"{{{SOAP}}}Body/*")
    check_xml(contracts, body)
    name = etree.QName(body).localname.removesuffix("Request")
    action = name[0].upper() + name[1:]
    assert found["Action"].text == f"/{action}"
    assert (found["MessageID"].text or "").startswith("urn:uuid:")
    assert found["To"].text == to
    assert found["From"].findtext(f"{{{WSA}}}Address")
    assert found["ReplyTo"].findtext(f"{{{WSA}}}Address") == ANONYMOUS
    assert found["chargeBoxIdentity"].tag == f"{{{CP}}}chargeBoxIdentity"
    assert found["chargeBoxIdentity"].text == identity
    for name in ("Action", "To", "ReplyTo", "chargeBoxIdentity"):
        assert found[name].get(f"{{{SOAP}}}mustUnderstand") == "true"
    return action, plain(body) or {}


def answer_call(text: str, status: str) -> str:
    """What a SOAP charge point answers: the status, or a Fault when it is "Fault"."""
    envelope = etree.fromstring(text.encode())
    (body,) = envelope.findall(f"{{{SOAP}}}Body/*")
    name = etree.QName(body).localname.replace("Request", "Response")
    relates_to = envelope.findtext(f".//{{{WSA}}}MessageID")
    if status == "Fault":
        content = (
            "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>p:InternalError"
            '</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">No.</s:Text>'
            "</s:Reason></s:Fault>"
        )
    else:
        content = f"<p:{name}><p:status>{status}</p:status></p:{name}>"
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}" xmlns:p="{CP}"><s:Header>'
        f"<a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>{content}</s:Body></s:Envelope>"
    )
