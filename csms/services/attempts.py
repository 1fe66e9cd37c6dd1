"""Limits on failed logins that cannot lock out the real charge point.

- Wrong passwords of one identity from one network: the next of a person's choice are refused
  unseen. A key of 160 random bits cannot be guessed and costs nothing to check: the right one is
  always let in.
- Wrong passwords of one identity from all networks where it never was right: the same.
- Many identities that failed from one network: who tries names is not answered for a while.

None concerns who gave the right password before from the same network (logins.py), the second no
network where it was right, the third nobody who was last admitted from there: chargers share
addresses behind NAT (admission.py). And beyond the first two limits a password is heard, slowly,
when it comes again: a charge point always sends the same one, and who guesses another one.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from csms.services.peers import network_of

K = TypeVar("K")
V = TypeVar("V")

GUESSES = 5
"""Wrong passwords of an identity from a network."""
WITHIN = 60.0
"""Seconds since the last failure that counted, after which all is forgotten."""
ALL_GUESSES = 50
"""Wrong passwords of an identity from all networks where it was never right."""
ALL_WITHIN = 600.0
"""The same seconds for these."""
AGAIN_AFTER = 2.0
"""Seconds after which a password that was turned away is heard when it comes again."""
EVERY = 10.0
"""Seconds between two that are heard so, of one identity: from a network where it was right, and
from all others together."""
IDENTITIES = 50
"""Identities that failed from a network: mistakes in a fleet behind one are fewer."""
MOST = 50_000
"""Entries kept of each kind; the oldest are forgotten."""

Place = tuple[str, str]
"""Identity and network; "" for all networks."""


class Attempts:
    """What failed lately; one for each process, used on one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._guesses: OrderedDict[Place, tuple[float, int]] = OrderedDict()
        self._right: OrderedDict[Place, None] = OrderedDict()
        self._turned_away: OrderedDict[tuple[str, str, bytes], float] = OrderedDict()
        self._next: OrderedDict[Place, float] = OrderedDict()
        self._identities: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()

    def guess(self, identity: str, address: str, proof: bytes) -> bool:
        """Whether a password of this identity may be tried from there; if so, it is counted now:
        as wrong until `admitted` or `unjudged` say otherwise, so that many at once do not slip by.
        `proof` stands for the password.
        """
        here, everywhere = (identity, network_of(address)), (identity, "")
        known = here in self._right
        if self._count(here) < GUESSES and (known or self._count(everywhere) < ALL_GUESSES):
            self._add(here, WITHIN)
            if not known:
                self._add(everywhere, ALL_WITHIN)
            return True
        return self._comes_again(here, here if known else everywhere, proof)

    def widely(self, identity: str) -> bool:
        """Whether wrong passwords of this identity come from many networks."""
        return self._count((identity, "")) >= ALL_GUESSES

    def unjudged(self, identity: str, address: str) -> None:
        """The password was not the matter."""
        for place in ((identity, network_of(address)), (identity, "")):
            until, count = self._guesses.get(place, (0.0, 0))
            if count:
                self._guesses[place] = (until, count - 1)

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

    def admitted(self, identity: str, address: str) -> None:
        """The right proof was given: what failed before was a mistake."""
        network = network_of(address)
        self._guesses.pop((identity, network), None)
        _keep(self._right, (identity, network), None)
        if network in self._identities:
            self._identities[network][1].discard(identity)

    def clear(self) -> None:
        for kept in (
            self._guesses,
            self._right,
            self._turned_away,
            self._next,
            self._identities,
        ):
            kept.clear()

    def _count(self, place: Place) -> int:
        until, count = self._guesses.get(place, (0.0, 0))
        return count if self._now() < until else 0

    def _add(self, place: Place, within: float) -> None:
        _keep(self._guesses, place, (self._now() + within, self._count(place) + 1))

    def _comes_again(self, here: Place, place: Place, proof: bytes) -> bool:
        """Whether a password beyond the limits came before, and it is time to hear one."""
        now, key = self._now(), (*here, proof)
        since = self._turned_away.get(key)
        if since is None:
            _keep(self._turned_away, key, now)
        if since is None or now - since < AGAIN_AFTER or now < self._next.get(place, 0.0):
            return False
        del self._turned_away[key]
        _keep(self._next, place, now + EVERY)
        return True


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MOST:
        kept.popitem(last=False)
