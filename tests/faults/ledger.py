"""The chargers' own journal: what each sent and what it was told, written before its next step.

A line of JSON for each step, flushed before the step is taken, in the order of the steps::

    [7, "sent", "json-1", "StartTransaction", {"connectorId": 1, …}]
    [7, "acknowledged", {"transactionId": 4711, …}]      an answer that arrived
    [7, "unanswered", "the connection was lost"]         it may or may not have been received
    [7, "refused", "InternalError: …"]                   an error of the protocol
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from csms.simulator.journal import Entry, Journal

TRANSACTION_ACTIONS = ("StartTransaction", "MeterValues", "StopTransaction")


class Ledger(Journal):
    """A journal in a file; in memory it holds only what is under way."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.acknowledged = 0
        """Transaction messages that were answered."""
        self._numbers = itertools.count(1)
        self._under_way: dict[str, int] = {}
        self._lines = path.open("a", encoding="utf-8")

    def opened(self, entry: Entry) -> Entry:
        if entry.direction == "sent":
            number = self._under_way[entry.message_id] = next(self._numbers)
            self._write([number, "sent", entry.identity, entry.action, entry.payload])
        return entry

    def closed(
        self, entry: Entry, *, at: datetime, reply: Any = None, error: str | None = None
    ) -> None:
        number = self._under_way.pop(entry.message_id, None)
        if number is None:  # a call of the central system
            return
        if reply is None:
            self._write([number, "unanswered", error])
            return
        self.acknowledged += entry.action in TRANSACTION_ACTIONS
        self._write([number, "acknowledged", msgspec.to_builtins(reply)])

    def refused(self, action: str, why: str) -> None:
        """A message was answered with an error; which one says the line before."""
        self._write([0, "refused", f"{action}: {why}"])

    def close(self) -> None:
        self._lines.close()

    def _write(self, line: list[Any]) -> None:
        self._lines.write(json.dumps(line, default=str) + "\n")
        self._lines.flush()


@dataclass(slots=True)
class Sent:
    """A message, and the answer that came to it (None: none did)."""

    identity: str
    action: str
    payload: dict[str, Any]
    reply: dict[str, Any] | None = None


def read(path: Path) -> tuple[list[Sent], list[str]]:
    """All messages of a ledger in the order of sending, and the errors with which any was
    answered."""
    sent: dict[int, Sent] = {}
    errors: list[str] = []
    for number, kind, *rest in _lines(path):
        if kind == "sent":
            sent[number] = Sent(*rest)
        elif kind == "acknowledged":
            sent[number].reply = rest[0]
        elif kind == "refused":
            errors.append(rest[0])
    return list(sent.values()), errors


def _lines(path: Path) -> Iterator[list[Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
