"""Rows of the message log: what the inbox answered, and what edges report without waiting."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from csms.ocpp.base import Payload
from csms.ocpp.tolerance import Note
from csms.services.decide import Incoming
from csms.services.rows import encoded, stored
from csms.services.secrets import CARRIERS, MASK, is_secret, masked_text, masked_urls, without

MOST_OF_STRANGERS = 4096
"""Characters kept of what an identity that nobody knows sent."""

_VALUE = re.compile(r"configurationKey\[(\d+)\]\.value")

_json = msgspec.json.Encoder()


class LogEntry(NamedTuple):
    """A row of the message log that nobody waits for."""

    charger_pk: int | None
    identity: str
    transport: str
    direction: str
    action: str
    message_id: str
    request: str
    answer: str = ""
    duration_ms: float | None = None
    error: str = ""
    notes: Sequence[str] = ()
    remote_address: str = ""
    at: datetime | None = None


def note_text(note: Note) -> str:
    """A deviation in words."""
    return f"{note.name} at {note.path or 'the message'}: {note.was}"


def notes_of_reply(
    reply: Payload, notes: Sequence[Note], secrets: frozenset[str] = frozenset()
) -> list[str]:
    """Deviations of an answer in words; of a secret, one of the request too, it is not said what it
    was."""
    keys = getattr(reply, "configuration_key", None) or ()
    texts = []
    for note in notes:
        found = _VALUE.fullmatch(note.path)
        index = int(found[1]) if found else len(keys)
        if index < len(keys) and is_secret(keys[index].key):
            note = note._replace(was=MASK)
        texts.append(without(masked_text(note_text(note)), secrets))
    return texts


def notes_json(notes: Sequence[Note]) -> str:
    """Deviations as the log keeps them."""
    return _json.encode([note_text(note) for note in notes]).decode() if notes else "[]"


def entry_of(incoming: Incoming, answer: str, duration_ms: float, note: str) -> LogEntry:
    """The entry of a message that was answered without being decided."""
    return LogEntry(
        incoming.charger.pk if incoming.charger else None,
        incoming.identity,
        incoming.transport,
        "in",
        incoming.action,
        incoming.message_id,
        incoming.raw,
        answer,
        duration_ms,
        notes=(note,),
        remote_address=incoming.remote_address,
        at=incoming.received_at,
    )


def row_of_message(
    incoming: Incoming, answer: str, duration_ms: float, problem: str, notes: str
) -> tuple[Any, ...]:
    """The row of a decided message, in the order of flush.LOG_COLUMNS."""
    return (
        stored(incoming.received_at),
        incoming.charger.pk if incoming.charger else None,
        incoming.identity[:255],
        incoming.transport,
        "in",
        incoming.action[:64],
        incoming.message_id[:255],
        masked_urls(incoming.raw if incoming.charger else incoming.raw[:MOST_OF_STRANGERS]),
        masked_urls(answer),
        duration_ms,
        masked_urls(problem),
        encoded(notes),
        incoming.remote_address,
    )


def row_of_entry(entry: LogEntry) -> tuple[Any, ...]:
    """The row of an entry, without the secrets in it (N5)."""
    clean = masked_text if not entry.action or entry.action in CARRIERS else masked_urls
    return (
        stored(entry.at or datetime.now(UTC)),
        entry.charger_pk,
        entry.identity[:255],
        entry.transport,
        entry.direction,
        entry.action[:64],
        entry.message_id[:255],
        clean(entry.request),
        clean(entry.answer),
        entry.duration_ms,
        masked_urls(entry.error)[:255],
        encoded(_json.encode(list(entry.notes)).decode()),
        entry.remote_address,
    )
