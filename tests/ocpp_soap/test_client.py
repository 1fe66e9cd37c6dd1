"""N25: envelopes of calls, how they are sent, and what an answer may look like."""

import asyncio
import contextlib
import gzip
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from csms.conf import read
from csms.ocpp import core
from csms.ocpp.base import Request
from csms.services.commands import (
    Answer,
    CallFailed,
    Claimed,
    NoAnswer,
    NotSent,
    Replied,
    Unreadable,
)
from ocpp_soap.client import Caller, Envelopes, Received, Sender, make_caller, read_reply
from ocpp_soap.namespaces import ANONYMOUS, CP, SOAP, WSA, Service
from ocpp_soap.service import operations
from tests.ocpp_soap.examples import example
from tests.ocpp_soap.house import facts
from tests.servers import free_port

pytestmark = pytest.mark.anyio

OWN = "http://csms.example.com:8000/ocpp/soap"
CALLBACK = "http://192.0.2.7:8080/cp"
RESET = core.Reset(type=core.ResetType.HARD)
REQUESTS = operations(Service.CHARGE_POINT)


@pytest.fixture(scope="module")
def envelopes() -> Envelopes:
    return Envelopes(own_address=OWN)


def _claimed(url: str = CALLBACK, request: Request[Any] = RESET) -> Claimed:
    return Claimed(1, facts(), request, type(request).__name__, "id-1", url)


def test_n25_golden_envelope(envelopes: Envelopes) -> None:
    text = envelopes.build(RESET, identity="CP<1>", to=CALLBACK, message_id="id-1")
    assert re.sub(r"\bsoap-env\b", "env", re.sub(r"\bns0\b", "cp", text)) == (
        f'<env:Envelope xmlns:env="{SOAP}"><env:Header xmlns:wsa="{WSA}">'
        f'<cp:chargeBoxIdentity xmlns:cp="{CP}" env:mustUnderstand="true">'
        "CP&lt;1&gt;</cp:chargeBoxIdentity>"
        '<wsa:Action env:mustUnderstand="true">/Reset</wsa:Action>'
        "<wsa:MessageID>urn:uuid:id-1</wsa:MessageID>"
        f'<wsa:To env:mustUnderstand="true">{CALLBACK}</wsa:To>'
        f"<wsa:From><wsa:Address>{OWN}</wsa:Address></wsa:From>"
        f'<wsa:ReplyTo env:mustUnderstand="true"><wsa:Address>{ANONYMOUS}</wsa:Address>'
        "</wsa:ReplyTo></env:Header><env:Body>"
        f'<cp:resetRequest xmlns:cp="{CP}"><cp:type>Hard</cp:type></cp:resetRequest>'
        "</env:Body></env:Envelope>"
    )


@pytest.mark.contract
@pytest.mark.parametrize("full", [False, True], ids=["least", "full"])
@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda kind: kind.__name__)
def test_n25_every_call_is_valid_against_the_official_schema(
    envelopes: Envelopes,
    request_type: type[Request[Any]],
    full: bool,
    official_schema: Callable[[str], etree.XMLSchema],
) -> None:
    for turn in range(4):
        request = example(request_type, full=full, turn=turn)
        text = envelopes.build(request, identity="CP1", to=CALLBACK, message_id="id-1")
        root = etree.fromstring(text)
        official_schema("ChargePoint").assertValid(root.find(f"{{{SOAP}}}Body")[0])
        names = [etree.QName(block).localname for block in root.find(f"{{{SOAP}}}Header")]
        assert sorted(names) == [
            "Action",
            "From",
            "MessageID",
            "ReplyTo",
            "To",
            "chargeBoxIdentity",
        ]
        assert root.findtext(f".//{{{WSA}}}Action") == f"/{request_type.__name__}"


def test_times_go_out_plainly(envelopes: Envelopes) -> None:
    from csms.ocpp.reservation import ReserveNow

    request = ReserveNow(
        connector_id=1,
        expiry_date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        id_tag="A",
        reservation_id=1,
    )
    text = envelopes.build(request, identity="CP1", to=CALLBACK, message_id="x")
    assert ">2026-01-02T03:04:05Z<" in text


# --- reading answers -----------------------------------------------------------------------------


def _answer(body: str, header: str = "", status: int = 200, **named: Any) -> Answer:
    text = (
        f'<e:Envelope xmlns:e="{SOAP}" xmlns:a="{WSA}"><e:Header>{header}</e:Header>'
        f"<e:Body>{body}</e:Body></e:Envelope>"
    )
    return _read(text.encode(), status, **named)


def _read(body: bytes, status: int = 200, *, strict: bool = False) -> Answer:
    return read_reply(
        Received(status, "application/soap+xml", body),
        core.Reset,
        charger=facts(strict=strict),
        message_id="id-1",
        received_at=datetime.now(UTC),
    )


ACCEPTED = f'<resetResponse xmlns="{CP}"><status>Accepted</status></resetResponse>'


def test_reply() -> None:
    answer = _answer(ACCEPTED, "<a:RelatesTo>urn:uuid:id-1</a:RelatesTo>")
    assert isinstance(answer, Replied)
    assert answer.reply == core.ResetResponse(status=core.ResetStatus.ACCEPTED)
    assert answer.notes == ()
    assert "<status>Accepted</status>" in answer.raw


@pytest.mark.parametrize("relates_to", ["2462", "", "urn:uuid:other"])
def test_reply_with_any_relates_to(relates_to: str) -> None:
    answer = _answer(ACCEPTED, f"<a:RelatesTo>{relates_to}</a:RelatesTo>")
    assert isinstance(answer, Replied)
    assert [note.name for note in answer.notes] == (["relates_to"] if relates_to else [])


def test_tolerant_and_strict_replies() -> None:
    other = ACCEPTED.replace("Cp", "Cs").replace("Accepted", "accepted")
    answer = _answer(other)
    assert isinstance(answer, Replied)
    assert answer.notes
    assert isinstance(_read_strictly(other), Unreadable)


def _read_strictly(body: str) -> Answer:
    return _answer(body, strict=True)


@pytest.mark.parametrize("subcode", ["NotSupported", "VendorSays", "SecurityError"])
def test_n23_any_subcode_is_accepted(subcode: str) -> None:
    fault = (
        "<e:Fault><e:Code><e:Value>e:Receiver</e:Value><e:Subcode>"
        f'<e:Value xmlns:q="urn:q">q:{subcode}</e:Value></e:Subcode></e:Code>'
        '<e:Reason><e:Text xml:lang="en"> Out\n of order </e:Text></e:Reason></e:Fault>'
    )
    for status in (200, 400, 500):
        answer = _answer(fault, status=status)
        assert isinstance(answer, CallFailed)
        assert (answer.code, answer.description) == (subcode, "Out of order")


def test_faults_with_less() -> None:
    bare = _answer("<e:Fault/>", status=500)
    assert isinstance(bare, CallFailed)
    assert (bare.code, bare.description) == ("Fault", "")
    old = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        "<faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    answer = _read(old.encode(), 500)
    assert isinstance(answer, CallFailed)
    assert (answer.code, answer.description) == ("Server", "no")


@pytest.mark.parametrize(
    "body",
    [b"", b"OK", b"{}", b"<html/>", b"\xff\0", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"],
)
def test_answers_that_are_none(body: bytes) -> None:
    answer = _read(body)
    assert isinstance(answer, Unreadable)
    assert "\0" not in answer.raw
    failed = _read(body, 404)
    assert isinstance(failed, CallFailed)
    assert failed.code == "HTTP 404"


@pytest.mark.parametrize(
    "body",
    [
        "",
        ACCEPTED * 2,
        f'<clearCacheResponse xmlns="{CP}"><status>Accepted</status></clearCacheResponse>',
        f'<resetResponse xmlns="{CP}"><status>Perhaps</status></resetResponse>',
        f'<resetResponse xmlns="{CP}"/>',
    ],
)
def test_bodies_that_are_no_reply(body: str) -> None:
    assert isinstance(_answer(body), Unreadable)


def test_an_http_error_is_no_reply() -> None:
    answer = _answer(ACCEPTED, status=307)
    assert isinstance(answer, CallFailed)
    assert answer.code == "HTTP 307"


# --- sending -------------------------------------------------------------------------------------

LOOPBACK = {"CSMS_SOAP_CALLBACK_NETWORKS": "127.0.0.0/8"}


@pytest.fixture
async def caller(envelopes: Envelopes) -> AsyncIterator[Caller]:
    """Calls only the loopback network, and waits for a second."""
    made = Caller(envelopes=envelopes, sender=Sender(read(LOOPBACK), within=1.0))
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def _charge_point(
    reply: Callable[[bytes], bytes | None],
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A charge point that answers each request with raw bytes, or not at all (None)."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        seen.append(head + await reader.readexactly(int(length[1]) if length else 0))
        answer = reply(seen[-1])
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/cp?x=1", seen
    finally:
        server.close()
        await asyncio.sleep(0)  # what was cut off ends


def _http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


REPLY = f'<e:Envelope xmlns:e="{SOAP}"><e:Body>{ACCEPTED}</e:Body></e:Envelope>'.encode()


async def _call(caller: Caller, url: str) -> Answer:
    claimed = _claimed(url)
    return (await caller.call(claimed, caller.build(claimed)))[0]


async def test_a_call(caller: Caller) -> None:
    async with _charge_point(lambda _: _http(REPLY)) as (url, seen):
        assert isinstance(await _call(caller, url), Replied)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /cp?x=1 HTTP/1.1\r\n")
    assert b'application/soap+xml; charset=utf-8; action="/Reset"' in head
    assert etree.fromstring(body).findtext(f".//{{{WSA}}}To") == url


async def test_the_name_is_resolved_once_and_pinned(caller: Caller, monkeypatch) -> None:
    asked: list[str] = []

    def resolve(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with _charge_point(lambda _: _http(REPLY)) as (url, seen):
        # Only the check's own look-up is replaced: whoever looked it up again would not find it.
        monkeypatch.setattr("csms.services.callbacks.socket.getaddrinfo", _only(resolve))
        answer = await _call(caller, url.replace("127.0.0.1", "cp.invalid"))
    assert isinstance(answer, Replied), answer
    assert asked == ["cp.invalid"]
    assert re.search(rb"host: cp\.invalid:\d+\r\n", seen[0], re.IGNORECASE)


def _only(resolve):
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *rest, **named):
        name = host.decode() if isinstance(host, bytes) else host
        return resolve(name, port) if name == "cp.invalid" else real(host, port, *rest, **named)

    return getaddrinfo


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://127.0.0.1:22/",
        "ftp://127.0.0.1/",
        "http://user:pw@127.0.0.1:8080/",
        "http://0.0.0.0:28080",
        "",
        "anonymous",
    ],
)
async def test_forbidden_addresses_are_refused_again_when_sending(caller, url: str) -> None:
    assert isinstance(await _call(caller, url), NotSent)


async def test_refused_connection_was_not_sent(caller: Caller) -> None:
    answer = await _call(caller, f"http://127.0.0.1:{free_port()}/")
    assert isinstance(answer, NotSent)
    assert answer.why.startswith("No connection")


async def test_f17_silence_has_an_unknown_outcome(caller: Caller) -> None:
    started = time.monotonic()
    async with _charge_point(lambda _: None) as (url, seen):
        assert isinstance(await _call(caller, url), NoAnswer)
        assert len(seen) == 1
    assert time.monotonic() - started < 3


async def test_f17_a_slow_answer_has_an_end(caller: Caller) -> None:
    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"<")
                await writer.drain()
                await asyncio.sleep(0.1)
        writer.close()
        ended.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    started = time.monotonic()
    answer = await _call(caller, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert isinstance(answer, NoAnswer)
    assert time.monotonic() - started < 3
    await ended.wait()
    server.close()


async def test_a_broken_connection_has_an_unknown_outcome(caller: Caller) -> None:
    async with _charge_point(lambda _: b"") as (url, _):
        assert isinstance(await _call(caller, url), NoAnswer)
    async with _charge_point(lambda _: b"nonsense\r\n\r\n") as (url, _):
        assert isinstance(await _call(caller, url), NoAnswer)


async def test_no_redirect_is_followed(caller: Caller) -> None:
    async with _charge_point(lambda _: _http(REPLY)) as (other, reached):
        redirect = _http(b"", "307 Temporary Redirect", Location=other)
        async with _charge_point(lambda _: redirect) as (url, _):
            answer = await _call(caller, url)
    assert isinstance(answer, CallFailed)
    assert answer.code == "HTTP 307"
    assert reached == []


async def test_size_of_answers(caller: Caller) -> None:
    for body, headers in (
        (b" " * 1_500_000, {}),
        (gzip.compress(b" " * 50_000_000), {"Content_Encoding": "gzip"}),
    ):
        async with _charge_point(lambda _, b=body, h=headers: _http(b, **h)) as (url, _):
            answer = await _call(caller, url)
        assert isinstance(answer, NoAnswer)
        assert "too large" in answer.why


async def test_compressed_answer(caller: Caller) -> None:
    reply = _http(gzip.compress(REPLY), Content_Encoding="gzip")
    async with _charge_point(lambda _: reply) as (url, _):
        assert isinstance(await _call(caller, url), Replied)


async def test_from_names_us_only_when_we_know_our_name() -> None:
    for environment, expected in (
        ({}, ANONYMOUS),
        ({"CSMS_PUBLIC_HOST": "h", "CSMS_HTTP_PORT": "81"}, "http://h:81/ocpp/soap"),
    ):
        caller = make_caller(read(environment))
        sender = etree.fromstring(caller.build(_claimed())).find(f".//{{{WSA}}}From")
        assert sender[0].text == expected
        await caller.close()
