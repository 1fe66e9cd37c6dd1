"""What was sent and what was acknowledged."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One call and what became of it.

    `direction` is "sent" (by the charge point) or "received"; `payload` and `reply` are plain
    values under their wire names. Exactly one of `reply` and `error` is set once it is known.
    """

    identity: str
    direction: str
    message_id: str
    action: str
    payload: dict[str, Any]
    at: datetime
    reply: dict[str, Any] | None = None
    error: str | None = None
    answered_at: datetime | None = None

    @property
    def acknowledged(self) -> bool:
        """The other side has answered, and not with an error."""
        return self.reply is not None


class Journal:
    """All calls in the order in which they were made; in a file, as JSON lines, as they end.

    A line is flushed as soon as the call has ended, so that the file of a killed simulator holds
    everything that was acknowledged to it.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.entries: list[Entry] = []
        self._file: TextIO | None = open(path, "a", encoding="utf-8") if path else None  # noqa: SIM115

    def opened(self, entry: Entry) -> Entry:
        """A call has been made."""
        self.entries.append(entry)
        return entry

    def closed(
        self, entry: Entry, *, at: datetime, reply: Any = None, error: str | None = None
    ) -> None:
        """A call has ended: with a reply (a Payload), or with an error."""
        entry.answered_at = at
        entry.reply = None if reply is None else msgspec.to_builtins(reply)
        entry.error = error
        if self._file is not None:
            self._file.write(msgspec.json.encode(entry).decode() + "\n")
            self._file.flush()

    def sent(self, action: str | None = None, *, identity: str | None = None) -> list[Entry]:
        """Calls of the charge points, all or those of one action or identity."""
        return list(self._picked("sent", action, identity))

    def received(self, action: str | None = None, *, identity: str | None = None) -> list[Entry]:
        """Calls of the central system, all or those of one action or identity."""
        return list(self._picked("received", action, identity))

    def _picked(self, direction: str, action: str | None, identity: str | None) -> Iterator[Entry]:
        for entry in self.entries:
            named = action in (None, entry.action) and identity in (None, entry.identity)
            if named and entry.direction == direction:
                yield entry

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
