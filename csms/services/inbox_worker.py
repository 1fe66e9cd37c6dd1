"""A worker of the inbox: takes what is waiting for it and commits it as one batch.

The commit of the last batch is what gathers the next: there is no timer. What fails is blamed on
the message that caused it, and what the database cannot take waits for it.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from django.db import connection, transaction

from csms.conf import Settings
from csms.ocpp.errors import InternalFailure, Unavailable
from csms.services import effects
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
from csms.services.jobs import Job, settle
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

logger = logging.getLogger(__name__)

PATIENCE = 8.0
"""Seconds from when a message came for which its batch is tried again while the database does not
answer (F3, F4)."""

APART = 60.0
"""Seconds for which the messages of a charge point that spoilt a batch are handled apart."""


class Worker:
    """A thread and what it has to do; all messages of a charge point come to the same one."""

    def __init__(self, config: Settings) -> None:
        self._config = config
        self.jobs: deque[Job] = deque()
        self.log: deque[LogEntry] = deque(maxlen=4 * config.inbox_size)
        self._wake = threading.Condition()
        self._waking = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.answers = Answers()
        self.apart: dict[int, float] = {}
        """Charge points that spoilt a batch, until when they are handled apart."""
        self._kept: Kept | None = None
        self._away = False
        """Whether the last batch found no database that takes it."""
        self.batches = 0
        self.messages = 0

    # ------------------------------------------------------------------ on the event loop

    def start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to commit what is waiting and to end; `join` waits for that."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def put(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        """Have a message decided; on its loop."""
        self.jobs.append(job)
        if not self._waking:
            # After all that is ready on the loop now, so that it comes as one batch.
            self._waking = True
            loop.call_soon(self._notify)

    def _notify(self) -> None:
        self._waking = False
        with self._wake:
            self._wake.notify()

    def record(self, entry: LogEntry) -> None:
        """Append to the message log with the next batch; from any thread."""
        with self._wake:
            if len(self.log) == self.log.maxlen:
                meters.drop(1)
            self.log.append(entry)
            self._wake.notify()

    # --------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        self._kept = Kept()  # nothing but the inbox writes on this thread's connection
        while True:
            with self._wake:
                while not self.jobs and not self.log and not self._stopping:
                    self._wake.wait()
                if self._stopping and not self.jobs and not self.log:
                    break
                size = self._config.inbox_batch
                jobs = [self.jobs.popleft() for _ in range(min(size, len(self.jobs)))]
                entries = [self.log.popleft() for _ in range(min(size, len(self.log)))]
            began = time.monotonic()
            try:
                self.process(jobs, entries)
            except Exception:
                logger.exception("The inbox failed; its messages are answered as unavailable")
                for job in jobs:
                    job.result = Unavailable()
            ended = time.monotonic()
            self._resolve(jobs)
            if jobs:
                meters.batch(jobs, began, ended)
        connection.close()

    def process(self, jobs: list[Job], entries: list[LogEntry]) -> None:
        """Commit a batch; charge points that spoilt one lately run apart."""
        jobs = [job for job in jobs if not self._repeated(job)]
        now = time.monotonic()
        self.apart = {pk: until for pk, until in self.apart.items() if until > now}
        apart = [job for job in jobs if self.apart and self._pk(job) in self.apart]
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
        known = self.answers.known(job.incoming)
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
            room = 4 * self._config.inbox_size - len(self.log)
            if room < len(entries):
                meters.drop(len(entries) - room)
            self.log.extendleft(reversed(entries))

    def _attempt(self, jobs: list[Job], entries: list[LogEntry]) -> None:
        """Load, decide and flush a batch in one transaction."""
        with transaction.atomic():
            if self._kept is not None:
                self._kept.begin()
            world = self._decided(jobs, self._kept)
            world.log += [row_of_entry(entry) for entry in entries]
            writing.flush(world)
        if self._kept is not None:
            self._kept.keep(world)
        for job in jobs:
            self.answers.remember(job.incoming, job.result)

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
            self.answers.remember(job.incoming, job.result)

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
        self.apart[self._pk(job)] = time.monotonic() + APART
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
                loop.call_soon_threadsafe(settle, members)
            except RuntimeError:  # the loop has ended, and with it who waited
                continue


def _known(message: Incoming | LogEntry) -> dict[str, str]:
    """What a line of the log is about (csms/logs.py)."""
    return {"charge_point": message.identity, "message_id": message.message_id}
