"""What the process counts of its work, as plain numbers; csms/metrics.py shows them to Prometheus.

Messages are counted in the inbox's worker, a batch at a time and after its answers have left, so
that no message waits for it. No name that a charge point made up becomes a label.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from csms.ocpp import errors
from csms.ocpp.registry import ACTIONS
from csms.services.decide import Incoming, Outcome
from csms.services.log import LogEntry

ACCEPTED = "accepted"
OTHER = "other"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MESSAGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
"""Upper bounds of what histograms count."""


class Histogram:
    """How many values there were up to each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_since(self, starts: Sequence[float], now: float) -> None:
        """Add the time from each start until now."""
        bounds, counts = self.bounds, self.counts
        for start in starts:
            counts[bisect_left(bounds, now - start)] += 1
        self.total += len(starts) * now - sum(starts)


class Job(Protocol):
    """What is counted of a message that the inbox has answered."""

    incoming: Incoming
    started: float
    result: Outcome | BaseException | None


class Meters:
    """The numbers of one process. Hold `lock` to read them together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.messages: Counter[tuple[str, str, str]] = Counter()
        """(action, transport, result): messages of charge points, answered or refused."""
        self.latency = {transport: Histogram(SECONDS) for transport in ("json", "soap")}
        """Seconds from a message's receipt to its answer, by transport."""
        self.calls: Counter[tuple[str, str, str]] = Counter()
        """(action, transport, what came back): calls of ours to charge points."""
        self.batch_messages = Histogram(MESSAGES)
        self.batch_seconds = Histogram(SECONDS)
        self.ended: Counter[str] = Counter()
        """state: commands that came to an end."""
        self.refused: Counter[str] = Counter()
        """reason: OCPP-J handshakes."""
        self.connections: Counter[str] = Counter({"json": 0})
        """transport: connections of charge points that are open now."""
        self.log_dropped = 0
        """Rows of the message log for which there was no room."""

    def batch(self, jobs: Sequence[Job], began: float, ended: float) -> None:
        """Count a batch that was committed between these times of `time.monotonic`."""
        alike: dict[tuple[str, str, type], list[float]] = {}
        for job in jobs:
            incoming, result = job.incoming, job.result
            kind = type(result.error) if type(result) is Outcome else type(result)
            key = incoming.action, incoming.transport, kind
            if key in alike:
                alike[key].append(job.started)
            else:
                alike[key] = [job.started]
        with self.lock:
            for (action, transport, kind), starts in alike.items():
                self.messages[action_label(action), transport, result_label(kind)] += len(starts)
                self.latency[transport].add_since(starts, ended)
            self.batch_messages.add(len(jobs))
            self.batch_seconds.add(ended - began)

    def message(self, action: str, transport: str, error: Exception) -> None:
        """Count a message that was refused without reaching the inbox's worker."""
        key = action_label(action), transport, result_label(type(error))
        with self.lock:
            self.messages[key] += 1

    def call(self, entry: LogEntry) -> None:
        """Count a call of ours by what the log has of it."""
        if not entry.request:  # a late answer to a call that was counted
            return
        what = "answered" if not entry.error else "error" if entry.answer else "no answer"
        with self.lock:
            self.calls[action_label(entry.action), entry.transport, what] += 1

    def drop(self, number: int) -> None:
        """Count rows of the message log that are lost."""
        with self.lock:
            self.log_dropped += number

    def end(self, state: str) -> None:
        """Count a command that has come to an end; once more when a late answer changes it."""
        with self.lock:
            self.ended[state] += 1

    def refuse(self, reason: str) -> None:
        """Count an OCPP-J handshake that was refused."""
        with self.lock:
            self.refused[reason] += 1

    def connect(self, transport: str, number: int) -> None:
        """Count connections that came (1) or went (-1)."""
        with self.lock:
            self.connections[transport] += number


def action_label(action: str) -> str:
    """The action when it is one of OCPP 1.6."""
    return action if action in ACTIONS else OTHER


def result_label(kind: type) -> str:
    """What became of a message: `accepted`, or the name of its error in csms/ocpp/errors.py."""
    if kind is type(None):
        return ACCEPTED
    names = (base.__name__ for base in kind.__mro__ if base.__module__ == errors.__name__)
    return next(names, OTHER)


meters = Meters()
"""The numbers of this process."""
