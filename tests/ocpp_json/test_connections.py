"""Second sockets of one charge point, silent and slow peers, shutdown."""

import asyncio
import contextlib
import socket

import pytest
from websockets.frames import Opcode

from ocpp_json import connection as live
from tests.ocpp_json.house import House, closed, until

pytestmark = pytest.mark.anyio

HEARTBEAT = '[2,"1","Heartbeat",{}]'
ANSWER = '[3,"1",{"currentTime":"2026-01-02T03:04:05Z"}]'


async def test_f13_profile_0_a_living_connection_is_kept(house: House) -> None:
    async with house.open() as old:
        new = await house.open()
        assert await closed(new) == (1008, "Another connection is alive.")
        await old.send(HEARTBEAT)
        assert await old.recv() == ANSWER
    assert house.admission.epochs[1] == 1


async def test_f13_authenticated_the_newest_wins(house: House) -> None:
    house.admission.passwords["CP_1"] = b"key"
    old = await house.open(credentials=b"CP_1:key")
    async with house.open(credentials=b"CP_1:key") as new:
        assert (await closed(old))[0] == 1000
        await asyncio.sleep(0.05)
        assert house.server.connections[1].facts.epoch == 2
        assert house.admission.connected == {1: 2}  # the old one's end changed nothing
        await new.send(HEARTBEAT)
        assert await new.recv() == ANSWER
    await until(lambda: not house.admission.connected)
    assert not house.server.connections


async def test_f13_a_flapping_charger_keeps_what_it_has(house: House) -> None:
    house.admission.passwords["CP_1"] = b"key"
    sockets = [await house.open(credentials=b"CP_1:key") for _ in range(7)]
    assert (await closed(sockets[-1]))[0] == 1008
    await sockets[-2].send(HEARTBEAT)
    assert await sockets[-2].recv() == ANSWER


async def test_f13_a_dead_connection_is_replaced(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocpp_json.server.ALIVE_TIMEOUT", 0.1)
    old = await house.open()
    old.transport.pause_reading()  # it answers no ping any more
    async with house.open() as new:
        await new.send(HEARTBEAT)
        assert await new.recv() == ANSWER
        assert house.server.connections[1].facts.epoch == 2
    old.transport.abort()


async def test_f12_a_silent_peer_is_gone_within_two_intervals() -> None:
    house = House(ping_interval=0.2)
    await house.server.start("127.0.0.1", 0)
    async with house.open("/CP_2") as other:
        silent = await house.open()
        silent.transport.pause_reading()
        await until(lambda: list(house.server.connections) == [2], 0.8)
        await other.send(HEARTBEAT)  # who answers pings stays
        assert await other.recv() == ANSWER
        silent.transport.abort()
    await house.server.close()


async def test_hostile_a_slow_reader_is_dropped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocpp_json.wire.WRITE_TIMEOUT", 0.2)
    charger = await house.open()
    charger.transport.pause_reading()
    connection = house.server.connections[1]
    with pytest.raises((live.NoAnswer, live.NotSent)):
        await connection.call("a", "x" * 50_000_000, 5)
    await until(lambda: not house.server.connections)
    charger.transport.abort()


async def test_hostile_pings_of_who_reads_nothing_are_bounded(house: House) -> None:
    charger = await house.open()
    charger.transport.pause_reading()
    frame = b"\x89\xfd\0\0\0\0" + b"x" * 125
    sock = socket.socket(fileno=socket.dup(charger.transport.get_extra_info("socket").fileno()))
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):  # broken pipe or reset
        for _ in range(10_000):  # 655 MB
            await loop.sock_sendall(sock, frame * 500)
            if not house.server.connections:
                break
    sock.close()
    await until(lambda: not house.server.connections)
    charger.transport.abort()


async def test_unmasked_and_reserved_frames_end_only_their_connection(house: House) -> None:
    async with house.open("/CP_2") as other:
        charger = await house.open()
        charger.transport.write(bytes([0xC0 | Opcode.TEXT, 0x80, 0, 0, 0, 0]))
        assert (await closed(charger))[0] == 1002
        await other.send(HEARTBEAT)
        assert await other.recv() == ANSWER


async def test_f19_drain_answers_what_waits_then_closes_1012(house: House) -> None:
    charger = await house.open()
    house.inbox.may_decide.clear()
    await charger.send(HEARTBEAT)
    await until(lambda: house.inbox.incoming)
    draining = asyncio.create_task(house.server.drain())
    await asyncio.sleep(0.05)
    await charger.send('[2,"2","Heartbeat",{}]')  # comes too late: asked again elsewhere
    await asyncio.sleep(0.05)
    assert not draining.done()
    with pytest.raises(OSError):  # noqa: PT011  nobody listens any more
        await house.open("/CP_2")
    house.inbox.may_decide.set()
    assert await charger.recv() == ANSWER
    assert (await closed(charger))[0] == 1012
    await draining
    assert len(house.inbox.incoming) == 1
    assert not house.admission.connected


async def test_it_listens_on_a_given_socket() -> None:
    house = House()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await house.server.start(sock=sock)
        assert house.server.port == sock.getsockname()[1]
        async with house.open() as charger:
            await charger.send(HEARTBEAT)
            assert await charger.recv() == ANSWER
        await house.server.close()
        await house.server.close()  # a second time is harmless
