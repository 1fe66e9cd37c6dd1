"""A message on its way through the inbox."""

import asyncio
import logging
import time
from collections.abc import Callable

from csms.ocpp.errors import Unavailable
from csms.services.decide import Incoming, Outcome

logger = logging.getLogger(__name__)

Done = Callable[[Outcome | BaseException], None]
"""Told what became of a message, after its commit: its outcome, Unavailable or Superseded."""


class Job:
    """A message and who waits for its outcome: `done` is called on `loop`."""

    __slots__ = ("done", "incoming", "loop", "result", "started")

    def __init__(
        self,
        incoming: Incoming,
        loop: asyncio.AbstractEventLoop | None = None,
        done: Done | None = None,
    ) -> None:
        self.incoming = incoming
        self.loop = loop
        self.done = done
        self.started = time.monotonic()
        self.result: Outcome | BaseException | None = None

    @property
    def duration_ms(self) -> float:
        """Since it was submitted."""
        return (time.monotonic() - self.started) * 1000


def settle(jobs: list[Job]) -> None:
    """Tell those who wait for a batch, on their loop."""
    for job in jobs:
        if job.done is None:
            continue
        try:
            job.done(job.result or Unavailable())
        except Exception:  # the others are told all the same
            logger.exception("%s was not told an outcome", job.incoming.identity)


def tell(future: "asyncio.Future[Outcome]", result: Outcome | BaseException) -> None:
    """Resolve a future with an outcome; nothing when who waited has gone."""
    if future.done():
        return
    if isinstance(result, Outcome):
        future.set_result(result)
    else:
        future.set_exception(result)
