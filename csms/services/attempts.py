"""Limits on failed logins that cannot lock out the real charge point.

Both are limits of an address, since nobody can use those of another one up:

- wrong passwords of one identity: the next of a person's choice are refused unseen. A key of 160
  random bits cannot be guessed and costs nothing to check: the right one is always let in;
- many identities that failed: an address that tries names is not answered for a while.

Neither concerns who gave the right password before, and the second neither who was last admitted
from that address: chargers share addresses behind NAT (see admission.py).
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

GUESSES = 5
"""Wrong passwords of an identity from an address."""
IDENTITIES = 50
"""Identities that failed from an address: mistakes in a fleet behind one are fewer."""
WITHIN = 60.0
"""Seconds since the last failure that counted, after which all is forgotten."""
MOST = 50_000
"""Entries kept of either kind; the oldest are forgotten."""


class Attempts:
    """What failed lately; one for each process, used on one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._guesses: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._identities: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()

    def guess(self, identity: str, address: str) -> bool:
        """Whether a password of this identity may be tried from there; if so, it is counted now:
        as wrong until `admitted` or `unjudged` say otherwise, so that many at once do not slip by.
        """
        now, key = self._now(), (identity, _network(address))
        until, count = self._guesses.get(key, (0.0, 0))
        if now >= until:
            count = 0
        if count >= GUESSES:
            return False
        _keep(self._guesses, key, (now + WITHIN, count + 1))
        return True

    def unjudged(self, identity: str, address: str) -> None:
        """The password was not the matter."""
        key = (identity, _network(address))
        until, count = self._guesses.get(key, (0.0, 0))
        if count:
            self._guesses[key] = (until, count - 1)

    def scanning(self, address: str) -> bool:
        """Whether too many identities failed from there."""
        until, failed = self._identities.get(_network(address), (0.0, set[str]()))
        return len(failed) >= IDENTITIES and self._now() < until

    def failed(self, identity: str, address: str) -> None:
        """This identity was refused there."""
        now, network = self._now(), _network(address)
        until, failed = self._identities.get(network, (0.0, set[str]()))
        if now >= until:
            failed = set()
        if identity not in failed and len(failed) < IDENTITIES:
            failed.add(identity)
            _keep(self._identities, network, (now + WITHIN, failed))

    def admitted(self, identity: str, address: str) -> None:
        """The right proof was given: what failed before was a mistake."""
        network = _network(address)
        self._guesses.pop((identity, network), None)
        if network in self._identities:
            self._identities[network][1].discard(identity)

    def clear(self) -> None:
        self._guesses.clear()
        self._identities.clear()


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MOST:
        kept.popitem(last=False)


def _network(address: str) -> str:
    """Who has one IPv6 address has 2⁶⁴ of them: they count as one. IPv4 comes as such."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
    except ValueError:
        return address
