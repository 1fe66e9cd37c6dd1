"""Wake-ups across processes: heard by all others, not by who sent them; lost without harm."""

import time
from collections.abc import Callable, Iterator

import pytest

from csms.services.redis_bus import RedisBus
from tests import servers


class Process:
    """One end of the bus, and what it heard."""

    def __init__(self, url: str, *topics: str) -> None:
        self.heard: list[str] = []
        self.bus = RedisBus(url, wake=self.heard.append, topics=lambda: list(topics))
        self.bus.start()

    def hears(self, topic: str, times: int = 1) -> bool:
        return until(lambda: self.heard.count(topic) >= times)


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def make(url: str, *topics: str) -> Process:
        made.append(Process(url, *topics))
        return made[-1]

    yield make
    for each in made:
        each.bus.stop()


def test_others_hear_it_and_who_said_it_does_not(
    redis: str, process: Callable[..., Process]
) -> None:
    one, other, third = (process(redis, "ready") for _ in range(3))
    assert all(each.hears("ready") for each in (one, other, third))
    one.bus.publish("commands json")
    assert other.hears("commands json")
    assert third.hears("commands json")
    other.bus.publish("command 7")
    assert one.hears("command 7")
    assert "commands json" not in one.heard


def test_redis_lost_and_back(redis: str, process: Callable[..., Process]) -> None:
    """Publishing never waits or fails; when Redis is back everyone looks once, and hears again."""
    port = servers.free_port()
    server = servers.start_redis(port)
    try:
        one = process(server.url, "commands", "effects")
        other = process(server.url, "commands", "effects")
        assert one.hears("commands")
        assert other.hears("effects")
    finally:
        server.stop()
    began = time.monotonic()
    for number in range(20_000):  # more than may wait
        one.bus.publish(f"command {number}")
    assert time.monotonic() - began < 5
    server = servers.start_redis(port)
    try:
        assert other.hears("commands", times=2)
        assert other.hears("effects", times=2)

        def again() -> bool:
            one.bus.publish("charge_points")
            return "charge_points" in other.heard

        assert until(again)
    finally:
        server.stop()


def test_a_process_starts_without_redis_and_stops_soon(process: Callable[..., Process]) -> None:
    one = process(f"redis://127.0.0.1:{servers.free_port()}/0", "commands")
    one.bus.publish("commands")
    time.sleep(0.2)
    began = time.monotonic()
    one.bus.stop()
    assert time.monotonic() - began < 5
    assert one.heard == []
