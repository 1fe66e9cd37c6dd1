"""Whole sessions of SOAP toolkits over a real socket."""

import asyncio
import base64
import contextlib
import io
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
import zeep
from lxml import etree

from ocpp_soap.namespaces import ANONYMOUS, CS, SOAP, WSA
from tests.ocpp_soap.house import HEARTBEAT, House

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@contextlib.contextmanager
def _served(house: House) -> Iterator[str]:
    """The application behind uvicorn on a free port, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(house.application, lifespan="off", log_config=None, ws="none", http="h11")
    )
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/ocpp/soap"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def served() -> Iterator[tuple[House, str]]:
    house = House()
    with _served(house) as url:
        yield house, url


class _Headers(zeep.Plugin):
    """What a charge point adds to zeep's own headers; keeps the answers for the schema."""

    def __init__(self) -> None:
        self.answers: list[etree._Element] = []

    def egress(self, envelope, http_headers, operation, binding_options):
        header = envelope.find(f"{{{SOAP}}}Header")
        for name, address in (("From", "http://192.0.2.7:8080/"), ("ReplyTo", ANONYMOUS)):
            block = etree.SubElement(header, f"{{{WSA}}}{name}")
            etree.SubElement(block, f"{{{WSA}}}Address").text = address
        return envelope, http_headers

    def ingress(self, envelope, http_headers, operation):
        self.answers.append(envelope)
        return envelope, http_headers


def _session(client: zeep.Client, url: str) -> None:
    binding = f"{{{CS}}}CentralSystemServiceSoap"
    service = client.create_service(binding, url)
    named = {"_soapheaders": {"ChargeBoxIdentity": "CP1"}}
    boot = service.BootNotification(chargePointVendor="V", chargePointModel="M", **named)
    assert (boot.status, boot.interval, boot.currentTime) == ("Accepted", 300, NOW)
    service.StatusNotification(
        connectorId=1, status="Available", errorCode="NoError", timestamp=NOW, **named
    )
    assert service.Authorize(idTag="TAG", **named).status == "Accepted"
    start = service.StartTransaction(
        connectorId=1, idTag="TAG", timestamp=NOW, meterStart=0, **named
    )
    assert (start.transactionId, start.idTagInfo.status) == (7, "Accepted")
    sample = {"value": "5", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    service.MeterValues(
        connectorId=1,
        transactionId=7,
        meterValue=[{"timestamp": NOW, "sampledValue": [sample, {"value": "6"}]}],
        **named,
    )
    stop = service.StopTransaction(
        transactionId=7, idTag="TAG", timestamp=NOW, meterStop=5, reason="Local", **named
    )
    assert stop.status == "Accepted"
    assert service.Heartbeat(**named) == NOW
    assert service.DataTransfer(vendorId="V", data="<&>", **named).data == "<&>\n"
    service.FirmwareStatusNotification(status="Installed", **named)
    service.DiagnosticsStatusNotification(status="Uploaded", **named)
    with pytest.raises(zeep.exceptions.Fault, match="chargeBoxIdentity"):
        service.Heartbeat(_soapheaders={"ChargeBoxIdentity": "a/b"})


@pytest.mark.contract
@pytest.mark.parametrize("origin", ["ours", "official"])
def test_session_of_a_zeep_client(
    served: tuple[House, str],
    origin: str,
    official_wsdl: Callable[[str], Path],
    official_schema: Callable[[str], etree.XMLSchema],
) -> None:
    house, url = served
    if origin == "ours":
        source: object = io.BytesIO(httpx.get(f"{url}?wsdl", trust_env=False).content)
    else:
        source = str(official_wsdl("CentralSystem"))
    plugin = _Headers()
    with zeep.Client(source, plugins=[plugin]) as client:
        _session(client, url)
    assert [(each.action, each.notes) for each in house.inbox.taken] == [
        (action, ())
        for action in (
            "BootNotification",
            "StatusNotification",
            "Authorize",
            "StartTransaction",
            "MeterValues",
            "StopTransaction",
            "Heartbeat",
            "DataTransfer",
            "FirmwareStatusNotification",
            "DiagnosticsStatusNotification",
        )
    ]
    schema = official_schema("CentralSystem")
    for answer in plugin.answers[:-1]:  # the last is a Fault
        (element,) = answer.iterfind(f"{{{SOAP}}}Body/*")
        schema.assertValid(element)


def _exchange(url: str, raw: bytes, *, seconds: float = 5) -> bytes:
    """What comes back over a plain socket until it is closed or silent."""
    parts = httpx.URL(url)
    with socket.create_connection((parts.host, parts.port), timeout=seconds) as connection:
        connection.sendall(raw)
        received = b""
        with contextlib.suppress(TimeoutError):
            while part := connection.recv(65_536):
                received += part
                if b"</env:Envelope>" in received:
                    break
        return received


def test_raw_socket(served: tuple[House, str]) -> None:
    house, url = served
    body = HEARTBEAT.encode()
    head = "POST /ocpp/soap HTTP/1.1\r\nHost: csms\r\n"
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    assert _exchange(url, whole).startswith(b"HTTP/1.1 200")
    chunked = b"".join(b"%x\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
    streamed = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunked + b"0\r\n\r\n"
    assert _exchange(url, streamed).startswith(b"HTTP/1.1 200")
    assert len(house.inbox.taken) == 2


@pytest.mark.parametrize(
    ("length", "status"), [("-1", b"400"), ("x", b"400"), ("99999999", b"413"), ("500", b"408")]
)
def test_raw_socket_refusals(served: tuple[House, str], length: str, status: bytes) -> None:
    _, url = served
    raw = f"POST /ocpp/soap HTTP/1.1\r\nHost: csms\r\nContent-Length: {length}\r\n\r\n<".encode()
    assert _exchange(url, raw, seconds=2).split(b" ")[1] == status


def test_basic_over_the_socket(served: tuple[House, str]) -> None:
    house, url = served
    house.passwords = {"CP1": b"secret"}
    credentials = base64.b64encode(b"CP1:secret").decode()
    for headers, status in (({}, 401), ({"authorization": f"Basic {credentials}"}, 200)):
        with httpx.Client(trust_env=False) as client:
            assert client.post(url, content=HEARTBEAT, headers=headers).status_code == status
