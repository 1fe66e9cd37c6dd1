"""Gateways that pause, die and are replaced: F14, F15, F19."""

import asyncio

import pytest

from tests.faults.conftest import NewSite
from tests.faults.site import Site
from tests.faults.wire import SoapCharger, Told, json_charger, start, stop, until
from tests.serving import manage

pytestmark = pytest.mark.anyio

OWNER = "SELECT epoch, owner, connected FROM csms_chargepoint WHERE identity = 'json-1'"
COMMANDS = "SELECT action, state FROM csms_command ORDER BY id"


@pytest.mark.postgres
async def test_f14_paused_gateway_has_no_say(new_site: NewSite) -> None:
    """F14: what A still held for a charger that has moved to B is refused, and so are its
    commands; its closing socket does not end the session at B."""
    site = new_site(names="ab")
    async with site.open():
        site.lead_to("a")
        charger = await json_charger(site)
        assert (await charger.call("Heartbeat", {})).reply
        ((epoch, a, connected),) = site.rows(OWNER)
        assert connected
        site.processes["a"].pause()
        # It reaches A's socket, and A has not read it when the charger gives up and moves.
        await charger.send("StartTransaction", start(1))
        await charger.send("StartTransaction", start(2, connector=2))
        await asyncio.sleep(0.2)
        site.json.orphan(site.processes["a"].json)
        site.lead_to("b")
        moved = await json_charger(site)
        told = await moved.call("StartTransaction", start(1))
        assert told.reply is not None
        assert site.rows(OWNER)[0][0] == epoch + 1
        b = site.rows(OWNER)[0][1]
        assert b not in ("", a)
        environment = site.processes["b"].environment
        await asyncio.to_thread(manage, environment, "send", "json-1", "ClearCache", "--no-wait")
        site.processes["a"].resume()
        frame = await moved.receive()
        assert frame[2:] == ["ClearCache", {}]
        await asyncio.sleep(3)  # A has read, has been refused, and has swept for commands
        assert site.rows(OWNER) == [(epoch + 1, b, True)]
        starts = "SELECT transaction_id, meter_start FROM csms_transaction"
        assert site.rows(starts) == [(told.reply["transactionId"], 1)]
        assert (
            await moved.call("StopTransaction", stop(told.reply["transactionId"], 5))
        ).reply == {}
        await moved.socket.close()


@pytest.mark.postgres
async def test_f14_a_gateway_that_starts_takes_nothing_from_the_others(new_site: NewSite) -> None:
    """F14: A is restarted; a charger of B stays connected there, and gets its commands."""
    site = new_site(names="ab")
    async with site.open():
        site.lead_to("b")
        charger = await json_charger(site)
        assert (await charger.call("Heartbeat", {})).reply
        before = site.rows(OWNER)
        await asyncio.to_thread(site.processes["a"].kill)
        await asyncio.to_thread(site.processes["a"].start)
        assert site.rows(OWNER) == before
        b = site.processes["b"].environment
        await asyncio.to_thread(manage, b, "send", "json-1", "ClearCache", "--no-wait")
        assert (await charger.receive())[2] == "ClearCache"
        await charger.socket.close()


@pytest.mark.slow
async def test_f15_killed_between_command_and_answer(new_site: NewSite) -> None:
    """F15: the outcome is unknown; it is not sent again, neither at the restart nor later."""
    site = new_site(CSMS_CALL_TIMEOUT="1")
    async with site.open():
        charger = await json_charger(site)
        assert (await charger.call("Heartbeat", {})).reply
        payload = '{"connectorId":1}'
        sent = asyncio.to_thread(
            manage, site.environment, "send", "json-1", "UnlockConnector", payload, "--no-wait"
        )
        sending = asyncio.create_task(sent)
        assert (await charger.receive())[2] == "UnlockConnector"
        await asyncio.to_thread(site.first.kill)
        await sending
        assert site.rows(COMMANDS) == [("UnlockConnector", "sent")]
        await asyncio.to_thread(site.first.start)
        charger = await json_charger(site)
        assert (await charger.call("Heartbeat", {})).reply
        await until(lambda: site.says(COMMANDS, [("UnlockConnector", "timed out")]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(charger.socket.recv(), 1.5)
        await charger.socket.close()


async def test_f19_sigterm_answers_what_waits(site: Site) -> None:
    """F19: both transports are answered what they had asked, sockets closed with 1012, status 0."""
    async with site.open():
        chargers = [await json_charger(site, f"json-{n}") for n in range(20)]
        soap = [SoapCharger(site, f"soap-{n}") for n in range(10)]
        for charger in soap:  # known from now on
            assert (await charger.post("Heartbeat")).status_code == 200
        asked = [
            *(asyncio.create_task(c.call("StartTransaction", start(7))) for c in chargers),
            *(asyncio.create_task(c.start(7)) for c in soap),
        ]
        await asyncio.sleep(0.02)
        status = await asyncio.to_thread(site.first.terminate)
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert status == 0
        ends = [await charger.told() for charger in chargers]
    stored = site.rows("SELECT count(*) FROM csms_transaction")[0][0]
    answered = [t for t in told if _is_answer(t)]
    assert stored == len(answered)  # all that was stored was answered, and nothing else
    assert {end.closed for end in ends} == {1012}


def _is_answer(told: object) -> bool:
    if isinstance(told, Told):
        assert told.reply is not None or told.closed == 1012, told
        return told.reply is not None
    return getattr(told, "status_code", 0) == 200
