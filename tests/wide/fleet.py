"""Chargers that charge now and then and note each command that reaches them."""

import asyncio
from collections import Counter
from pathlib import Path

from csms.ocpp.types import ChargePointStatus
from csms.simulator.journal import Entry
from tests.faults.fleet import Charger, Fleet
from tests.faults.ledger import Ledger

PAUSE = 12.0
"""Seconds between two transactions of a charger, on average."""


class CommandLedger(Ledger):
    """Also knows how often each command was received: (identity, message id) → times."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.deliveries: Counter[tuple[str, str]] = Counter()
        self.commands: Counter[str] = Counter()
        """GetConfigurations that were received: identity → how many."""

    def opened(self, entry: Entry) -> Entry:
        if entry.direction == "received" and entry.action == "GetConfiguration":
            self.deliveries[entry.identity, entry.message_id] += 1
            self.commands[entry.identity] += 1
        return super().opened(entry)


class Calm(Charger):
    """Charges, rests, charges again, as many do at a time and few in a moment."""

    lost_answers = 0.0  # it would lose the commands that it was answering, too

    async def charge(self, stopping: asyncio.Event) -> None:
        await self.register()
        await self.status(1, ChargePointStatus.AVAILABLE)
        while not stopping.is_set():
            await self._rest(stopping)
            self.begin(1, "TAG")
            self.connectors[1].meter += self.random.randint(1, 500)
            self.send_reading(1)
            await asyncio.wait([self.end(1)])

    async def _rest(self, stopping: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(PAUSE * 2 * self.random.random()):
                await stopping.wait()
        except TimeoutError:
            pass


class CalmFleet(Fleet):
    kind = Calm
