"""Time for simulated charge points: real time stamps, waits that can be made shorter."""

import asyncio
from datetime import UTC, datetime, timedelta


class Clock:
    """The charge point's clock.

    `speed` divides every wait (60: a minute takes a second); time stamps stay the wall clock's,
    moved by `offset` (seconds; a charge point that lives in 1970 has a large negative one).
    """

    def __init__(self, *, speed: float = 1.0, offset: float = 0.0) -> None:
        if speed <= 0:
            raise ValueError("The speed must be above zero.")
        self.speed = speed
        self.offset = timedelta(seconds=offset)

    def now(self) -> datetime:
        """The charge point's time, UTC."""
        return datetime.now(UTC) + self.offset

    async def sleep(self, seconds: float) -> None:
        """Wait so many of the charge point's seconds."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until the charge point's time is `moment`; at once when it is past."""
        await self.sleep((moment - self.now()).total_seconds())

    async def wait_for(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for an event, at most so many of the charge point's seconds: did it come?"""
        try:
            async with asyncio.timeout(max(0.0, seconds) / self.speed):
                await event.wait()
        except TimeoutError:
            return False
        return True
