"""The inbox: messages of charge points, committed in groups (load, decide, flush).

The edges await `submit`; one worker thread takes all that is waiting. The commit of the last batch
is what gathers the next: there is no timer. A reply leaves only after its commit.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from django.db import connection, transaction

from csms.conf import Settings, settings
from csms.ocpp.errors import InternalFailure, Unavailable
from csms.services import data_transfer, effects
from csms.services import flush as writing
from csms.services import handlers as _handlers  # noqa: F401  registers them
from csms.services.decide import (
    Incoming,
    Outcome,
    Superseded,
    decide,
    failed,
    needs_of,
    quarantine,
)
from csms.services.jobs import Job
from csms.services.kept import Kept
from csms.services.log import (
    LogEntry,
    entry_of,
    notes_json,
    row_of_entry,
    row_of_message,
)
from csms.services.metrics import meters
from csms.services.outages import OUTAGES
from csms.services.repeats import Answers
from csms.services.world import World, load

__all__ = ["Inbox", "Incoming", "LogEntry", "Outcome", "Superseded"]

logger = logging.getLogger(__name__)

PATIENCE = 8.0
"""Seconds from when a message came for which its batch is tried again while the database does not
answer (F3, F4)."""

APART = 60.0
"""Seconds for which the messages of a charge point that spoilt a batch are handled apart."""


class Inbox:
    """The one way in for messages of charge points; `start` it before the first `submit`."""

    def __init__(self, config: Settings | None = None) -> None:
        self._config = config or settings()
        self._jobs: deque[Job] = deque()
        self._log: deque[LogEntry] = deque(maxlen=4 * self._config.inbox_size)
        self._wake = threading.Condition()
        self._waking = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._answers = Answers()
        self._apart: dict[int, float] = {}
        self._kept: Kept | None = None
        self._away = False
        """Whether the last batch found no database that takes it."""
        self.batches = 0
        self.messages = 0

    # ------------------------------------------------------------------ on the event loop

    def start(self) -> None:
        """Start the worker."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Commit what is waiting, then end the worker."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    @property
    def full(self) -> bool:
        """Senders should be slowed down (F4)."""
        return len(self._jobs) >= self._config.inbox_size // 2

    @property
    def alive(self) -> bool:
        """The worker runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Messages whose commit is outstanding."""
        return len(self._jobs)

    async def submit(self, incoming: Incoming) -> Outcome:
        """The outcome of a message, after its commit; in the order of the calls.

        Raises Unavailable (nothing can be committed, or the queue is full) and Superseded.
        """
        if incoming.action == "DataTransfer":
            await data_transfer.prepare(incoming)
        if self._stopping or len(self._jobs) >= self._config.inbox_size:
            unavailable = Unavailable()
            meters.message(incoming.action, incoming.transport, unavailable)
            raise unavailable
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._jobs.append(Job(incoming, loop, future))
        if not self._waking:
            # After all that is ready on the loop now, so that it comes as one batch.
            self._waking = True
            loop.call_soon(self._notify)
        return await future

    def _notify(self) -> None:
        self._waking = False
        with self._wake:
            self._wake.notify()

    def record(self, entry: LogEntry) -> None:
        """Append to the message log with the next batch; from any thread."""
        if entry.direction == "out":
            meters.call(entry)
        with self._wake:
            if len(self._log) == self._log.maxlen:
                meters.drop(1)
            self._log.append(entry)
            self._wake.notify()

    # --------------------------------------------------------------------- in the worker

    def handle(self, batch: Sequence[Incoming]) -> list[Outcome | BaseException]:
        """The outcomes of one batch, committed in the calling thread; without worker and loop."""
        jobs = [Job(incoming) for incoming in batch]
        entries = [self._log.popleft() for _ in range(len(self._log))]
        self._process(jobs, entries)
        return [job.result or Unavailable() for job in jobs]

    def _run(self) -> None:
        if connection.vendor == "sqlite":
            self._kept = Kept()  # nothing but the inbox writes on this thread's connection
        while True:
            with self._wake:
                while not self._jobs and not self._log and not self._stopping:
                    self._wake.wait()
                if self._stopping and not self._jobs and not self._log:
                    break
                size = self._config.inbox_batch
                jobs = [self._jobs.popleft() for _ in range(min(size, len(self._jobs)))]
                entries = [self._log.popleft() for _ in range(min(size, len(self._log)))]
            began = time.monotonic()
            try:
                self._process(jobs, entries)
            except Exception:
                logger.exception("The inbox failed; its messages are answered as unavailable")
                for job in jobs:
                    job.result = Unavailable()
            ended = time.monotonic()
            self._resolve(jobs)
            if jobs:
                meters.batch(jobs, began, ended)
        connection.close()

    def _process(self, jobs: list[Job], entries: list[LogEntry]) -> None:
        """Commit a batch; charge points that spoilt one lately run apart."""
        jobs = [job for job in jobs if not self._repeated(job)]
        now = time.monotonic()
        self._apart = {pk: until for pk, until in self._apart.items() if until > now}
        apart = [job for job in jobs if self._apart and self._pk(job) in self._apart]
        if apart:
            jobs = [job for job in jobs if job not in apart]
        self._commit(jobs, entries, self._attempt)
        if apart:
            self._commit(apart, [], self._one_by_one)
        self.batches += 1
        self.messages += len(jobs) + len(apart)
        effects.touch(
            self._pk(job)
            for job in (*jobs, *apart)
            if job.incoming.action in effects.EFFECT_ACTIONS
        )

    def _repeated(self, job: Job) -> bool:
        """Give a repeated message the answer that it had (N17)."""
        known = self._answers.known(job.incoming)
        if known is None:
            return False
        job.result = known
        note = "repeated message: the stored answer"
        self.record(entry_of(job.incoming, known.text, job.duration_ms, note))
        return True

    @staticmethod
    def _pk(job: Job) -> int:
        return job.incoming.charger.pk if job.incoming.charger else 0

    def _commit(
        self,
        jobs: list[Job],
        entries: list[LogEntry],
        way: Callable[[list[Job], list[LogEntry]], None],
    ) -> None:
        """Commit a batch, each failure blamed on what caused it."""
        # From when they came: nobody waits once more for each batch ahead.
        now = time.monotonic()
        if self._away:
            for job in [job for job in jobs if job.started + PATIENCE < now]:
                job.result = Unavailable()
                jobs.remove(job)
            if not jobs and not entries:
                return
        deadline = min((job.started for job in jobs), default=now) + PATIENCE
        pause = 0.05
        while True:
            try:
                way(jobs, entries)
                self._away = False
                return
            except OUTAGES as error:
                self._away = True
                # Database gone, locked, deadlock: never the fault of a message (F3).
                logger.warning("The database does not take messages now: %s", error)
                connection.close()
                if self._kept is not None:
                    self._kept.forget()  # the next connection counts its versions anew
                if time.monotonic() + pause > deadline or self._stopping:
                    for job in jobs:
                        job.result = Unavailable()
                    self._put_back(entries)
                    return
                time.sleep(pause)
                pause = min(pause * 2, 1.0)
            except Exception as error:
                if way == self._one_by_one:
                    raise
                logger.warning("A batch of %d is taken apart: %r", len(jobs), error)
                way = self._one_by_one

    def _put_back(self, entries: list[LogEntry]) -> None:
        """Keep what was not written; when that is too much, what came last is lost."""
        with self._wake:
            room = 4 * self._config.inbox_size - len(self._log)
            if room < len(entries):
                meters.drop(len(entries) - room)
            self._log.extendleft(reversed(entries))

    def _attempt(self, jobs: list[Job], entries: list[LogEntry]) -> None:
        """Load, decide and flush a batch in one transaction."""
        with transaction.atomic():
            if self._kept is not None:
                self._kept.begin()
            world = self._decided(jobs, self._kept)
            world.log += [row_of_entry(entry) for entry in entries]
            writing.flush(world)
        if self._kept is not None:
            self._kept.keep(
                world.charge_points,
                world.connectors,
                world.transactions,
                world.id_tags,
                world.allowed,
            )
        for job in jobs:
            self._answers.remember(job.incoming, job.result)

    def _decided(self, jobs: list[Job], kept: Kept | None = None) -> World:
        needs = (
            (job.incoming.charger.pk, needs_of(job.incoming))
            for job in jobs
            if job.incoming.charger is not None
        )
        world = load(needs, kept)
        for job in jobs:
            incoming = job.incoming
            try:
                outcome, notes, problem = decide(incoming, world, self._config)
            except Superseded as superseded:
                job.result = superseded
                continue
            job.result = outcome
            row = (outcome.text, job.duration_ms, problem, notes_json(notes))
            world.log.append(row_of_message(incoming, *row))
        return world

    def _one_by_one(self, jobs: list[Job], entries: list[LogEntry]) -> None:
        """Once more in one transaction, with a savepoint for each message.

        A unique key taken by another process between load and flush is found by the second try;
        what fails twice fails alone.
        """
        if self._kept is not None:
            self._kept.forget()
        with transaction.atomic():
            for job in jobs:
                for last in (False, True):
                    try:
                        with transaction.atomic():
                            writing.flush(self._decided([job]))
                        break
                    except OUTAGES:
                        raise
                    except Exception:
                        if last:
                            logger.exception(
                                "A message of %s failed",
                                job.incoming.identity,
                                extra=_known(job.incoming),
                            )
                            self._fail(job)
            for entry in entries:
                self._log_alone(entry)
        for job in jobs:
            self._answers.remember(job.incoming, job.result)

    def _log_alone(self, entry: LogEntry) -> None:
        try:
            with transaction.atomic():
                writing.append_log([row_of_entry(entry)])
        except OUTAGES:
            raise
        except Exception:
            logger.exception(
                "A row of the message log was not written: %s", entry.identity, extra=_known(entry)
            )

    def _fail(self, job: Job) -> None:
        """Nothing of this message can be stored as what it is: kept in quarantine, if possible."""
        incoming, world = job.incoming, World()
        self._apart[self._pk(job)] = time.monotonic() + APART
        reason = "an internal error occurred while it was stored"
        try:
            with transaction.atomic():
                quarantine(incoming, world, reason)
                job.result = failed(incoming)
                row = (job.result.text, job.duration_ms, reason, "[]")
                world.log.append(row_of_message(incoming, *row))
                writing.flush(world)
        except OUTAGES:
            raise
        except Exception:
            logger.exception(
                "A message of %s is not even kept in quarantine",
                incoming.identity,
                extra=_known(incoming),
            )
            error = InternalFailure("An internal error occurred.")
            job.result = Unavailable()
            with contextlib.suppress(Exception):  # perhaps no answer at all can be encoded
                job.result = Outcome(incoming.encode(error), None, error)

    def _resolve(self, jobs: list[Job]) -> None:
        """Give each waiting edge its outcome: one hop to the event loop for a whole batch."""
        loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in jobs:
            if job.loop is not None:
                loops.setdefault(job.loop, []).append(job)
        for loop, members in loops.items():
            try:
                loop.call_soon_threadsafe(_settle, members)
            except RuntimeError:  # the loop has ended, and with it who waited
                continue


def _known(message: Incoming | LogEntry) -> dict[str, str]:
    """What a line of the log is about (csms/logs.py)."""
    return {"charge_point": message.identity, "message_id": message.message_id}


def _settle(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future is None or job.future.done():  # who waited has gone; it is committed
            continue
        if isinstance(job.result, Outcome):
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.result or Unavailable())
