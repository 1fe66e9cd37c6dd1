"""How many may come in, and how fast: caps of connections (F20), pace of handshakes (F11)."""

import math
import time
from collections import Counter
from collections.abc import Callable

from csms.conf import Settings
from csms.services.peers import Networks, listed

REFUSALS = 20
"""Logins a second that may fail at one address, for more than a moment."""
MOST_AHEAD = 5.0
"""Seconds that an address may be ahead of that; then its sockets are dropped unheard."""
MOST_ADDRESSES = 10_000
"""Addresses remembered for it."""

ROOM = 256
"""Sockets above the caps that are still answered 503; beyond them they are dropped at once."""


class Gate:
    """Counts sockets, all and by address, from the moment they are accepted.

    The address of a listed proxy has no cap of its own: it brings the sockets of many. An address
    where logins fail again and again costs 3 ms for each; it is heard as often as it may fail.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._refusals: dict[str, Pace] = {}
        self.proxies = settings.trusted_proxies
        self._most = settings.max_connections
        self._most_each = settings.max_connections_per_address
        self._all = 0
        self._by_address: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a socket; false when it should be dropped without a word."""
        self._all += 1
        self._by_address[address] += 1
        if self._all > self._most + ROOM or self._too_many(address, ROOM):
            return False
        return not self._flooding(address)

    def leave(self, address: str) -> None:
        self._all -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def refusal(self, address: str) -> str:
        """Why a counted socket must not become a connection; empty when it may."""
        if self._all > self._most:
            return "There are too many connections."
        if self._too_many(address, 0):
            return "There are too many connections from this address."
        return ""

    def refused(self, address: str) -> None:
        """A login from there has failed."""
        if self.proxies and listed(address, self.proxies):
            return
        if address not in self._refusals:
            if len(self._refusals) >= MOST_ADDRESSES:
                self._refusals.clear()
            self._refusals[address] = Pace(REFUSALS)
        self._refusals[address].wait(self._now())

    def _flooding(self, address: str) -> bool:
        pace = self._refusals.get(address)
        if pace is None:
            return False
        ahead = pace.ahead(self._now())
        if ahead < -1:
            del self._refusals[address]
        return ahead > MOST_AHEAD

    def _too_many(self, address: str, room: int) -> bool:
        return self._by_address[address] > self._most_each + room and not (
            self.proxies and listed(address, self.proxies)
        )


class Pace:
    """Lets so many through a second; who comes too early waits for the time it is told.

    A second's worth may come at once, so that an ordinary day never waits.
    """

    def __init__(self, each_second: int) -> None:
        self._gap = 1 / each_second
        self._next = -math.inf

    def wait(self, now: float, most: float = math.inf) -> float | None:
        """Seconds until its turn; None, and no turn taken, when that would be more than `most`."""
        turn = max(self._next, now - 1)
        delay = turn - now
        if delay > most:
            return None
        self._next = turn + self._gap
        return max(delay, 0.0)

    def ahead(self, now: float) -> float:
        """Seconds until the next turn; negative when there was none for more than a second."""
        return self._next - now


class Paces:
    """One pace for all, of which no address may have more than half.

    One that floods us waits for itself, and who comes from elsewhere is let in. The address of a
    listed proxy is only held to the whole.
    """

    MOST_ADDRESSES = 10_000

    def __init__(self, each_second: int, proxies: Networks) -> None:
        self._all = Pace(each_second)
        self._half = max(1, each_second // 2)
        self._proxies = proxies
        self._each: dict[str, Pace] = {}

    def of(self, address: str) -> tuple[Pace, ...]:
        """The paces that an address must keep, one after the other."""
        if self._proxies and listed(address, self._proxies):
            return (self._all,)
        if address not in self._each:
            if len(self._each) >= self.MOST_ADDRESSES:
                self._each.clear()
            self._each[address] = Pace(self._half)
        return self._each[address], self._all
