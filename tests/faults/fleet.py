"""A fleet that charges without end, through whatever happens.

Each charger has two connectors and queues its transaction messages as OCPP 1.6 §3.7 says: kept in
order, sent again until they are answered. Some of their answers get lost on the way on purpose.
"""

import asyncio
import itertools
from typing import TypeVar

from csms.ocpp.base import Payload, Request, action
from csms.ocpp.types import ChargePointStatus
from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.clock import Clock
from csms.simulator.json import JsonTransport
from csms.simulator.misbehaviour import Misbehaviour
from csms.simulator.soap import SoapTransport
from csms.simulator.transport import CallFailed, Transport
from tests.faults.ledger import TRANSACTION_ACTIONS, Ledger
from tests.faults.site import Site

R = TypeVar("R", bound=Payload)

SPEED = 100.0
"""Waits of the chargers are that much shorter: they try again after a tenth of a second."""

CALL_TIMEOUT = 10.0
"""Seconds after which a charger no longer waits for an answer."""

READINGS = 2
"""Of each transaction."""

MOST_WAITING = 24
"""Messages in a charger's queue, before it charges more slowly."""

LOST_ANSWERS = 0.01
"""Of the answers, as many get lost."""


class Charger(SimulatedChargePoint):
    """Charges on all connectors until it is told to stop."""

    lost_answers = LOST_ANSWERS

    def __init__(self, identity: str, transport: Transport, ledger: Ledger, seed: int) -> None:
        super().__init__(
            identity,
            transport=transport,
            clock=Clock(speed=SPEED),
            journal=ledger,
            seed=seed,
        )
        self.ledger = ledger
        self.configuration["MeterValuesSampledData"] = "Energy.Active.Import.Register"

    async def call(self, request: Request[R]) -> R:
        name = action(type(request))
        if name in TRANSACTION_ACTIONS and self.random.random() < self.lost_answers:
            self.misbehave(name, Misbehaviour(drop=True))
        try:
            return await super().call(request)
        except CallFailed as error:
            self.ledger.refused(name, f"{self.identity}: {error}")
            raise

    async def charge(self, stopping: asyncio.Event) -> None:
        """Transaction after transaction."""
        await self.register()
        for number in itertools.count():
            if stopping.is_set():
                return
            connector_id = 1 + number % 2
            self.begin(connector_id, "TAG")
            for _ in range(READINGS):
                self.connectors[connector_id].meter += self.random.randint(1, 500)
                self.send_reading(connector_id)
            self.connectors[connector_id].meter += self.random.randint(1, 500)
            stopped = self.end(connector_id)
            if number % 10 == 0:
                self.spawn(self.status(connector_id, ChargePointStatus.AVAILABLE))
            if len(self.outbox) >= MOST_WAITING:
                await asyncio.wait([stopped])
            await asyncio.sleep(0)


class Fleet:
    """Chargers of both transports at a site; use it as an asynchronous context."""

    kind = Charger

    def __init__(
        self, site: Site, ledger: Ledger, *, json: int = 4, soap: int = 4, seed: int = 1
    ) -> None:
        self.ledger = ledger
        self.chargers: list[Charger] = [
            *(self.kind(f"json-{n}", _json(site), ledger, seed) for n in range(json)),
            *(self.kind(f"soap-{n}", _soap(site), ledger, seed) for n in range(soap)),
        ]
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> "Fleet":
        for charger in self.chargers:
            await charger.__aenter__()
            charger.spawn(charger.charge(self._stopping))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(charger.__aexit__() for charger in self.chargers))
        self.ledger.close()

    async def acknowledged(self, more: int, *, within: float) -> bool:
        """Wait until so many more transaction messages are answered: were they, in time?"""
        goal = self.ledger.acknowledged + more
        try:
            async with asyncio.timeout(within):
                while self.ledger.acknowledged < goal:  # noqa: ASYNC110  it is written elsewhere
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        return True

    async def deliver(self, *, within: float) -> int:
        """Begin nothing more and deliver what waits; how much could not be."""
        self._stopping.set()
        waits = (charger.outbox.emptied(within * SPEED) for charger in self.chargers)
        await asyncio.gather(*waits)
        return sum(len(charger.outbox) for charger in self.chargers)

    @property
    def failures(self) -> list[str]:
        """What the central system did wrong in the eyes of the chargers."""
        return [f"{c.identity}: {text}" for c in self.chargers for text in c.failures]


def _json(site: Site) -> JsonTransport:
    return JsonTransport(site.json_url, call_timeout=CALL_TIMEOUT)


def _soap(site: Site) -> SoapTransport:
    return SoapTransport(site.soap_url, timeout=CALL_TIMEOUT)
