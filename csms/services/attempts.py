"""Limits on failed logins that cannot lock out the real charge point.

- Wrong passwords of one identity from one network: the next of a person's choice are refused
  unseen, for a time that doubles with each series. A key of 160 random bits cannot be guessed and
  costs nothing to check: the right one is always let in.
- Wrong passwords of one identity from all networks where it is not known: the same.
- Many identities that failed from one network: who tries names is not answered for a while.

The second concerns no network where the charge point is known: its password was right there, or it
was last admitted from there. Where it was right it is let in at once (logins.py), as long as not
too many others are tried beside it. And beyond the first two limits a password is heard, slowly,
when it comes again: a charge point always sends the same one, and who guesses another one.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from csms.services.peers import network_of

K = TypeVar("K")
V = TypeVar("V")

GUESSES = 5
"""Wrong passwords of an identity from a network."""
WITHIN = 60.0
"""Seconds since the last failure that counted, after which all is forgotten; the wait after the
first series. Each further one doubles it."""
ALL_GUESSES = 50
"""Wrong passwords of an identity from all networks where it is not known."""
ALL_WITHIN = 600.0
"""The same seconds for these."""
LONGEST = 3600.0
"""The longest wait, in seconds."""
DOUBLED = 10
"""How often a time is doubled at most."""
CALM = 24 * 3600.0
"""Seconds without a series after which the next one is the first again."""
AGAIN_AFTER = 2.0
"""Seconds after which a password that was turned away is heard when it comes again."""
EVERY = 10.0
"""Seconds between two that are heard so, of one identity: from all networks where it is not known
together; from one network too, where each doubles them."""
LONGEST_EVERY = 640.0
"""The most that these become for one network."""
OTHERS = 100
"""Different wrong passwords of an identity from a network, beside which the right one is still let
in at once."""
OTHERS_WITHIN = 3600.0
"""Seconds since the last of them, after which they are forgotten."""
IDENTITIES = 50
"""Identities that failed from a network: mistakes in a fleet behind one are fewer."""
MOST = 50_000
"""Entries kept of each kind; the oldest are forgotten."""
MOST_SETS = 2_000
"""The same of those that hold many."""

Place = tuple[str, str]
"""Identity and network; "" for all networks."""


@dataclass(slots=True)
class _Series:
    """Wrong passwords of a place, and how long it has to wait."""

    count: int = 0
    until: float = 0.0
    """When they are forgotten."""
    series: int = 0
    """How often the limit was reached."""
    heard: int = 0
    """Passwords that came again and were heard, each another one than the one before."""
    last: bytes = b""
    """The last of these."""
    next: float = 0.0
    """When one may be heard again."""


class Attempts:
    """What failed lately; one for each process, used on one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._guesses: OrderedDict[Place, _Series] = OrderedDict()
        self._right: OrderedDict[Place, None] = OrderedDict()
        self._others: OrderedDict[Place, tuple[float, set[int]]] = OrderedDict()
        self._turned_away: OrderedDict[tuple[str, str, bytes], float] = OrderedDict()
        self._identities: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()

    def guess(self, identity: str, address: str, proof: bytes, *, known: bool = False) -> bool:
        """Whether a password of this identity may be tried from there; if so, it is counted now:
        as wrong until `admitted` or `unjudged` say otherwise, so that many at once do not slip by.
        `proof` stands for the password; `known`: it was last admitted from this network.
        """
        here, everywhere = (identity, network_of(address)), (identity, "")
        known = known or here in self._right
        self.tried(identity, address, proof)
        if self._count(here) < GUESSES and (known or self._count(everywhere) < ALL_GUESSES):
            self._add(here, GUESSES, WITHIN)
            if not known:
                self._add(everywhere, ALL_GUESSES, ALL_WITHIN)
            return True
        return self._comes_again(here, None if known else everywhere, proof)

    def tried(self, identity: str, address: str, proof: bytes) -> None:
        """A password that is not known to be right came from there."""
        here, now = (identity, network_of(address)), self._now()
        until, others = self._others.get(here, (0.0, set[int]()))
        if now >= until:
            others = set()
        if len(others) < OTHERS:
            others.add(hash(proof))
        _keep(self._others, here, (now + OTHERS_WITHIN, others), MOST_SETS)

    def besieged(self, identity: str, address: str) -> bool:
        """Whether so many passwords came from there that to let the right one in at once would
        tell a guesser which it is."""
        until, others = self._others.get((identity, network_of(address)), (0.0, set[int]()))
        return len(others) >= OTHERS and self._now() < until

    def widely(self, identity: str) -> bool:
        """Whether wrong passwords of this identity come from many networks."""
        return self._count((identity, "")) >= ALL_GUESSES

    def unjudged(self, identity: str, address: str) -> None:
        """The password was not the matter."""
        for place in ((identity, network_of(address)), (identity, "")):
            if self._count(place):
                self._guesses[place].count -= 1

    def scanning(self, address: str) -> bool:
        """Whether too many identities failed from there."""
        until, failed = self._identities.get(network_of(address), (0.0, set[str]()))
        return len(failed) >= IDENTITIES and self._now() < until

    def failed(self, identity: str, address: str) -> None:
        """This identity was refused there."""
        now, network = self._now(), network_of(address)
        until, failed = self._identities.get(network, (0.0, set[str]()))
        if now >= until:
            failed = set()
        if identity not in failed and len(failed) < IDENTITIES:
            failed.add(identity)
            _keep(self._identities, network, (now + WITHIN, failed))

    def admitted(self, identity: str, address: str, proof: bytes = b"") -> None:
        """The right proof was given. The first time from there what failed before was a mistake;
        later it may have been somebody else behind the same address."""
        network = network_of(address)
        here = (identity, network)
        _, others = self._others.get(here, (0.0, set[int]()))
        if here not in self._right:
            self._guesses.pop(here, None)
        elif hash(proof) in others and self._count(here):
            self._guesses[here].count -= 1  # it was counted as wrong
        others.discard(hash(proof))
        _keep(self._right, here, None)
        if network in self._identities:
            self._identities[network][1].discard(identity)

    def clear(self) -> None:
        for kept in (
            self._guesses,
            self._right,
            self._others,
            self._turned_away,
            self._identities,
        ):
            kept.clear()

    def _count(self, place: Place) -> int:
        known = self._guesses.get(place)
        return known.count if known is not None and self._now() < known.until else 0

    def _add(self, place: Place, most: int, within: float) -> None:
        """Count one wrong password. The last one that is allowed begins the wait."""
        now, known = self._now(), self._guesses.get(place) or _Series()
        if now >= known.until:
            known.count = 0
        if now >= known.until + CALM:
            known.series = known.heard = 0
            known.last = b""
        known.count += 1
        known.until = now + within
        if known.count >= most:
            known.until = now + min(LONGEST, within * 2 ** min(known.series, DOUBLED))
            known.series += 1
        _keep(self._guesses, place, known)

    def _comes_again(self, here: Place, everywhere: Place | None, proof: bytes) -> bool:
        """Whether a password beyond the limits came before, and it is time to hear one."""
        now, key = self._now(), (*here, proof)
        since = self._turned_away.get(key)
        if since is None:
            _keep(self._turned_away, key, now)
        if since is None or now - since < AGAIN_AFTER:
            return False
        mine = self._guesses.get(here) or _Series()
        all_of_them = self._guesses.get(everywhere) if everywhere else None
        if now < mine.next or (all_of_them is not None and now < all_of_them.next):
            return False
        del self._turned_away[key]
        if proof != mine.last:  # who repeats a mistake until it is mended guesses nothing
            mine.last, mine.heard = proof, mine.heard + 1
        mine.next = now + min(LONGEST_EVERY, EVERY * 2 ** min(mine.heard - 1, DOUBLED))
        _keep(self._guesses, here, mine)
        if all_of_them is not None:
            all_of_them.next = now + EVERY
        return True


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int = MOST) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
