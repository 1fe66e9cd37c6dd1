"""Wake-ups: who changed something tells who waits for it.

Within a process a wake-up is immediate. What another process writes (the shell beside `serve`) is
noticed by `watch`. A lost wake-up costs latency only: every waiter also looks by itself, in time.
"""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable


class Subscription:
    """Something to wait for on one event loop."""

    __slots__ = ("_event", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # its loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, timeout: float) -> bool:
        """Return at the next wake-up (true) or after `timeout` seconds (false)."""
        try:
            async with asyncio.timeout(timeout):  # wait_for of Python 3.11 may lose a cancellation
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


_guard = threading.Lock()
_listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)
_subscriptions: dict[str, set[Subscription]] = defaultdict(set)


def subscribe(topic: str) -> Subscription:
    """Wait for a topic on the running event loop."""
    subscription = Subscription()
    with _guard:
        _subscriptions[topic].add(subscription)
    return subscription


def unsubscribe(topic: str, subscription: Subscription) -> None:
    with _guard:
        waiting = _subscriptions[topic]
        waiting.discard(subscription)
        if not waiting:  # topics of single commands come and go
            del _subscriptions[topic]


def publish(topic: str) -> None:
    """Wake everyone who waits for a topic, or a part of it; from any thread.

    `commands` wakes who waits for `commands json` too; `commands json` wakes nobody else.
    """
    part = f"{topic} "
    with _guard:
        waiting = [
            subscription
            for name, subscriptions in _subscriptions.items()
            if name == topic or name.startswith(part)
            for subscription in subscriptions
        ]
    for subscription in waiting:
        subscription.wake()
    for listener in _listeners.get(topic, ()):
        listener()


def listen(topic: str, listener: Callable[[], None]) -> None:
    """Call a quick function at each wake-up, in the thread that publishes."""
    _listeners[topic].append(listener)
