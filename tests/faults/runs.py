"""A run: a fleet charges, a server is killed again and again, other things go wrong in between,
and at the end journal and database are compared."""

import asyncio
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests import servers
from tests.faults import faults
from tests.faults.checker import Verdict, check
from tests.faults.clocks import TurnedClock
from tests.faults.databases import Postgres, SmallDisk
from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.site import Site, short_folder

T = TypeVar("T")

DELIVERY = 120.0
"""Seconds that the chargers have at the end to deliver what waits."""

DISK = 512
"""Megabytes of the disk that is filled under PostgreSQL: what a whole run stores fits."""

STALLED = 60.0
"""Seconds without progress after which a run is given up."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """At least `rounds` kills and `messages` acknowledged transaction messages, in at most
    `seconds`; after every `between` kills there is another fault."""

    rounds: int
    messages: int
    seconds: float
    json: int = 12
    soap: int = 8
    between: int = 4
    seed: int = 1


@dataclass
class Run:
    """What was done to a site, and what came of it."""

    database: str
    size: Size
    kills: int = 0
    others: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)
    failures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Faults that this machine cannot have, and why."""

    @property
    def problems(self) -> list[str]:
        """Everything that is not as it must be."""
        short = []
        if self.kills < self.size.rounds:
            short.append(f"{self.kills} kills instead of {self.size.rounds}")
        if self.verdict.acknowledged < self.size.messages:
            short.append(f"{self.verdict.acknowledged} messages instead of {self.size.messages}")
        return [*short, *self.verdict.problems, *self.failures]


def perform(
    size: Size,
    *,
    postgresql: bool,
    say: Callable[[str], None] = lambda text: None,
    environment: dict[str, str] | None = None,
) -> Run:
    """One run from an empty database to the verdict; nothing of it stays. `environment`: more of
    the processes'."""
    folder = short_folder()
    run = Run("PostgreSQL, two processes" if postgresql else "SQLite", size)
    postgres = Postgres() if postgresql else None
    clock = _had(run, lambda: TurnedClock(folder))
    disk = _had(run, lambda: SmallDisk(DISK)) if postgresql else None
    try:
        names = "ab" if postgres else "a"
        more = environment or {}
        site = Site(folder / "data", postgres=postgres, names=names, clock=clock, disk=disk, **more)
        site.prepare()
        for why in run.left_out:
            say(why)
        started = time.monotonic()
        asyncio.run(_perform(site, run, Ledger(folder / "journal"), say))
        run.seconds = time.monotonic() - started
        return run
    finally:
        if postgres is not None:
            postgres.stop()
        if disk is not None:
            disk.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _had(run: Run, make: Callable[[], T]) -> T | None:
    """What a fault needs; None, and noted, where it cannot be had."""
    try:
        return make()
    except servers.Missing as missing:
        run.left_out.append(str(missing))
        return None


async def _perform(site: Site, run: Run, journal: Ledger, say: Callable[[str], None]) -> None:
    size, chance = run.size, random.Random(run.size.seed)
    deadline = time.monotonic() + size.seconds
    async with site.open():
        async with Fleet(site, journal, json=size.json, soap=size.soap, seed=size.seed) as fleet:
            try:
                await _rounds(site, run, fleet, chance, deadline, say)
            except (AssertionError, OSError, RuntimeError) as error:  # a server did not start, say
                run.failures.append(f"ended after {run.kills} kills: {error}")
            say("the chargers deliver what waits")
            undelivered = await fleet.deliver(within=DELIVERY)
        for process in site.processes.values():
            status = await asyncio.to_thread(process.terminate)
            if status:
                run.failures.append(f"process {process.name} ended with {status}")
        run.verdict = await asyncio.to_thread(check, site, journal)
        run.verdict.undelivered = undelivered
        run.failures += fleet.failures


async def _rounds(
    site: Site,
    run: Run,
    fleet: Fleet,
    chance: random.Random,
    deadline: float,
    say: Callable[[str], None],
) -> None:
    size, others = run.size, list(faults.of(site))
    while time.monotonic() < deadline:
        left = size.messages - fleet.ledger.acknowledged
        if run.kills >= size.rounds and left <= 0:
            return
        step = max(20, left // max(1, size.rounds - run.kills))  # messages until the next kill
        if not await fleet.acknowledged(chance.randint(step // 2, step * 3 // 2), within=STALLED):
            run.failures.append(f"{STALLED:g} s without progress after {run.kills} kills")
            return
        if run.kills < size.rounds:
            await faults.kill(site, chance)
            run.kills += 1
        if run.kills % size.between == 0:
            fault = others[sum(run.others.values()) % len(others)]
            await fleet.acknowledged(chance.randint(1, step), within=STALLED)
            await fault(site, chance)
            run.others[faults.words(fault)] += 1
        if run.kills % 10 == 0:
            say(f"{run.kills} kills, {fleet.ledger.acknowledged} messages acknowledged")
