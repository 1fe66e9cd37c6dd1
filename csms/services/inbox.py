"""The inbox: messages of charge points, committed in groups (load, decide, flush).

The edges await `submit`, or `hand_over`; a reply leaves only after its commit. On SQLite, which has
one writer, one worker thread takes all that is waiting (inbox_worker.py). On PostgreSQL there are
several, so that one decides while another waits for the database; each charge point has its own,
which keeps its messages in order.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from django.db import connection

from csms.conf import Settings, settings
from csms.ocpp.errors import Unavailable
from csms.services import data_transfer
from csms.services.decide import Incoming, Outcome, Superseded
from csms.services.inbox_worker import Worker
from csms.services.jobs import Done, Job, tell
from csms.services.log import LogEntry
from csms.services.metrics import meters

__all__ = ["Inbox", "Incoming", "LogEntry", "Outcome", "Superseded"]


class Inbox:
    """The one way in for messages of charge points; `start` it before the first `submit`."""

    def __init__(self, config: Settings | None = None) -> None:
        self._config = config or settings()
        number = 1 if connection.vendor == "sqlite" else self._config.inbox_workers
        self.workers = [Worker(self._config) for _ in range(number)]
        self._stopping = False

    def start(self) -> None:
        """Start the workers."""
        self._stopping = False
        for worker in self.workers:
            worker.start()

    async def stop(self) -> None:
        """Commit what is waiting, then end the workers."""
        self._stopping = True
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            await asyncio.to_thread(worker.join)

    @property
    def full(self) -> bool:
        """Senders should be slowed down (F4)."""
        return self.waiting >= self._config.inbox_size // 2

    @property
    def alive(self) -> bool:
        """The workers run."""
        return all(worker.alive for worker in self.workers)

    @property
    def waiting(self) -> int:
        """Messages whose commit is outstanding."""
        return sum(len(worker.jobs) for worker in self.workers)

    async def submit(self, incoming: Incoming) -> Outcome:
        """The outcome of a message, after its commit; in the order of the calls.

        Raises Unavailable (nothing can be committed, or the queue is full) and Superseded.
        """
        if incoming.action == "DataTransfer":
            await data_transfer.prepare(incoming)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self.hand_over(incoming, loop, partial(tell, future))
        return await future

    def hand_over(self, incoming: Incoming, loop: asyncio.AbstractEventLoop, done: Done) -> None:
        """Have a message decided: `submit` without a future and a coroutine, for what needs no
        preparation (all but DataTransfer). Raises Unavailable when the queue is full.
        """
        if self._stopping or self.waiting >= self._config.inbox_size:
            unavailable = Unavailable()
            meters.message(incoming.action, incoming.transport, unavailable)
            raise unavailable
        worker = self._worker(None if incoming.charger is None else incoming.charger.pk)
        worker.put(Job(incoming, loop, done), loop)

    def record(self, entry: LogEntry) -> None:
        """Append to the message log with the next batch; from any thread."""
        if entry.direction == "out":
            meters.call(entry)
        self._worker(entry.charger_pk).record(entry)

    def handle(self, batch: Sequence[Incoming]) -> list[Outcome | BaseException]:
        """The outcomes of one batch, committed in the calling thread; without workers and loop."""
        jobs = [Job(incoming) for incoming in batch]
        entries = [worker.log.popleft() for worker in self.workers for _ in range(len(worker.log))]
        self.workers[0].process(jobs, entries)
        return [job.result or Unavailable() for job in jobs]

    def _worker(self, charger_pk: int | None) -> Worker:
        return self.workers[(charger_pk or 0) % len(self.workers)]
