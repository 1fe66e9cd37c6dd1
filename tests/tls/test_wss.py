"""OCPP-J over TLS: charge points with and without certificates, in storms, with huge handshakes."""

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from csms import conf
from csms.gate import Pace, Paces
from csms.services.peers import Peer, client_certificate
from csms.tls import Certificates
from tests.ocpp_json.house import House, closed, until
from tests.tls.certificates import Issued
from tests.tls.clients import client_context
from tests.tls.conftest import Pki

pytestmark = pytest.mark.anyio

HEARTBEAT = '[2,"1","Heartbeat",{}]'
ANSWER = '[3,"1",{"currentTime":"2026-01-02T03:04:05Z"}]'


class SafeHouse(House):
    """With a TLS port beside the plain one."""

    async def begin(self, pki: Pki) -> None:
        self.certificates = Certificates(conf.read(pki.environment))
        await self.server.start("127.0.0.1", 0)
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        self.tls_port: int = listening.getsockname()[1]
        self.server.listen_tls(listening, self.certificates.current)

    def open_tls(self, context: ssl.SSLContext, path: str = "/CP_1") -> connect:
        return connect(
            f"wss://127.0.0.1:{self.tls_port}{path}",
            ssl=context,
            server_hostname="localhost",
            subprotocols=[Subprotocol("ocpp1.6")],
            proxy=None,
        )


@pytest.fixture
async def safe_house(pki: Pki) -> AsyncIterator[SafeHouse]:
    house = SafeHouse()
    await house.begin(pki)
    yield house
    await house.server.close()


async def peer(house: SafeHouse, pki: Pki, certificate: Issued | None = None) -> Peer:
    """Who the server takes a charge point for."""
    context = client_context(pki.server_ca, certificate=certificate)
    async with house.open_tls(context) as charger:
        await charger.send(HEARTBEAT)
        assert await charger.recv() == ANSWER
    found: Peer = house.admission.asked[-1]["peer"]
    return found


async def test_profile_2(safe_house: SafeHouse, pki: Pki) -> None:
    assert await peer(safe_house, pki) == Peer("127.0.0.1", tls=True)


async def test_plain_and_tls_side_by_side(safe_house: SafeHouse, pki: Pki) -> None:
    async with safe_house.open(), safe_house.open_tls(client_context(pki.server_ca), "/CP_2"):
        await until(lambda: len(safe_house.server.connections) == 2)
        assert [asked["peer"].tls for asked in safe_house.admission.asked] == [False, True]


async def test_n9_profile_3(safe_house: SafeHouse, pki: Pki) -> None:
    """The certificate that TLS verified reaches admission."""
    charger = pki.chargers.issue("SERIAL-1", organization="Operator")
    found = await peer(safe_house, pki, charger)
    assert found.certificate == client_certificate(charger.der)
    assert found.certificate is not None
    assert found.certificate.common_name == "SERIAL-1"
    assert found.certificate.organization == "Operator"
    assert int(found.certificate.serial, 16) == charger.certificate.serial_number


async def test_n10_revoked(safe_house: SafeHouse, pki: Pki) -> None:
    charger = pki.chargers.issue("SERIAL-1")
    context = client_context(pki.server_ca, certificate=charger)
    async with safe_house.open_tls(context) as before:
        pki.revoke(charger)
        assert safe_house.certificates.refresh()
        with pytest.raises((OSError, WebSocketException)):  # an alert, or the end of it
            await safe_house.open_tls(context)
        await before.send(HEARTBEAT)
        assert await before.recv() == ANSWER


async def test_renewal_keeps_open_sockets(safe_house: SafeHouse, pki: Pki) -> None:
    context = client_context(pki.server_ca)
    async with safe_house.open_tls(context) as before:
        pki.renew()
        assert safe_house.certificates.refresh()
        async with safe_house.open_tls(context, "/CP_2") as after:
            for charger in (before, after):
                await charger.send(HEARTBEAT)
                assert await charger.recv() == ANSWER


async def test_f19_drain(safe_house: SafeHouse, pki: Pki) -> None:
    """Open sockets are closed with 1012, and a silent handshake keeps nobody waiting."""
    with socket.create_connection(("127.0.0.1", safe_house.tls_port), timeout=10):
        async with safe_house.open_tls(client_context(pki.server_ca)) as charger:
            began = time.monotonic()
            await safe_house.server.close()
            assert (await closed(charger))[0] == 1012
            assert time.monotonic() - began < 5


# ----------------------------------------------------------------------- behind a proxy


async def test_caps_hold_behind_a_listed_proxy() -> None:
    """F20: whom it forwards is counted, not the proxy; who leaves is counted no more."""
    proxies = (ipaddress.ip_network("127.0.0.1"),)
    house = House(trusted_proxies=proxies, max_connections_per_address=1)
    await house.server.start("127.0.0.1", 0)

    def forwarded(address: str, path: str) -> connect:
        return connect(
            f"ws://127.0.0.1:{house.server.port}{path}",
            subprotocols=[Subprotocol("ocpp1.6")],
            additional_headers={"X-Forwarded-For": address},
            proxy=None,
        )

    async with forwarded("192.0.2.1", "/CP_1"), forwarded("192.0.2.2", "/CP_2"):
        with pytest.raises(InvalidStatus) as refused:
            await forwarded("192.0.2.1", "/CP_3")
        assert refused.value.response.status_code == 503
    async with forwarded("192.0.2.1", "/CP_3"):
        assert house.admission.asked[-1]["peer"] == Peer("192.0.2.1")
    await house.server.close()


# ------------------------------------------------------------------------ huge handshakes


async def test_head_is_limited(
    safe_house: SafeHouse, pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    """431 beyond 16 KiB, over TLS too; websockets would take a megabyte."""
    lines = b"".join(b"x-%d: %s\r\n" % (number, b"x" * 4000) for number in range(5))
    request = b"GET /CP_1 HTTP/1.1\r\nhost: x\r\n" + lines
    answer = await safe_house.raw(request)
    assert answer.startswith(b"HTTP/1.1 431 ")
    reader, writer = await asyncio.open_connection(
        *("127.0.0.1", safe_house.tls_port),
        ssl=client_context(pki.server_ca),
        server_hostname="localhost",
    )
    writer.write(request)
    async with asyncio.timeout(5):
        assert (await reader.read(65536)).startswith(b"HTTP/1.1 431 ")
    writer.close()
    assert "The handshake from 127.0.0.1 is too long." in caplog.text
    assert safe_house.admission.asked == []


# ------------------------------------------------------------------ F11: reconnect storms


def test_f11_pace() -> None:
    """A second's worth at once, then one after the other; who would wait too long does not."""
    pace = Pace(10)
    assert [pace.wait(100.0) for _ in range(10)] == [0.0] * 10
    waits = [pace.wait(100.0, 0.25) for _ in range(5)]
    assert waits[:3] == pytest.approx([0.0, 0.1, 0.2])
    assert waits[3:] == [None, None]
    assert pace.wait(100.5) == 0.0
    assert [pace.wait(200.0) for _ in range(10)] == [0.0] * 10


def test_f11_one_address_takes_no_more_than_half() -> None:
    """A flood from one address waits for itself; who comes from elsewhere is let in at once."""
    paces = Paces(10, proxies=(ipaddress.ip_network("10.0.0.0/8"),))

    def comes(address: str, now: float) -> float | None:
        """Seconds until it is let in; None when it is told to come again."""
        waited = 0.0
        for pace in paces.of(address):
            turn = pace.wait(now + waited, 5.0)
            if turn is None:
                return None
            waited += turn
            if waited:
                return waited  # the next pace is asked when that time has come
        return waited

    flood = [comes("192.0.2.66", 100.0) for _ in range(1000)]
    assert 20 <= len([wait for wait in flood if wait is not None]) <= 35
    for second in range(10):
        comes("192.0.2.66", 100.0 + second)
        assert comes("198.51.100.7", 100.0 + second) == 0.0
    assert [comes("10.1.1.1", 200.0) for _ in range(10)] == [0.0] * 10  # a proxy: the whole


async def test_f11_storm(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the rate they wait, all of them get in; nobody is asked for before his turn."""
    house = SafeHouse(accept_rate=10)
    await house.begin(pki)
    began = time.monotonic()
    chargers = await asyncio.gather(*(house.open(f"/CP_{n}") for n in range(1, 26)))
    assert time.monotonic() - began >= 1.3  # ten at once, then ten a second
    assert len(house.admission.asked) == 25
    await asyncio.gather(*(charger.close() for charger in chargers))
    await house.server.close()


async def test_f11_storm_beyond_patience(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    """Who would wait more than five seconds is told to come again, before admission."""
    caplog.set_level(logging.CRITICAL)
    house = SafeHouse(accept_rate=1)
    await house.begin(pki)
    opening = [asyncio.ensure_future(_open(house, f"/CP_{n}")) for n in range(1, 12)]
    done, waiting = await asyncio.wait(opening, timeout=0.9)
    told = [task.result() for task in done]
    assert 503 in told
    assert len(house.admission.asked) <= 3
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await house.server.close()


async def _open(house: SafeHouse, path: str) -> int:
    """The status with which a handshake is answered."""
    try:
        async with house.open(path):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_f11_storm_over_tls(pki: Pki) -> None:
    """They wait before TLS costs anything, and all get in."""
    house = SafeHouse(accept_rate=10)
    await house.begin(pki)
    context = client_context(pki.server_ca)
    began = time.monotonic()
    chargers = await asyncio.gather(*(house.open_tls(context, f"/CP_{n}") for n in range(1, 26)))
    assert time.monotonic() - began >= 1.3
    await asyncio.gather(*(charger.close() for charger in chargers))
    await house.server.close()
