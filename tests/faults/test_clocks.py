"""The server's clock jumps: F16."""

import asyncio
from pathlib import Path

import pytest

from tests import servers
from tests.faults.clocks import TurnedClock
from tests.faults.conftest import NewSite
from tests.faults.wire import SoapCharger, json_charger, start, stop

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.mark.slow
async def test_f16_clock_of_the_server_jumps(new_site: NewSite, tmp_path: Path) -> None:
    """F16: more than a year forward, or back: sockets stay, pings go on, what is asked is answered,
    transactions are never refused, and the way back is no trouble either."""
    try:
        clock = TurnedClock(tmp_path)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    site = new_site(clock=clock, CSMS_PING_INTERVAL="1")
    soap = SoapCharger(site)
    async with site.open():
        charger = await json_charger(site)
        for meter, at in enumerate(("+0", "+400d", "-400d", "+0"), 1):
            clock.turn(at)
            await asyncio.sleep(2.5)  # two pings
            told = await charger.call("StartTransaction", start(meter))
            assert told.reply is not None, told
            number = told.reply["transactionId"]
            assert (await charger.call("StopTransaction", stop(number, meter + 1))).reply == {}
            assert (await soap.start(meter)).status_code == 200
        beat = await charger.call("Heartbeat", {})
        assert beat.reply is not None
        await charger.socket.close()
    years = "SELECT started_at, start_received_at, energy FROM csms_transaction WHERE energy = 1"
    found = site.rows(years)
    assert len(found) == 4
    assert len({str(received)[:4] for _, received, _ in found}) == 3  # it did jump
