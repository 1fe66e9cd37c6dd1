"""What the formula of docs/scaling.md is made of, measured; and what a fleet needs by it.

python -m bench.capacity [--chargers N] [--charging SHARE] [--sample S] [--heartbeat S] …

On SQLite and on PostgreSQL, the message log on: the processor's time for a MeterValues of six
samples, a Heartbeat and a ping; the memory of a connection; the bytes of a row with its indexes, as
messages in any order leave them.
"""

import argparse
import sqlite3
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.children import START_WITHIN, CentralSystem, Workshop, seconds_of, workshop

DAY = 86_400
YEAR = 365 * DAY
BUSY = 0.6
"""How busy a core may be: what comes at once waits then, and is not refused."""
LOG, METER, SESSION = "csms_message", "csms_metervalue", "csms_transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long and how large the measurement is."""

    chargers: int = 500
    rate: int = 500
    """Messages a second while their cost is measured; fewer share a commit with fewer."""
    seconds: float = 10.0
    """Of each measurement."""
    rows: int = 20_000
    """At least, before the bytes of one are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """On one database."""

    meter: float
    """µs of the processor for a MeterValues, in the central system."""
    meter_database: float
    """µs of the database's server for it; 0: there is none."""
    heartbeat: float
    heartbeat_database: float
    ping: float
    """µs for a ping and its answer."""
    connection: float
    """KiB of memory for a WebSocket that is open."""
    meter_row: float
    """Bytes of a row of meter values, with its indexes; like those below."""
    meter_log: float
    """Of the message log, for a MeterValues."""
    heartbeat_log: float
    session: float
    """Of transactions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What the charge points do."""

    chargers: int = 10_000
    charging: float = 0.2
    """Share of them that charge, on average."""
    sample: float = 60.0
    """Seconds between two MeterValues of a charger that charges."""
    heartbeat: float = 300.0
    """Seconds between two Heartbeats."""
    ping: float = 30.0
    """Seconds between two pings (CSMS_PING_INTERVAL)."""
    sessions: float = 3.0
    """Transactions of a charger in a day."""
    log_days: float = 14.0
    """For which the message log is kept (CSMS_LOG_RETENTION_DAYS)."""
    meter_days: float = 365.0
    """For which meter values are kept (CSMS_METER_RETENTION_DAYS)."""


MESSAGES_A_SESSION = 6
"""Authorize, StartTransaction, StopTransaction and three StatusNotifications, counted like a
MeterValues each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a fleet needs on one database."""

    messages: float
    """A second, on average over the day."""
    cores: float
    """For the central system."""
    cores_database: float
    memory: float
    """MiB for the connections."""
    log: float
    """GB of the message log."""
    readings: float
    """GB of meter values."""
    sessions: float
    """GB of transactions, each year."""


def needs(fleet: Fleet, costs: Costs) -> Needs:
    """The formula. Peaks are in the `fleet`: in the evening twice as many charge."""
    readings = fleet.chargers * fleet.charging / fleet.sample
    beats = fleet.chargers / fleet.heartbeat
    pings = fleet.chargers / fleet.ping
    begun = fleet.chargers * fleet.sessions / DAY
    others = MESSAGES_A_SESSION * begun
    messages = readings + beats + others

    def cores(meter: float, heartbeat: float, ping: float) -> float:
        taken = (readings + others) * meter + beats * heartbeat + pings * ping
        return taken / 1e6 / BUSY

    return Needs(
        messages=messages,
        cores=cores(costs.meter, costs.heartbeat, costs.ping),
        cores_database=cores(costs.meter_database, costs.heartbeat_database, 0),
        memory=fleet.chargers * costs.connection / 1024,
        log=((readings + others) * costs.meter_log + beats * costs.heartbeat_log)
        * (DAY * fleet.log_days / 1e9),
        readings=readings * DAY * fleet.meter_days * costs.meter_row / 1e9,
        sessions=begun * YEAR * costs.session / 1e9,
    )


# --- measured -------------------------------------------------------------------------------------


def measured(shop: Workshop, size: Size, server: Any = None) -> Costs:
    """The costs on SQLite, or on a PostgreSQL server that has just been started."""
    environment = shop.database(json=size.chargers, database_url=_database(server, "meter"))
    with shop.serving(environment) as central:
        meter = _message(shop, size, central, server, "meter")
        _filled(shop, size, central, "meter")
    rows = _rows(central, LOG, METER)
    environment = shop.database(json=size.chargers, database_url=_database(server, "heartbeat"))
    with shop.serving(environment) as central:
        heartbeat = _message(shop, size, central, server, "heartbeat")
        _filled(shop, size, central, "heartbeat")
    beats = _rows(central, LOG)
    environment = shop.database(json=size.chargers, database_url=_database(server, "sessions"))
    ping, connection = _idle(shop, size, environment)
    with shop.serving(environment) as central:
        _filled(shop, size, central, "sessions")
    sessions = _rows(central, SESSION)
    return Costs(
        meter=meter[0],
        meter_database=meter[1],
        heartbeat=heartbeat[0],
        heartbeat_database=heartbeat[1],
        ping=ping,
        connection=connection,
        meter_row=rows[METER],
        meter_log=rows[LOG],
        heartbeat_log=beats[LOG],
        session=sessions[SESSION],
    )


def _database(server: Any, name: str) -> str:
    """The URL of a new database of a PostgreSQL server; empty for SQLite."""
    if server is None:
        return ""
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as opened:
        opened.execute(f'CREATE DATABASE "{name}"')
    url: str = server.url.rpartition("/")[0]
    return f"{url}/{name}"


def _message(
    shop: Workshop, size: Size, central: CentralSystem, server: Any, work: str
) -> tuple[float, float]:
    """µs for a message: of the central system, of the database."""

    def seconds() -> tuple[float, float]:
        return central.child.seconds(), 0 if server is None else seconds_of(server.process.pid)

    with shop.module(
        "load.websocket",
        port=central.json_port,
        work=work,
        connections=size.chargers,
        rate=size.rate,
        warm_up=1 + size.chargers / size.rate,  # each has sent once
        rounds=1,
        seconds=size.seconds,
    ) as load:
        load.facts(START_WITHIN + size.chargers / 25)
        load.facts(START_WITHIN + 2 * size.chargers / size.rate)
        before = seconds()
        answered = load.facts(START_WITHIN + size.seconds)["answered"]
        after = seconds()
    ours, its = ((late - early) / answered * 1e6 for early, late in zip(before, after, strict=True))
    return ours, its


def _filled(shop: Workshop, size: Size, central: CentralSystem, work: str) -> None:
    """Leave enough rows for their bytes to be counted."""
    rows = 0
    while rows < size.rows:
        rows += _loaded(shop, size, central, work)


def _loaded(
    shop: Workshop, size: Size, central: CentralSystem, work: str, chargers: int = 0
) -> int:
    """Messages as fast as they are answered, Heartbeats at a pace; how many."""
    chargers = chargers or size.chargers
    with shop.module(
        "load.websocket",
        port=central.json_port,
        work=work,
        connections=chargers,
        rate=2 * size.rate if work == "heartbeat" else 0,
        seconds=size.seconds,
    ) as load:
        load.facts(START_WITHIN + chargers / 25)
        answers: int = load.facts(START_WITHIN + size.seconds)["answers"]
    return answers


def _idle(shop: Workshop, size: Size, environment: dict[str, str]) -> tuple[float, float]:
    """µs for a ping, KiB for a connection: pings each second, and what is taken without any."""
    with shop.serving(environment | {"CSMS_PING_INTERVAL": "1"}) as central:

        def taken() -> float:
            before = central.child.seconds()
            time.sleep(size.seconds)
            return central.child.seconds() - before

        # What is made once is there then, and little room that connections have left.
        _loaded(shop, size, central, "heartbeat", max(1, size.chargers // 20))
        time.sleep(1)
        alone, empty = taken(), central.child.resident()
        with shop.module(
            "load.websocket", port=central.json_port, work="idle", connections=size.chargers
        ) as load:
            load.facts(START_WITHIN + size.chargers / 25)
            time.sleep(2)
            with_pings, full = taken(), central.child.resident()
            load.release()
            load.facts()
    pings = size.chargers * size.seconds
    return max(0.0, with_pings - alone) / pings * 1e6, (full - empty) / 1024 / size.chargers


def _rows(central: CentralSystem, *tables: str) -> dict[str, float]:
    """Bytes of a row by table, of a central system that has ended."""
    url = central.environment["DATABASE_URL"]
    return _on_postgresql(url, tables) if url else _on_sqlite(central.database, tables)


def _on_sqlite(database: Path, tables: tuple[str, ...]) -> dict[str, float]:
    """The pages that are free when the table is dropped."""
    found = {}
    with closing(sqlite3.connect(database)) as opened:

        def ask(query: str) -> int:
            number: int = opened.execute(query).fetchone()[0]
            return number

        page = ask("PRAGMA page_size")
        for table in tables:
            rows, free = ask(f"SELECT count(*) FROM {table}"), ask("PRAGMA freelist_count")
            opened.execute(f"DROP TABLE {table}")
            found[table] = (ask("PRAGMA freelist_count") - free) * page / rows
    return found


def _on_postgresql(url: str, tables: tuple[str, ...]) -> dict[str, float]:
    """Of partitions the one with most rows; without the room that changes of rows have left."""
    import psycopg

    found = {}
    with psycopg.connect(url, autocommit=True) as opened:
        for table in tables:
            part = opened.execute(
                f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1 "
                "ORDER BY 2 DESC LIMIT 1"
            ).fetchone()
            assert part is not None
            if table == SESSION:
                opened.execute(f"VACUUM FULL {table}")
            taken = opened.execute("SELECT pg_total_relation_size(%s)", part[:1]).fetchone()
            assert taken is not None
            found[table] = taken[0] / part[1]
    return found


# --- said -----------------------------------------------------------------------------------------

UNITS = {
    "meter": "µs   a MeterValues",
    "meter_database": "µs   of the database's server for it",
    "heartbeat": "µs   a Heartbeat",
    "heartbeat_database": "µs   of the database's server for it",
    "ping": "µs   a ping",
    "connection": "KiB  a connection",
    "meter_row": "B    a row of meter values",
    "meter_log": "B    a row of the message log for a MeterValues",
    "heartbeat_log": "B    for a Heartbeat",
    "session": "B    a row of transactions",
    "messages": "/s   messages",
    "cores": "     cores for the central system",
    "cores_database": "     cores for the database's server",
    "memory": "MiB  for connections",
    "log": "GB   message log",
    "readings": "GB   meter values",
    "sessions": "GB   transactions, each year",
}


def said(figures: Costs | Needs) -> str:
    """A line for each figure."""
    return "\n".join(
        f"{getattr(figures, field.name):12,.1f} {UNITS[field.name]}" for field in fields(figures)
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.capacity")
    for option in fields(Fleet):
        name = "--" + option.name.replace("_", "-")
        parser.add_argument(name, type=type(option.default), default=option.default)
    fleet = Fleet(**vars(parser.parse_args()))
    from tests import servers

    with workshop() as shop, ExitStack() as stack:
        found: dict[str, Any] = {"SQLite": None}
        try:
            found["PostgreSQL"] = servers.start_postgresql(durable=True)
            stack.callback(found["PostgreSQL"].stop)
        except servers.Missing as missing:
            print(f"PostgreSQL is left out: {missing}")
        for name, server in found.items():
            costs = measured(shop, Size(), server)
            print(f"\n{name}\n{said(costs)}\n\n{fleet}\n{said(needs(fleet, costs))}", flush=True)


if __name__ == "__main__":
    main()
