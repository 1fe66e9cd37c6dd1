"""F17: calls to charge points over real sockets: pinned, bounded, and what became of them."""

import asyncio
import contextlib
import gzip
import re
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest
from lxml import etree

from csms.conf import read
from csms.ocpp import core
from csms.services.outbox import Answer, CallFailed, Claimed, NoAnswer, NotSent, Replied
from ocpp_soap.client import Caller, Envelopes, Sender, make_caller
from ocpp_soap.namespaces import ANONYMOUS, CP, SOAP, WSA
from tests.ocpp_soap.house import facts
from tests.servers import free_port

pytestmark = pytest.mark.anyio

RESET = core.Reset(type=core.ResetType.HARD)


def _claimed(url: str) -> Claimed:
    return Claimed(1, facts(), RESET, "Reset", "id-1", url)


LOOPBACK = {"CSMS_SOAP_CALLBACK_NETWORKS": "127.0.0.0/8"}


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    """Calls only the loopback network, and waits for a second."""
    made = Caller(envelopes=Envelopes(), sender=Sender(read(LOOPBACK), within=1.0))
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


ACCEPTED = f'<resetResponse xmlns="{CP}"><status>Accepted</status></resetResponse>'
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
        reply = _http(body, **headers)
        async with _charge_point(lambda _, reply=reply: reply) as (url, _):  # type: ignore[misc]
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
        envelope = etree.fromstring(caller.build(_claimed("http://192.0.2.7:8080/cp")))
        assert envelope.findtext(f".//{{{WSA}}}From/{{{WSA}}}Address") == expected
        await caller.close()
