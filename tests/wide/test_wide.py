"""Three gateways, two web processes, one that delivers, PostgreSQL, Redis and HAProxy; 300
chargers of both kinds; processes are killed and added while commands run."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.faults.checker import check
from tests.faults.databases import Postgres
from tests.faults.site import short_folder
from tests.servers import Missing
from tests.wide.fleet import CalmFleet, CommandLedger
from tests.wide.site import WideSite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

JSON, SOAP = 200, 100
SETTLED_WITHIN = 90.0
"""Seconds, on a busy machine."""


@pytest.fixture
def site() -> Iterator[WideSite]:
    folder = short_folder()
    try:
        postgres = Postgres()
    except Missing as missing:
        shutil.rmtree(folder)
        pytest.skip(str(missing))
    try:
        made = WideSite(
            folder / "data", postgres=postgres, gateways=("g1", "g2", "g3", "g4"), webs=("w1", "w2")
        )
        made.prepare()
        yield made
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Rest:
    """The integrator, who speaks through HAProxy."""

    def __init__(self, site: WideSite) -> None:
        headers = {"Authorization": f"Bearer {site.token()}"}
        self.client = httpx.AsyncClient(base_url=site.api_url, headers=headers, timeout=30)

    async def ask_all(self, identities: list[str]) -> int:
        """Send all of them a command; the batch."""
        body = {
            "action": "GetConfiguration",
            "payload": {"key": ["HeartbeatInterval"]},
            "identities": identities,
        }
        answer = await self.client.post("/commands/bulk", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.json()["refused"] == []
        number: int = answer.json()["id"]
        return number

    async def settled(self, batch: int) -> dict[str, int]:
        """How its commands ended, once all have."""
        deadline = time.monotonic() + SETTLED_WITHIN
        while True:
            try:
                said: dict[str, Any] = (await self.client.get(f"/command-batches/{batch}")).json()
            except httpx.TransportError:  # that web process was killed
                said = {"states": {"?": 1}}
            states: dict[str, int] = said["states"]
            if not states.keys() & {"queued", "sent", "?"}:
                return states
            assert time.monotonic() < deadline, states
            await asyncio.sleep(0.5)


async def all_online(site: WideSite) -> None:
    query = "SELECT count(*) FROM csms_chargepoint WHERE connected"
    deadline = time.monotonic() + SETTLED_WITHIN
    while not await site.says(query, [(JSON,)]):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)


def owners(site: WideSite) -> set[str]:
    """The gateways that have sockets of charge points, by their ports."""
    found = site.rows("SELECT DISTINCT owner FROM csms_chargepoint WHERE connected")
    return {name.rpartition(":")[2] for (name,) in found}


async def scene(site: WideSite, ledger: CommandLedger) -> dict[str, dict[str, int]]:
    """What became of each of the commands to all, by what happened meanwhile."""
    parts = site.parts
    ended: dict[str, dict[str, int]] = {}
    async with CalmFleet(site, ledger, json=JSON, soap=SOAP) as fleet:
        everybody = [charger.identity for charger in fleet.chargers]
        await asyncio.gather(*(charger.registered.wait() for charger in fleet.chargers))
        await all_online(site)
        assert owners(site) == {str(parts[name].ports["json"]) for name in ("g1", "g2", "g3")}
        rest = Rest(site)

        ended["calm"] = await rest.settled(await rest.ask_all(everybody))

        batch = await rest.ask_all(everybody)
        parts["g1"].kill()
        parts["w1"].kill()
        parts["g4"].start()  # HAProxy knows of it already
        ended["a gateway and a web process killed"] = await rest.settled(batch)
        await asyncio.to_thread(parts["g4"].ready)
        await all_online(site)

        site.redis_stop()
        ended["without Redis"] = await rest.settled(await rest.ask_all(everybody))
        batch = await rest.ask_all(everybody)
        site.redis_start()
        parts["w1"].start()
        assert await asyncio.to_thread(parts["g2"].terminate) == 0
        ended["Redis back, a gateway ended in order"] = await rest.settled(batch)
        await all_online(site)
        assert str(parts["g4"].ports["json"]) in owners(site)

        assert await fleet.deliver(within=120) == 0
        assert fleet.failures == []
        await rest.client.aclose()
    return ended


def test_f13_f14_gateways_come_and_go_while_commands_run(site: WideSite) -> None:
    """What was acknowledged is stored once and for the right charger, no charger has two owners,
    and no command is lost or sent twice."""
    ledger = CommandLedger(site.folder.parent / "journal")
    with site.running("g1", "g2", "g3", "w1", "w2", "deliver"):
        ended = asyncio.run(scene(site, ledger))
        for name in ("g3", "w2", "deliver"):
            assert "csms_database_up 1.0" in site.parts[name].watch("/metrics").text
            assert site.parts[name].watch("/admin/").status_code == 404
        verdict = check(site, ledger)
        sent = dict(
            site.rows(
                "SELECT c.identity || ' ' || m.message_id, m.state FROM csms_command m"
                " JOIN csms_chargepoint c ON c.id = m.charge_point_id"
            )
        )
    assert verdict.problems == []
    assert verdict.acknowledged > 3 * (JSON + SOAP)

    for what, states in ended.items():
        assert sum(states.values()) == JSON + SOAP, (what, states)
        unknown = states.get("timed out", 0)  # sent, and the sender was killed before the answer
        assert states.get("accepted", 0) + unknown == JSON + SOAP, (what, states)
        assert unknown == 0 or "killed" in what, (what, states)
    assert max(ledger.deliveries.values()) == 1
    for identity, number in ledger.deliveries:
        assert f"{identity} {number}" in sent  # none but those that are known
    accepted = {key for key, state in sent.items() if state == "accepted"}
    assert accepted <= {" ".join(key) for key in ledger.deliveries}
    assert max(ledger.commands.values()) <= len(ended)
