"""Simulated charge points that live on a running system's loop for the length of a block."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from csms.models import ChargePoint
from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.clock import Clock
from csms.simulator.json import JsonTransport
from csms.simulator.plan import Plan
from csms.simulator.soap import SoapTransport
from csms.simulator.transport import Transport
from tests.running import PATIENCE, System


@contextmanager
def simulated(
    system: System, row: ChargePoint, *, speed: float = 1, plan: Plan | None = None
) -> Iterator[SimulatedChargePoint]:
    """A registered simulated charge point that waits for calls."""
    transport: Transport
    if row.transport == "json":
        transport = JsonTransport(system.json_url)
    else:
        transport = SoapTransport(system.soap_url)
    charge_point = SimulatedChargePoint(
        row.identity, transport=transport, clock=Clock(speed=speed), plan=plan, seed=1
    )
    ready, stop = threading.Event(), asyncio.Event()

    async def live() -> None:
        async with charge_point:
            await charge_point.register()
            await charge_point.announce()
            ready.set()
            await stop.wait()

    living = asyncio.run_coroutine_threadsafe(live(), system.loop)
    try:
        assert ready.wait(PATIENCE), living.done() and living.exception()
        yield charge_point
    finally:
        system.loop.call_soon_threadsafe(stop.set)
        living.result(PATIENCE)
    assert charge_point.failures == []
