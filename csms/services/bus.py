"""Wake-ups: who changed something tells who waits for it.

Within a process a wake-up is immediate, and with REDIS_URL soon in all others too (`connect`).
Without, what another process writes is noticed by `clock.Watcher` (SQLite) or by the sweeps. A lost
wake-up costs latency only: every waiter also looks by itself, in time.
"""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable

from csms.services.redis_bus import RedisBus


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


_redis: RedisBus | None = None


def connect(url: str) -> None:
    """Publish to other processes too, and hear what they publish."""
    global _redis
    if _redis is None:
        _redis = RedisBus(url, wake=wake, topics=_topics)
        _redis.start()


def disconnect() -> None:
    """Send what is waiting, and be alone again."""
    global _redis
    if _redis is not None:
        _redis.stop()
        _redis = None


def _topics() -> list[str]:
    with _guard:
        return [*_subscriptions, *_listeners]


def publish(topic: str) -> None:
    """Wake everyone who waits for a topic, or a part of it; from any thread.

    `commands` wakes who waits for `commands json` too; `commands json` wakes nobody else.
    """
    wake(topic)
    if _redis is not None:
        _redis.publish(topic)


def wake(topic: str) -> None:
    """Wake those of this process."""
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
