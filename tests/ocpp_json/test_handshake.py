"""Handshakes: who gets in, and what the others are told."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus

from csms.ocpp.errors import Unavailable
from tests.ocpp_json.house import House, closed

pytestmark = pytest.mark.anyio

REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{connection}"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


def request(path: str, *, connection: str = "Connection: Upgrade\r\n", more: str = "") -> bytes:
    return REQUEST.format(path=path, connection=connection, more=more).encode("latin-1")


async def status(house: House, path: str, credentials: bytes | None = None) -> int:
    with pytest.raises(InvalidStatus) as refused:
        await house.open(path, credentials=credentials)
    return refused.value.response.status_code


async def test_n14_ocpp16_is_selected(house: House) -> None:
    async with house.open(subprotocols=["ocpp0.1", "ocpp1.6", "ocpp2.0.1"]) as charger:
        assert charger.subprotocol == "ocpp1.6"


async def test_n14_no_common_subprotocol_completes_the_handshake_then_closes(house: House) -> None:
    charger = await house.open(subprotocols=["ocpp0.1"])
    assert charger.subprotocol is None
    assert (await closed(charger))[0] == 1002


async def test_n14_no_header_is_taken_as_ocpp16(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ocpp_json")
    async with house.open(subprotocols=[]) as charger:
        await charger.send('[2,"1","Heartbeat",{}]')
        assert (await charger.recv()) == '[3,"1",{"currentTime":"2026-01-02T03:04:05Z"}]'
    assert "taken as ocpp1.6" in caplog.text


async def test_n14_an_unknown_identity_is_404(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    assert await status(house, "/nobody") == 404
    assert "'/nobody': 404" in caplog.text


async def test_n2_n3_the_raw_password_reaches_admission(house: House) -> None:
    house.admission.passwords["CP_1"] = b"\xff:\x00 key"
    async with house.open(credentials=b"CP_1:\xff:\x00 key"):
        pass
    assert house.admission.asked[0]["password"] == b"\xff:\x00 key"
    assert house.admission.asked[0]["peer"].address == "127.0.0.1"


async def test_a_missing_or_wrong_password_is_401(house: House) -> None:
    house.admission.passwords["CP_1"] = b"key"
    with pytest.raises(InvalidStatus) as refused:
        await house.open()
    response = refused.value.response
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="ocpp"'
    assert await status(house, "/CP_1", b"CP_1:no") == 401
    assert await status(house, "/CP_1", b"CP_2:key") == 401
    assert await status(house, "/CP_1", b"CP_1:") == 401


async def test_an_empty_password_is_none(house: House) -> None:
    async with house.open(credentials=b"CP_1:"):
        assert house.admission.asked[0]["password"] is None


async def test_another_refusal_is_403(house: House) -> None:
    assert await status(house, "/CP_soap") == 403


async def test_f3_unavailable_is_503(house: House) -> None:
    house.admission.failure = Unavailable()
    assert await status(house, "/CP_1") == 503


async def test_f3_a_full_inbox_is_503_for_new_connections_only(house: House) -> None:
    async with house.open() as charger:
        house.inbox.full = True
        assert await status(house, "/CP_2") == 503
        await charger.send('[2,"1","Heartbeat",{}]')
        assert await charger.recv()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", 404),
        ("/ocpp/", 404),
        ("/..", 400),
        ("/a%2Fb", 400),
        ("/a%00b", 400),
        ("/a%0ab", 400),
        ("/%ff", 400),
        ("/" + "a" * 256, 400),
        ("/" + "a" * 5000, 400),
    ],
)
async def test_hostile_identities_are_refused(house: House, path: str, code: int) -> None:
    assert await status(house, path) == code
    assert not house.admission.asked


@pytest.mark.parametrize(
    "path",
    ["///CP_1", "/any/prefix/CP_1", "/ws://127.0.0.1:9000/CP_0/CP_1", "/CP%5F1", "/CP_1?x=/"],
)
async def test_odd_urls_of_real_chargers(house: House, path: str) -> None:
    answer = house.raw(request(path))
    assert (await answer).startswith(b"HTTP/1.1 101 ")
    assert house.admission.asked[0]["identity"] == "CP_1"


async def test_a_missing_connection_header_is_forgiven(house: House) -> None:
    answer = await house.raw(request("/CP_1", connection=""))
    assert answer.startswith(b"HTTP/1.1 101 ")


async def test_a_browser_is_told_what_this_port_is(house: House) -> None:
    answer = await house.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 426 ")
    assert b"OCPP-J" in answer
    assert b"Server:" not in answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello (EVBox)
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /CP_1 HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
        b"GET /CP_1 HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        "GET /Gård HTTP/1.1\r\n\r\n".encode(),
        b"POST /CP_1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /CP_1 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        b"GET /CP_1 HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"\0" * 10_000,
        request("/CP_1", more='Sec-WebSocket-Protocol: ,;"\r\n'),
        request("/CP_1", more="Sec-WebSocket-Key: BAAAAAAAAAAAAAAAAAAAAA==\r\n"),
        request("/CP_1", more="Sec-WebSocket-Version: 8\r\n"),
    ],
)
async def test_hostile_handshakes_harm_nobody(
    house: House, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.open("/CP_9") as other:
        answer = await house.raw(data)
        assert not answer.startswith(b"HTTP/1.1 101 ")
        await other.send('[2,"1","Heartbeat",{}]')
        assert await other.recv()
    assert "Traceback" not in caplog.text


async def test_two_authorization_headers_are_none(house: House) -> None:
    house.admission.passwords["CP_1"] = b"x"
    header = "Authorization: Basic Q1BfMTp4\r\n"
    assert b" 101 " in await house.raw(request("/CP_1", more=header))
    assert b" 401 " in await house.raw(request("/CP_1", more=header * 2))


async def test_log_lines_cannot_be_forged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.raw(request("/x%0aforged\x1b[31m"))
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert "\x1b" not in caplog.text


async def test_hostile_compression_is_never_negotiated(house: House) -> None:
    async with house.open(compression="deflate") as charger:
        assert charger.response is not None
        assert "Sec-WebSocket-Extensions" not in charger.response.headers


@pytest.fixture
async def narrow() -> AsyncIterator[House]:
    house = House(max_connections=3, max_connections_per_address=2)
    await house.server.start("127.0.0.1", 0)
    yield house
    await house.server.close()


async def test_f20_beyond_the_caps_new_sockets_are_503(narrow: House) -> None:
    async with narrow.open("/CP_1") as first:
        async with narrow.open("/CP_2"):
            assert await status(narrow, "/CP_3") == 503
        await asyncio.sleep(0.05)
        async with narrow.open("/CP_3"):
            pass
        await first.send('[2,"1","Heartbeat",{}]')
        assert await first.recv()


async def test_hostile_idle_handshakes_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocpp_json.server.OPEN_TIMEOUT", 0.2)
    slow = House()
    await slow.server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", slow.server.port)
    writer.write(b"GET /CP_1 HTTP/1.1\r\nHo")
    async with asyncio.timeout(3):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    await slow.server.close()


async def test_a_flood_of_wrong_passwords_is_soon_dropped_unheard(house: House) -> None:
    """Each costs what ten messages do. Who is connected, and who comes from elsewhere, goes on."""
    house.admission.passwords["CP_2"] = b"right"
    async with house.open("/CP_1") as charger:
        refused: list[int] = []
        dropped = 0
        for _ in range(400):
            try:
                await house.open("/CP_2", credentials=b"CP_2:wrong")
            except InvalidStatus as error:
                refused.append(error.response.status_code)
            except (ConnectionError, EOFError, InvalidMessage):
                dropped += 1
        assert set(refused) == {401}
        assert 120 <= len(refused) < 300
        assert dropped == 400 - len(refused)
        await charger.send('[2,"1","Heartbeat",{}]')
        assert "currentTime" in str(await charger.recv())
