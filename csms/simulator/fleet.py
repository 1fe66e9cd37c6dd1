"""Several simulated charge points for a bounded time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from csms.ocpp.types import Reason
from csms.simulator import session
from csms.simulator.charge_point import SimulatedChargePoint

GRACE = 10.0
"""Seconds that the last messages have to be delivered."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of one charge point; `energy` in Wh."""

    identity: str
    transport: str
    registered: bool
    sessions: int
    refused: int
    sent: int
    acknowledged: int
    received: int
    undelivered: int
    energy: int
    failures: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether anything went wrong."""
        return not self.registered or self.undelivered > 0 or bool(self.failures)

    def __str__(self) -> str:
        state = "FAILED" if self.failed else "ok"
        return (
            f"{self.identity} ({self.transport}): {state}; {self.sessions} sessions, "
            f"{self.refused} refused, {self.energy} Wh; {self.acknowledged} of {self.sent} calls "
            f"acknowledged, {self.received} received, {self.undelivered} undelivered"
        )


async def run(
    charge_points: Sequence[SimulatedChargePoint],
    *,
    duration: float = 0.0,
    stopping: asyncio.Event | None = None,
) -> list[Report]:
    """Let them charge until their sessions are done, `duration` seconds (0: no limit) are over
    or `stopping` is set; then stop what runs and report."""
    ended = stopping or asyncio.Event()
    works = [asyncio.create_task(_live(cp, ended)) for cp in charge_points]
    waiter = asyncio.create_task(_limit(ended, duration))
    try:
        await asyncio.wait(works)
    finally:
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
    return [_report(cp, work.exception()) for cp, work in zip(charge_points, works, strict=True)]


async def _limit(ended: asyncio.Event, duration: float) -> None:
    await asyncio.sleep(duration if duration > 0 else float(10**9))
    ended.set()


async def _live(cp: SimulatedChargePoint, ended: asyncio.Event) -> None:
    """One charge point, from power on to power off."""
    async with cp:
        sessions = asyncio.create_task(_charge(cp))
        signal = asyncio.create_task(ended.wait())
        await asyncio.wait((sessions, signal), return_when=asyncio.FIRST_COMPLETED)
        signal.cancel()
        sessions.cancel()
        (error,) = await asyncio.gather(sessions, return_exceptions=True)
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, Exception):
            cp.violation(f"{type(error).__name__}: {error}")
        await _wind_up(cp)


async def _charge(cp: SimulatedChargePoint) -> None:
    """Register, then sessions on all connectors."""
    await cp.register()
    await cp.announce()
    cp.spawn(cp.beat())
    async with asyncio.TaskGroup() as group:
        for connector_id in cp.connectors:
            if connector_id > 0:
                group.create_task(session.keep_charging(cp, connector_id))


async def _wind_up(cp: SimulatedChargePoint) -> None:
    """Stop what still charges, and deliver what can be delivered."""
    stopped = []
    for connector in cp.connectors.values():
        if connector.transaction is not None:
            cp.end(connector.id, Reason.LOCAL)
            stopped.append(connector)
    if not cp.registered.is_set():
        return
    if not await cp.outbox.emptied(GRACE * cp.clock.speed):
        cp.event("some messages could not be delivered")
        return
    for connector in stopped:
        await cp.status(connector.id, connector.resting)


def _report(cp: SimulatedChargePoint, error: BaseException | None) -> Report:
    sent = cp.journal.sent(identity=cp.identity)
    failures = [*cp.failures, *([f"{type(error).__name__}: {error}"] if error else [])]
    return Report(
        identity=cp.identity,
        transport=cp.transport.name,
        registered=cp.registered.is_set(),
        sessions=cp.sessions_done,
        refused=cp.sessions_refused,
        sent=len(sent),
        acknowledged=sum(entry.acknowledged for entry in sent),
        received=len(cp.journal.received(identity=cp.identity)),
        undelivered=len(cp.outbox),
        energy=int(sum(c.meter for c in cp.connectors.values())),
        failures=tuple(failures),
    )
