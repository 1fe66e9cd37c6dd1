"""Connections break, half-open ones stay, everybody comes back at once: F2, F11, F12, F20."""

import asyncio
import os
import resource
import time
from collections.abc import Awaitable

import httpx
import pytest

from tests.faults.conftest import NewSite
from tests.faults.site import Site
from tests.faults.wire import (
    PATIENCE,
    SoapCharger,
    handshake,
    json_charger,
    start,
    stop,
    transaction_id,
    until,
)

pytestmark = pytest.mark.anyio

TRANSACTIONS = "SELECT transaction_id, meter_start, state, meter_stop FROM csms_transaction"
CONNECTED = "SELECT count(*) FROM csms_chargepoint WHERE connected"


@pytest.mark.parametrize("same_id", [True, False])
async def test_f2_answer_lost_on_the_way(site: Site, same_id: bool) -> None:
    """F2: committed, and the answer lost; the retry on a new socket, under the same or a new
    message id, has the same answer, and there is one row."""
    async with site.open():
        charger = await json_charger(site)
        assert (await charger.call("Heartbeat", {})).reply
        await _lose_answer(site, charger.send("StartTransaction", start(1), "lost-1"))
        charger = await json_charger(site)
        told = await charger.call("StartTransaction", start(1), "lost-1" if same_id else "new-1")
        assert told.reply is not None
        ((number, *_),) = site.rows(TRANSACTIONS)
        assert told.reply["transactionId"] == number
        await _lose_answer(site, charger.send("StopTransaction", stop(number, 9), "lost-2"))
        charger = await json_charger(site)
        message_id = "lost-2" if same_id else "new-2"
        assert (await charger.call("StopTransaction", stop(number, 9), message_id)).reply == {}
        await charger.socket.close()
    assert site.rows(TRANSACTIONS) == [(number, 1, "stopped", 9)]


async def _lose_answer(site: Site, sending: Awaitable[str]) -> None:
    """What is sent arrives; what comes back does not."""
    (link,) = [link for link in site.json.links if not link.orphaned]
    link.deaf = True
    answered = f"SELECT count(*) FROM csms_message WHERE message_id = '{await sending}'"
    await until(lambda: site.says(answered, [(1,)]))
    link.cut()


async def test_f2_soap_answer_lost(site: Site) -> None:
    """F2: the same over SOAP, where each request may have a connection of its own."""
    soap = SoapCharger(site)
    async with site.open():
        assert (await soap.post("Heartbeat")).status_code == 200
        posting = asyncio.create_task(soap.start(1))
        while not site.http.links:  # noqa: ASYNC110  at once, before anything is answered
            await asyncio.sleep(0)
        for link in site.http.links:
            link.deaf = True
        await until(lambda: site.says("SELECT count(*) FROM csms_transaction", [(1,)]))
        posting.cancel()
        ((number, *_),) = site.rows(TRANSACTIONS)
        assert transaction_id(await soap.start(1)) == number
    assert len(site.rows(TRANSACTIONS)) == 1


async def test_f12_half_open_connection(new_site: NewSite) -> None:
    """F12: the charger is gone without a word; within two ping intervals it counts as gone."""
    site = new_site(CSMS_PING_INTERVAL="1")
    async with site.open():
        charger = await json_charger(site)
        assert (await charger.call("Heartbeat", {})).reply
        assert site.rows(CONNECTED) == [(1,)]
        began = time.monotonic()
        site.json.orphan()
        await until(lambda: site.says(CONNECTED, [(0,)]))
        assert time.monotonic() - began < 2 + 1  # a second for this machine


async def test_f11_reconnect_storm(site: Site) -> None:
    """F11: all connections break at once, and all chargers come back at once; none is lost, and
    who is there already is answered meanwhile."""
    async with site.open():
        chargers = [await json_charger(site, f"json-{n}") for n in range(150)]
        assert (await chargers[0].call("Heartbeat", {})).reply
        assert site.json.cut() == len(chargers)
        chargers = await asyncio.gather(
            *(json_charger(site, f"json-{n}") for n in range(len(chargers)))
        )
        beats = await asyncio.gather(*(charger.call("Heartbeat", {}) for charger in chargers))
        assert all(beat.reply for beat in beats)
        assert site.rows(CONNECTED) == [(len(chargers),)]
        await asyncio.gather(*(charger.socket.close() for charger in chargers))


async def test_f20_no_descriptors_left(site: Site) -> None:
    """F20: new sockets find no place, those that are open go on; later there is place again."""
    async with site.open(), httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        charger, soap = await json_charger(site), SoapCharger(site, client=client)
        assert (await charger.call("Heartbeat", {})).reply
        assert (await soap.post("Heartbeat")).status_code == 200
        pid = site.first.pid
        used = len(os.listdir(f"/proc/{pid}/fd"))
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 4, hard))
        idle = [await asyncio.open_connection("127.0.0.1", site.json.port) for _ in range(12)]
        await asyncio.sleep(0.5)
        told = await charger.call("StartTransaction", start(1))
        assert told.reply is not None
        assert transaction_id(await soap.start(1)) != told.reply["transactionId"]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        for _, writer in idle:
            writer.close()
        await until(lambda: _comes_in(site))
        assert (await charger.call("Heartbeat", {})).reply
        await charger.socket.close()


async def _comes_in(site: Site) -> bool:
    return await handshake(site) == 101
