"""Wake-ups across processes, over Redis (REDIS_URL).

Each topic that is published here is published on one channel, and what others publish wakes who
waits here. Nothing depends on it: commands and facts are in the database, every waiter looks by
itself in time, and while Redis is away wake-ups are only lost. When it is back everyone is woken
once, for what was missed.

Two threads speak with Redis, so that no publisher ever waits for it.
"""

import logging
import queue
import threading
import uuid
from collections.abc import Callable

import redis

logger = logging.getLogger(__name__)

CHANNEL = "csms:bus"
MOST_WAITING = 10_000
"""Wake-ups that may wait to be sent; more are dropped."""
PAUSE = 1.0
"""Seconds between two tries to reach Redis."""
SILENCE = 5.0
"""Seconds that a step with Redis may take."""


class RedisBus:
    """Carries topics between this process and all others; `wake` is called for theirs."""

    def __init__(self, url: str, *, wake: Callable[[str], None], topics: Callable[[], list[str]]):
        self._url = url
        self._wake = wake
        self._topics = topics
        self._me = uuid.uuid4().hex
        self._out: queue.Queue[str] = queue.Queue(MOST_WAITING)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"bus {name}", daemon=True)
            for name, work in (("out", self._send), ("in", self._receive))
        ]

    def start(self) -> None:
        """Raises nothing when Redis is not there: it may come."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send what is waiting, if it can be sent at once, and end."""
        self._stopping.set()
        self._tell("")
        for thread in self._threads:
            thread.join(2 * SILENCE)

    def publish(self, topic: str) -> None:
        """Tell the other processes; from any thread, without waiting."""
        self._tell(topic)

    def _tell(self, topic: str) -> None:
        try:
            self._out.put_nowait(topic)
        except queue.Full:
            logger.warning("Redis does not take wake-ups: one is dropped.")

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(
            self._url,
            socket_timeout=SILENCE,
            socket_connect_timeout=SILENCE,
            health_check_interval=15,
        )

    # --- the two threads

    def _send(self) -> None:
        client = self._client()
        while True:
            topics = {self._out.get()}
            while not self._out.empty():  # many wake-ups of one topic are one
                topics.add(self._out.get())
            try:
                with client.pipeline(transaction=False) as pipeline:
                    for topic in sorted(topics - {""}):
                        pipeline.publish(CHANNEL, f"{self._me} {topic}")
                    pipeline.execute()
            except redis.RedisError:
                if self._stopping.wait(PAUSE):
                    return
            if self._stopping.is_set() and self._out.empty():
                client.close()
                return

    def _receive(self) -> None:
        away = False
        while not self._stopping.is_set():
            client = self._client()
            try:
                with client.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
                    subscription.subscribe(CHANNEL)
                    subscription.get_message(timeout=SILENCE)  # that it is subscribed
                    if away:
                        away = False
                        logger.info("Redis is back.")
                    for topic in self._topics():  # what was published before counts too
                        self._wake(topic)
                    self._listen(subscription)
            except redis.RedisError as error:
                if not away:
                    away = True
                    logger.warning("Redis does not answer; wake-ups come late: %s", error)
                self._stopping.wait(PAUSE)
            finally:
                client.close()

    def _listen(self, subscription: "redis.client.PubSub") -> None:
        while not self._stopping.is_set():
            message = subscription.get_message(timeout=1.0)
            if message is None:
                continue
            sender, _, topic = message["data"].decode("utf-8", "replace").partition(" ")
            if sender != self._me and topic:
                self._wake(topic)
