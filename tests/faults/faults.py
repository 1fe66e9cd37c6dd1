"""What goes wrong in a run: each fault begins, lasts and ends in one coroutine."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from tests.faults.databases import files_limited, locked
from tests.faults.site import Process, Site

Fault = Callable[[Site, random.Random], Awaitable[None]]

SHORT = 2.0
LONG = 6.0
"""Seconds; longer than SQLite's busy timeout and than PostgreSQL lets a transaction idle."""


JUMPS = ("+2h", "-2h", "+400d", "-400d")
"""How far a clock jumps: charge points' times are then of long ago, or not believed."""

SLOW_TURNS = 20
"""Of a slow database: a fifth of a second of rest and a twentieth of work."""


def _any(site: Site, chance: random.Random) -> Process:
    return chance.choice(list(site.processes.values()))


def _others(site: Site, process: Process) -> list[str]:
    """Where its chargers can go meanwhile: to the other processes, if there are any."""
    return [name for name in site.processes if name != process.name] or [process.name]


async def kill(site: Site, chance: random.Random) -> None:
    """kill -9 of a server process, and its restart."""
    process = _any(site, chance)
    await asyncio.to_thread(process.kill)
    await asyncio.to_thread(process.start)


async def drain(site: Site, chance: random.Random) -> None:
    """SIGTERM to a server process, and its restart."""
    process = _any(site, chance)
    status = await asyncio.to_thread(process.terminate)
    assert status == 0, f"SIGTERM ended with {status}"
    await asyncio.to_thread(process.start)


async def pause(site: Site, chance: random.Random) -> None:
    """SIGSTOP of a server process; its chargers reconnect, elsewhere if they can; SIGCONT."""
    process = _any(site, chance)
    process.pause()
    try:
        site.lead_to(*_others(site, process))
        site.json.orphan(process.json)
        site.http.orphan(process.http)
        await asyncio.sleep(chance.choice((SHORT, LONG)))
    finally:
        process.resume()
        site.lead_to(*site.processes)


async def cut(site: Site, chance: random.Random) -> None:
    """All connections are reset."""
    site.json.cut()
    site.http.cut()


async def half_open(site: Site, chance: random.Random) -> None:
    """The chargers' ends of all connections are gone, and the servers do not know."""
    site.json.orphan()
    site.http.orphan()


async def swallow(site: Site, chance: random.Random) -> None:
    """For a while no byte passes."""
    site.json.swallow()
    site.http.swallow()
    await asyncio.sleep(SHORT)
    site.json.flow()
    site.http.flow()


async def delay(site: Site, chance: random.Random) -> None:
    """For a while every byte is late."""
    site.json.delay = site.http.delay = 0.3
    await asyncio.sleep(SHORT)
    site.json.delay = site.http.delay = 0.0


async def jump(site: Site, chance: random.Random) -> None:
    """The servers' clock jumps, by hours or more than a year, and soon jumps back."""
    assert site.clock is not None
    site.clock.turn(chance.choice(JUMPS))
    await asyncio.sleep(SHORT)
    site.clock.turn("+0")


async def crawl(site: Site, chance: random.Random) -> None:
    """The database is slow: for seconds it works a fifth of the time."""
    for _ in range(SLOW_TURNS):
        if site.postgres is None:
            with locked(site.sqlite):
                await asyncio.sleep(0.2)
        else:
            site.postgres.pause()
            try:
                await asyncio.sleep(0.2)
            finally:
                site.postgres.resume()
        await asyncio.sleep(0.05)


async def lock(site: Site, chance: random.Random) -> None:
    """SQLite: another process holds the write lock."""
    with locked(site.sqlite):
        await asyncio.sleep(chance.choice((SHORT, LONG)))


async def fill(site: Site, chance: random.Random) -> None:
    """SQLite: no file can grow."""
    with files_limited(site.first.pid):
        await asyncio.sleep(SHORT)


async def kill_database(site: Site, chance: random.Random) -> None:
    """PostgreSQL: kill -9 of all its processes, and its restart."""
    assert site.postgres is not None
    await asyncio.to_thread(site.postgres.kill)
    await asyncio.to_thread(site.postgres.restart)


async def halt_database(site: Site, chance: random.Random) -> None:
    """PostgreSQL: stopped, away for a while, started."""
    assert site.postgres is not None
    await asyncio.to_thread(site.postgres.halt)
    await asyncio.sleep(SHORT)
    await asyncio.to_thread(site.postgres.restart)


async def freeze_database(site: Site, chance: random.Random) -> None:
    """PostgreSQL: SIGSTOP of all its processes, and SIGCONT."""
    assert site.postgres is not None
    site.postgres.pause()
    try:
        await asyncio.sleep(SHORT)
    finally:
        site.postgres.resume()


async def read_only_database(site: Site, chance: random.Random) -> None:
    """PostgreSQL: it takes no writes, as after a failover."""
    assert site.postgres is not None
    await asyncio.to_thread(site.postgres.read_only, True)
    await asyncio.sleep(SHORT)
    await asyncio.to_thread(site.postgres.read_only, False)


async def fill_database(site: Site, chance: random.Random) -> None:
    """PostgreSQL: its tables are on a disk without one free block."""
    assert site.disk is not None
    await asyncio.to_thread(site.disk.fill)
    await asyncio.sleep(SHORT)
    site.disk.empty()


EVERYWHERE: tuple[Fault, ...] = (drain, pause, cut, half_open, jump, swallow, delay, crawl)
ON_SQLITE: tuple[Fault, ...] = (*EVERYWHERE, lock, fill)
ON_POSTGRESQL: tuple[Fault, ...] = (
    *EVERYWHERE,
    kill_database,
    halt_database,
    freeze_database,
    read_only_database,
    fill_database,
)


def of(site: Site) -> tuple[Fault, ...]:
    """The faults, beside `kill`, that this site can have: not every machine can turn clocks, or
    mount a small disk."""
    cannot = {fault for fault, by in ((jump, site.clock), (fill_database, site.disk)) if by is None}
    faults = ON_SQLITE if site.postgres is None else ON_POSTGRESQL
    return tuple(fault for fault in faults if fault not in cannot)


def words(fault: Fault) -> str:
    """The first line of its docstring, as a line of a table."""
    return (fault.__doc__ or fault.__name__).splitlines()[0].rstrip(".")
