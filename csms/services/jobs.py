"""A message on its way through the inbox."""

import asyncio
import time

from csms.services.decide import Incoming, Outcome


class Job:
    """A message and who waits for its outcome."""

    __slots__ = ("future", "incoming", "loop", "result", "started")

    def __init__(
        self,
        incoming: Incoming,
        loop: asyncio.AbstractEventLoop | None = None,
        future: "asyncio.Future[Outcome] | None" = None,
    ) -> None:
        self.incoming = incoming
        self.loop = loop
        self.future = future
        self.started = time.monotonic()
        self.result: Outcome | BaseException | None = None

    @property
    def duration_ms(self) -> float:
        """Since it was submitted."""
        return (time.monotonic() - self.started) * 1000
