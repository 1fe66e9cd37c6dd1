"""Counts answers and their latencies while a load runs."""

import asyncio
import json
import time
from collections.abc import Callable


class Failed(Exception):
    """A server answered something else than was expected, or closed."""


class Tally:
    """What all clients of one load saw."""

    def __init__(self) -> None:
        self.answers = 0
        """Since the start, the warm-up included."""
        self.latencies: list[float] = []
        """Seconds, since the last `reset`."""
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stopping = False

    def answered(self, sent_at: float) -> None:
        self.answers += 1
        self.latencies.append(time.perf_counter() - sent_at)

    def fail(self, why: str) -> None:
        if not self.stopping and not self.failure.done():
            self.failure.set_exception(Failed(why))

    async def wait(self, seconds: float) -> None:
        """Let the load run. Raises Failed."""
        done, _ = await asyncio.wait([self.failure], timeout=seconds)
        for future in done:
            future.result()

    async def measure(self, *, warm_up: float, seconds: float) -> dict[str, float]:
        """Rate (answers a second) and latencies (ms) of a load that runs already."""
        await self.wait(warm_up)
        self.latencies.clear()
        started = time.perf_counter()
        await self.wait(seconds)
        elapsed = time.perf_counter() - started
        seen = sorted(self.latencies)
        self.stopping = True
        if not seen:
            raise Failed("Nothing was answered.")
        return {
            "rate": len(seen) / elapsed,
            "p50": seen[len(seen) // 2] * 1000,
            "p99": seen[min(len(seen) - 1, len(seen) * 99 // 100)] * 1000,
        }


def say(**facts: object) -> None:
    """One line for the process that started this one."""
    print(json.dumps(facts), flush=True)


async def every(seconds: float, act: Callable[[], None], tally: Tally) -> None:
    """Call `act` at a steady pace: a late call does not delay the next ones."""
    due = time.perf_counter()
    while not tally.stopping:
        act()
        due += seconds
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
