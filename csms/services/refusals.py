"""Refusals before or beside any login: noted in memory at once, written as security events later.

Edges note what they turn away (a TLS handshake, a frame, a body, a request); `take` folds it, so
that a flood costs memory and rows within bounds and nobody waits for the database: of one kind of
refusal of one network there is one row, and the next one, which says how many there were, after
QUIET seconds, then after twice as long, up to LONGEST. No I/O; `take` and `written` are called on
one thread.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from csms.services.peers import network_of

QUIET = 300.0
"""Seconds from the first row of a series to its second."""
LONGEST = 6 * 3600.0
"""The longest time between two rows of a series, in seconds."""
MOST = 1000
"""Series kept; what begins beyond is counted together, by its kind."""
AT_ONCE = 100
"""Rows taken at once."""

INVALID_MESSAGES = "InvalidMessages"
"""A type of the security extension's list (WP appendix), seen here from the other side."""
UNKNOWN_CHARGE_POINT = "UnknownChargePoint"
TOO_MANY_CONNECTIONS = "TooManyConnections"
IDENTITY_MISMATCH = "IdentityMismatch"

Key = tuple[str, str, str, int | None]


@dataclass(slots=True)
class Refusal:
    """Refusals of one kind and one network, and when the last one was."""

    kind: str
    info: str
    remote_address: str
    identity: str
    charger_pk: int | None
    times: int
    """How many there were since the last row."""
    at: datetime
    first: bool = True
    """Nothing was written of it yet."""
    due: float = 0.0
    quiet: float = QUIET

    @property
    def text(self) -> str:
        """What a row says."""
        if self.first and self.times == 1:
            return self.info
        return f"{self.times:,} {'times' if self.first else 'more'}: {self.info}"


_series: dict[Key, Refusal] = {}


def note(
    kind: str, info: str, *, address: str, identity: str = "", charger_pk: int | None = None
) -> None:
    """Note one refusal. `info` is said up to a colon in the same words for all of one series;
    `identity` is what the other end calls itself, `charger_pk` is set when it has proved it."""
    key = (kind, info.partition(":")[0], network_of(address), charger_pk)
    found = _series.get(key)
    if found is None and len(_series) >= MOST:
        key, address, identity, charger_pk = (kind, "", "", None), "", "", None
        info = "from many addresses"
        found = _series.get(key)
    now = datetime.now(UTC)
    if found is None:
        info, identity = _storable(info), _storable(identity)
        _series[key] = Refusal(kind, info, address, identity, charger_pk, 1, now)
    else:
        found.times += 1
        found.at = now


def _storable(text: str) -> str:
    """What every database takes, and no longer than is kept."""
    return text[:255].encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


def take(now: float) -> list[Refusal]:
    """What is to be written now (`now` in monotonic seconds), AT_ONCE at most; `keep` follows."""
    series = list(_series.items())
    over = [key for key, one in series if not one.times and one.due + one.quiet <= now]
    for key in over:
        del _series[key]
    due = (one for _, one in series if one.times and one.due <= now)
    return [one for one, _ in zip(due, range(AT_ONCE), strict=False)]


def written(rows: Iterable[tuple[Refusal, int]], now: float) -> None:
    """These were written, each with so many times; what came meanwhile waits for the next row."""
    for one, times in rows:
        one.times -= times
        one.quiet = QUIET if one.first else min(2 * one.quiet, LONGEST)
        one.first = False
        one.due = now + one.quiet


def forget() -> None:
    """Write each refusal again."""
    _series.clear()
