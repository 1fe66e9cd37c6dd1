"""What refused messages of an address may cost before it is asked who it is.

An envelope is parsed before its sender is known, as its identity stands in it. Each costs at most
some 50 ms of CPU time, but nobody may send such ones without end: what a network has spent on
messages that were refused is counted, and while its budget is used up, only senders that prove
themselves by what stands at the beginning of their message are read on. A real charge point behind
the same address is one of them.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from csms.services.peers import network_of

MOST = 2.0
"""CPU seconds that a network may spend at once."""
REGAINED = 0.05
"""CPU seconds that it gets back in each second."""
NETWORKS = 10_000
"""Networks remembered; the one that spent nothing for the longest time is forgotten."""


@dataclass(slots=True)
class _Account:
    spent: float
    at: float


class Budget:
    """CPU time of refused messages, by network. `now` tells the time in seconds."""

    def __init__(self, *, most: float = MOST, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def spend(self, address: str, seconds: float) -> None:
        """A message from there was refused after so much CPU time."""
        network = network_of(address)
        account = self._accounts.get(network)
        if account is None:
            account = self._accounts[network] = _Account(0.0, self._now())
            if len(self._accounts) > NETWORKS:
                self._accounts.popitem(last=False)
        account.spent = self._left_over(account) + seconds
        account.at = self._now()
        self._accounts.move_to_end(network)

    def is_spent(self, address: str) -> bool:
        """Whether nothing more of it may be parsed before it is known who sends it."""
        if not self._accounts:
            return False
        account = self._accounts.get(network_of(address))
        return account is not None and self._left_over(account) >= self._most

    def _left_over(self, account: _Account) -> float:
        """What of the spending is not regained yet."""
        return max(0.0, account.spent - REGAINED * (self._now() - account.at))
