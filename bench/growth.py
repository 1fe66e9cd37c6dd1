"""What a message and a page cost when fleet and tables have grown."""

import contextlib
from collections.abc import Iterator
from typing import Any

from bench.children import START_WITHIN, CentralSystem, Workshop, seconds_of
from bench.figures import Line, Result, middle
from bench.scale import Scale

GROWN_FACTOR = 1.2
PAGE_MS = 300.0
"""What is required: see docs/performance.md."""

FILLED_WITHIN = 1200.0
RATE = 500
"""MeterValues a second, the same from a small fleet and a large one."""


@contextlib.contextmanager
def databases() -> Iterator[dict[str, Any]]:
    """The databases that are there, by their names: each with the server's process, if any."""
    from tests import servers

    found: dict[str, Any] = {"SQLite": None}
    with contextlib.suppress(servers.Missing):
        found["PostgreSQL"] = servers.start_postgresql(durable=True)
    try:
        yield found
    finally:
        for server in found.values():
            if server is not None:
                server.stop()


def grown(workshop: Workshop, scale: Scale) -> Result:
    """The same messages with few chargers and rows, then with many of both; and the pages."""
    lines = []
    with databases() as found:
        for name, server in found.items():
            costs = []
            for number, size in enumerate((scale.small, scale.large)):
                url = "" if server is None else _database(server, f"grown{number}")
                environment = _filled(workshop, size, url)
                costs.append(_cost(workshop, scale, environment, size[0], server))
            small, large = costs
            lines.append(
                Line(
                    f"a MeterValues, {name}",
                    f"{large:.0f} µs of the processor, {small:.0f} µs before",
                    large / small,
                    "× before",
                    GROWN_FACTOR,
                    at_most=True,
                )
            )
            lines += _pages(workshop, environment, name)
    few, many = (
        "{:,} chargers, {:,} transactions, {:,} meter values".format(*size)
        for size in (scale.small, scale.large)
    )
    return Result(
        "Growth",
        f"From {few} to {many}. All chargers are connected, {RATE} MeterValues/s. Time of the "
        "processor in the central system and the database; the pages as the server renders them.",
        lines,
    )


def _database(server: Any, name: str) -> str:
    """The URL of a new database of a PostgreSQL server."""
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{server.url.rpartition('/')[0]}/{name}"


def _filled(workshop: Workshop, size: tuple[int, int, int], url: str) -> dict[str, str]:
    chargers, transactions, meter_values = size
    environment = workshop.database(json=chargers, database_url=url)
    arguments = ("-m", "bench.filling", str(transactions), str(meter_values))
    workshop.run(*arguments, environment=environment, within=FILLED_WITHIN)
    return environment


def _cost(
    workshop: Workshop, scale: Scale, environment: dict[str, str], chargers: int, server: Any
) -> float:
    """µs of the processor for a MeterValues, the median of the rounds."""
    rounds, seconds = scale.rounds, scale.seconds
    with (
        workshop.serving(environment) as central,
        workshop.module(
            "load.websocket",
            port=central.json_port,
            work="meter",
            connections=chargers,
            rate=RATE,
            warm_up=scale.warm_up + chargers / RATE,  # each has sent once
            rounds=rounds,
            seconds=seconds,
        ) as load,
    ):
        load.facts(within=START_WITHIN + chargers / 25)
        load.facts(within=START_WITHIN + 2 * chargers / RATE)
        costs = []
        for _ in range(rounds):
            before = _processor(central, server)
            answered = load.facts(within=START_WITHIN + seconds)["answered"]
            costs.append((_processor(central, server) - before) / answered * 1e6)
    return middle(costs)


def _processor(central: CentralSystem, server: Any) -> float:
    """Seconds of the central system, and of the database where that is a server."""
    return central.child.seconds() + (0 if server is None else seconds_of(server.process.pid))


def _pages(workshop: Workshop, environment: dict[str, str], name: str) -> Iterator[Line]:
    with workshop.child("-m", "bench.pages", environment=environment) as child:
        said = child.facts(within=FILLED_WITHIN)
    for page, taken in said.items():
        what = f"admin, {page}, {name}"
        yield Line(what, f"{taken:.0f} ms", taken, "ms", PAGE_MS, at_most=True)
