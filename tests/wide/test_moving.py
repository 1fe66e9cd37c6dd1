"""Charge points that move between gateways while commands are sent to them."""

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from csms.services.clock import EFFECTS_EVERY
from tests.faults.conftest import NewSite, new_site, postgres
from tests.faults.site import Site
from tests.faults.wire import JsonCharger, json_charger, start, until
from tests.servers import Server, free_port, start_redis
from tests.serving import manage

__all__ = ["new_site", "postgres"]

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.slow]

CHARGERS = 12
COMMANDS = 8
"""To each of them."""


class Mover:
    """Connects to one gateway after another, answers what it can, remembers what it was told."""

    def __init__(self, site: Site, number: int) -> None:
        self.site = site
        self.identity = f"json-{number}"
        self.received: Counter[str] = Counter()
        """Message ids of commands → how often they came."""
        self.answered: set[str] = set()
        self.moves = 0
        self._random = random.Random(number)

    async def live(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.moves += 1
            charger = await json_charger(self.site, self.identity)
            rest = asyncio.create_task(asyncio.sleep(self._random.uniform(0.1, 1.2)))
            reading = asyncio.create_task(self._read(charger))
            await asyncio.wait({rest, reading}, return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()
            if self._random.random() < 0.5:
                await charger.socket.close()
            else:  # its gateway does not notice: the next one must know better
                charger.socket.transport.abort()
            await asyncio.wait({rest, reading})

    async def stay(self, stop: asyncio.Event) -> None:
        """Connect once more and answer everything."""
        charger = await json_charger(self.site, self.identity)
        reading = asyncio.create_task(self._read(charger))
        await stop.wait()
        reading.cancel()
        await asyncio.wait({reading})
        await charger.socket.close()

    async def _read(self, charger: JsonCharger) -> None:
        try:
            async for text in charger.socket:
                frame: list[Any] = json.loads(text)
                if frame[0] != 2:
                    continue
                self.received[frame[1]] += 1
                await asyncio.sleep(self._random.uniform(0, 0.05))
                await charger.socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
                self.answered.add(frame[1])
        except ConnectionClosed:
            return


@pytest.mark.parametrize("bus", ["redis", "none"])
async def test_f14_commands_follow_who_moves(bus: str, new_site: NewSite) -> None:
    """F13, F14: each command reaches its charge point once, over the gateway that has it by then;
    with Redis, and without it a little later. Whose answer was lost has an unknown outcome."""
    server: Server | None = start_redis(free_port()) if bus == "redis" else None
    try:
        more = {"REDIS_URL": server.url} if server is not None else {}
        site = new_site(names="ab", CSMS_CALL_TIMEOUT="2", **more)
        async with site.open():
            await _scene(site)
    finally:
        if server is not None:
            server.stop()


async def test_an_effect_is_seen_where_the_charge_point_has_gone(new_site: NewSite) -> None:
    """A command is accepted at one gateway, its effect comes to another one, which did not know
    that it is waited for: seen at once, not with the next look at all that is waiting."""
    server = start_redis(free_port())
    try:
        site = new_site(names="ab", REDIS_URL=server.url)
        async with site.open():
            await asyncio.sleep(EFFECTS_EVERY + 1)  # both have looked: nothing is waited for
            site.lead_to("a")
            charger = await json_charger(site)
            ask = ("RemoteStartTransaction", '{"connectorId":1,"idTag":"TAG"}')
            await asyncio.to_thread(manage, site.environment, "send", "json-1", *ask, "--no-wait")
            frame = await charger.receive()
            await charger.socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            await until(lambda: site.says("SELECT state FROM csms_command", [("accepted",)]))
            await charger.socket.close()
            site.lead_to("b")
            moved = await json_charger(site)
            begun = start(1) | {"timestamp": f"{datetime.now(UTC):%FT%TZ}"}
            assert (await moved.call("StartTransaction", begun)).reply
            await until(lambda: site.says("SELECT effect FROM csms_command", [("seen",)]))
            times = (
                "SELECT c.effect_at - t.start_received_at FROM csms_command c, csms_transaction t"
            )
            assert site.rows(times)[0][0] < timedelta(seconds=EFFECTS_EVERY / 4)
            await moved.socket.close()
    finally:
        server.stop()


async def _scene(site: Site) -> None:
    movers = [Mover(site, number) for number in range(CHARGERS)]
    moved, done = asyncio.Event(), asyncio.Event()
    moving = [asyncio.create_task(mover.live(moved)) for mover in movers]
    known = "SELECT count(*) FROM csms_chargepoint"
    await until(lambda: site.says(known, [(CHARGERS,)]))
    for _ in range(COMMANDS):
        await asyncio.to_thread(
            manage, site.environment, "send", "--all", "ClearCache", "--no-wait"
        )
    moved.set()
    await asyncio.gather(*moving)
    staying = [asyncio.create_task(mover.stay(done)) for mover in movers]
    waiting = "SELECT count(*) FROM csms_command WHERE state IN ('queued', 'sent')"
    await until(lambda: site.says(waiting, [(0,)]), within=40)
    done.set()
    await asyncio.gather(*staying)

    rows = site.rows(
        "SELECT c.identity, m.message_id, m.state FROM csms_command m"
        " JOIN csms_chargepoint c ON c.id = m.charge_point_id"
    )
    assert len(rows) == CHARGERS * COMMANDS
    states = {(identity, message_id): state for identity, message_id, state in rows}
    assert len(states) == len(rows)
    assert set(states.values()) <= {"accepted", "timed out"}
    for mover in movers:
        assert mover.moves > 3
        assert max(mover.received.values()) == 1
        ours = {number: state for (name, number), state in states.items() if name == mover.identity}
        assert mover.received.keys() <= ours.keys()
        accepted = {number for number, state in ours.items() if state == "accepted"}
        assert accepted <= mover.answered
    told = site.rows("SELECT DISTINCT \"by\" FROM csms_commandevent WHERE state = 'sent'")
    assert len({by for (by,) in told if ":" in by}) == 2  # both have sent some
