"""What must be so whatever arrives; `Broken` says what is not."""

import logging
import re
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec

MOST_SECONDS = 0.05
"""CPU time of one message of at most SMALL bytes."""
MOST_MEMORY = 10 * 1024 * 1024
"""Bytes that Python may hold more of at any moment of such a message."""
SMALL = 64 * 1024

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Broken(AssertionError):
    """A property does not hold."""


def check_storable(*values: Any) -> None:
    """Refuse what a database would: NUL (PostgreSQL) and lone surrogates (both), in texts,
    lists, dicts and declarations."""
    todo = list(values)
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            if _UNSTORABLE.search(value):
                raise Broken(f"No database keeps {value[:200]!r}.")
        elif isinstance(value, dict):
            todo += value.keys()
            todo += value.values()
        elif isinstance(value, list | tuple):
            todo += value
        elif isinstance(value, msgspec.Struct):
            todo += (getattr(value, name) for name in value.__struct_fields__)


class Alarm(logging.Handler):
    """Raises for each record of an error: exceptions that a last net has caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))

    def check(self) -> None:
        if self.said:
            said, self.said = self.said, []
            raise Broken("An exception was caught by the last net:\n" + "\n".join(said))


ALARM = Alarm()


def install_alarm() -> None:
    """Hear the loggers of both edges and of the services."""
    for name in ("ocpp_json", "ocpp_soap", "csms"):
        logger = logging.getLogger(name)
        if ALARM not in logger.handlers:
            logger.addHandler(ALARM)


REFERENCE = 0.004
"""CPU seconds of `_work` on the machine for which MOST_SECONDS is meant."""


def _work() -> None:
    counted: dict[str, int] = {}
    for number in range(20_000):
        name = f"n{number % 100}"
        counted[name] = counted.get(name, 0) + len(name)


def _cpu(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def seconds(
    work: Callable[[], Any],
    *,
    below: float,
    times: int = 9,
    before: Callable[[], Any] = lambda: None,
) -> float:
    """CPU seconds of this process for a piece of work: the best of several runs; the first one
    below the limit ends it. What is done `before` each of them does not count.

    A run above it counts in proportion to how long the same loop takes before and after it: what
    else runs on the machine slows both, and CPU time shows it.
    """
    best = float("inf")
    for _ in range(times):
        before()
        spent = _cpu(work)
        if spent > below:
            slower = min(_cpu(_work), _cpu(_work)) / REFERENCE
            spent /= max(1.0, slower)
        best = min(best, spent)
        if best <= below:
            break
    return best


def memory(work: Callable[[], Any]) -> int:
    """Bytes by which Python's memory grows at most while a piece of work runs."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def check_cost(work: Callable[[], Any], *, slack: float = 1.0) -> None:
    """Hold a message to MOST_SECONDS, `slack` times as long where instrumentation slows it."""
    most = MOST_SECONDS * slack
    spent = seconds(work, below=most)
    if spent > most:
        raise Broken(f"It took {spent:.3f} s of CPU time.")
