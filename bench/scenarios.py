"""The scenarios. In each, ours and its peer are driven in turns, round by round, in one run."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from bench.children import CentralSystem, Child, Workshop
from bench.defence import attacked, load, storm
from bench.figures import Line, Result, middle, of_rounds, spread
from bench.scale import Scale

JSON_FACTOR = 2.0
SOAP_FACTOR = 0.8
IDLE_KIB = 30.0
COMMAND_MS = 20.0
"""What is required: see docs/performance.md."""


class NotStored(Exception):
    """Fewer rows are in the database than messages were answered."""


@contextmanager
def _peer(workshop: Workshop, name: str) -> Iterator[tuple[Child, int]]:
    with workshop.module(f"peers.{name}") as child:
        yield child, child.facts()["port"]


def _check_stored(database: Path, table: str, answered: int) -> None:
    """What was acknowledged must be there."""
    with closing(sqlite3.connect(database)) as opened:
        for name in (table, "csms_message"):
            stored = opened.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            if stored < answered:
                raise NotStored(f"{answered} answers, but {stored} rows in {name}.")


# --- 1 --------------------------------------------------------------------------------------------


def meter_values_json(workshop: Workshop, scale: Scale) -> Result:
    """Durable MeterValues over WebSocket, beside the package `ocpp` in memory."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    answered = 0
    options = {"work": "meter", "connections": scale.connections}
    with (
        workshop.central_system(json=scale.connections) as central,
        _peer(workshop, "ocpp_package") as (_, port),
    ):
        for _ in range(scale.rounds):
            ours.append(load(workshop, scale, "websocket", port=central.json_port, **options))
            theirs.append(load(workshop, scale, "websocket", port=port, **options))
        answered = sum(each["answers"] for each in ours)
    _check_stored(central.database, "csms_metervalue", answered)
    rates, others = [each["rate"] for each in ours], [each["rate"] for each in theirs]
    return Result(
        "Durable MeterValues over WebSocket",
        f"{scale.connections} connections, one call outstanding each, in a transaction; SQLite, "
        "synchronous=FULL, message log on.",
        [
            Line(
                "csms, SQLite",
                f"{spread(rates, '/s')}, p99 {middle([each['p99'] for each in ours]):.0f} ms",
                of_rounds(rates, others),
                "ocpp",
                JSON_FACTOR,
            ),
            *on_postgresql(workshop, scale, options, others),
            Line(
                "ocpp (PyPI), in memory",
                f"{spread(others, '/s')}, p99 {middle([each['p99'] for each in theirs]):.0f} ms",
            ),
        ],
    )


def on_postgresql(
    workshop: Workshop, scale: Scale, options: dict[str, Any], others: list[float]
) -> list[Line]:
    """The same on PostgreSQL, where it is installed (for information)."""
    from tests import servers

    try:
        server = servers.start_postgresql(durable=True)
    except servers.Missing:
        return []
    try:
        with workshop.central_system(json=scale.connections, database_url=server.url) as central:
            rates = [
                load(workshop, scale, "websocket", port=central.json_port, **options)["rate"]
                for _ in range(scale.rounds)
            ]
    finally:
        server.stop()
    ratio = middle(rates) / middle(others)
    return [Line("csms, PostgreSQL (fsync on)", spread(rates, "/s"), ratio, "ocpp")]


# --- 2 --------------------------------------------------------------------------------------------


def meter_values_soap(workshop: Workshop, scale: Scale) -> Result:
    """Durable MeterValues over SOAP, beside stock spyne without socket and storage."""
    ours: list[dict[str, Any]] = []
    fresh: list[dict[str, Any]] = []
    others: list[float] = []
    clients = max(1, scale.connections // 2)
    with workshop.central_system(soap=clients) as central:
        options = {"port": central.http_port, "connections": clients}
        for _ in range(scale.rounds):
            ours.append(load(workshop, scale, "http", **options))
            with workshop.module(
                "peers.spyne_package", warm_up=scale.warm_up, seconds=scale.seconds
            ) as peer:
                others.append(peer.facts(within=60 + 2 * scale.seconds)["rate"])
            fresh.append(load(workshop, scale, "http", fresh=True, **options))
    _check_stored(
        central.database, "csms_metervalue", sum(each["answers"] for each in (*ours, *fresh))
    )
    rates, new = [each["rate"] for each in ours], [each["rate"] for each in fresh]
    return Result(
        "Durable MeterValues over SOAP",
        f"{clients} connections, one request outstanding each; SQLite, synchronous=FULL, message "
        "log on. spyne is called in its own process, without socket, and stores nothing.",
        [
            Line(
                "csms, keep-alive",
                f"{spread(rates, '/s')}, p99 {middle([each['p99'] for each in ours]):.0f} ms",
                of_rounds(rates, others),
                "spyne",
                SOAP_FACTOR,
            ),
            Line(
                "csms, a new connection each",
                f"{spread(new, '/s')}, p99 {middle([each['p99'] for each in fresh]):.0f} ms",
                of_rounds(new, others),
                "spyne",
            ),
            Line("spyne (PyPI), no I/O", spread(others, "/s")),
        ],
    )


# --- 3 --------------------------------------------------------------------------------------------


def idle_memory(workshop: Workshop, scale: Scale) -> Result:
    """Resident memory for each charger that is connected, booted and idle (KiB)."""
    warm = max(2, scale.idle // 10)
    with ExitStack() as stack:
        central = stack.enter_context(workshop.central_system(json=warm + scale.idle))
        package, package_port = stack.enter_context(_peer(workshop, "ocpp_package"))
        echo, echo_port = stack.enter_context(_peer(workshop, "echo"))
        sizes = [
            _idle_kib(workshop, child, port, warm, scale.idle)
            for child, port in (
                (central.child, central.json_port),
                (package, package_port),
                (echo, echo_port),
            )
        ]
    ours, theirs, bare = sizes
    return Result(
        "Memory of an idle charger",
        f"Growth of the server's resident memory over {scale.idle} chargers that are connected, "
        f"booted and idle, after {warm} have warmed it up.",
        [
            Line("csms", f"{ours:.1f} KiB", ours, "KiB", IDLE_KIB, at_most=True),
            Line("ocpp (PyPI)", f"{theirs:.1f} KiB"),
            Line("websockets alone", f"{bare:.1f} KiB"),
        ],
    )


def _idle_kib(workshop: Workshop, server: Child, port: int, warm: int, count: int) -> float:
    options = {"port": port, "work": "idle"}
    with workshop.module("load.websocket", connections=warm, **options) as first:
        first.facts()
        before = server.resident()
        with workshop.module("load.websocket", connections=count, first=warm, **options) as second:
            second.facts()
            after = server.resident()
            for child in (second, first):
                child.release()
                child.facts()
    return (after - before) / count / 1024


# --- 4 --------------------------------------------------------------------------------------------


def heartbeat_latency(workshop: Workshop, scale: Scale) -> Result:
    """Heartbeats at a pace, alone and beside MeterValues at a pace."""
    several = max(2, scale.connections // 5)
    beats: dict[str, Any] = {"work": "heartbeat", "connections": several, "rate": 5 * several}
    lines = []
    with (
        workshop.central_system(json=scale.connections + several) as central,
        _peer(workshop, "ocpp_package") as (_, peer_port),
    ):
        for name, port in (("csms", central.json_port), ("ocpp (PyPI)", peer_port)):
            where = {"port": port, "first": scale.connections}
            rest = [load(workshop, scale, "websocket", **where, **beats) for _ in _turns(scale)]
            busy, rate = [], 0.0
            with workshop.module(
                "load.websocket",
                port=port,
                work="meter",
                connections=scale.connections,
                rate=scale.background,
                seconds=(scale.rounds + 1) * (scale.seconds + scale.warm_up + 3),
            ) as background:
                background.facts()
                busy = [load(workshop, scale, "websocket", **where, **beats) for _ in _turns(scale)]
                rate = background.facts(within=120)["rate"]
            lines += [
                Line(f"{name}, at rest", _latency(rest)),
                Line(f"{name}, beside {rate:,.0f} MeterValues/s", _latency(busy)),
            ]
    return Result(
        "Latency of Heartbeat",
        f"{5 * several} Heartbeats/s of {several} chargers. Ours commits each to disk.",
        lines,
    )


def _turns(scale: Scale) -> range:
    return range(scale.rounds)


def _latency(measured: list[dict[str, Any]]) -> str:
    p50, p99 = (middle([each[name] for each in measured]) for name in ("p50", "p99"))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


# --- 5 --------------------------------------------------------------------------------------------


def sessions(workshop: Workshop, scale: Scale) -> Result:
    """StartTransaction and StopTransaction, pair after pair."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    options = {"work": "sessions", "connections": scale.connections}
    with (
        workshop.central_system(json=scale.connections) as central,
        _peer(workshop, "ocpp_package") as (_, port),
    ):
        for _ in range(scale.rounds):
            ours.append(load(workshop, scale, "websocket", port=central.json_port, **options))
            theirs.append(load(workshop, scale, "websocket", port=port, **options))
    _check_stored(central.database, "csms_transaction", sum(each["answers"] for each in ours))
    rates, others = [each["rate"] for each in ours], [each["rate"] for each in theirs]
    return Result(
        "Transactions",
        f"Pairs of StartTransaction and StopTransaction, {scale.connections} connections; "
        "SQLite, synchronous=FULL, message log on.",
        [
            Line("csms, SQLite", spread(rates, "pairs/s"), of_rounds(rates, others), "ocpp"),
            Line("ocpp (PyPI), in memory", spread(others, "pairs/s")),
        ],
    )


# --- 6 --------------------------------------------------------------------------------------------


def command_latency(workshop: Workshop, scale: Scale) -> Result:
    """From a REST request to the charger's socket."""
    with workshop.central_system(json=1) as central:
        data = {"CSMS_DATA_DIR": str(central.database.parent), "DATABASE_URL": ""}
        with workshop.child(
            *("manage.py", "api_token", "add", "bench", "--can", "all"), environment=data
        ) as child:
            token = child.line(60)
        where = {"port": central.json_port, "http_port": central.http_port, "token": token}
        measured = [load(workshop, scale, "command", **where) for _ in _turns(scale)]
    return Result(
        "From a REST request to the charger's socket",
        "One command at a time; the command is stored before it is sent.",
        [
            Line(
                "csms",
                _latency(measured),
                middle([each["p50"] for each in measured]),
                "ms, p50",
                COMMAND_MS,
                at_most=True,
            )
        ],
    )


# --- codecs ---------------------------------------------------------------------------------------


def codecs(workshop: Workshop, scale: Scale) -> Result:
    """Reading one message, without server and database."""
    with workshop.module("codecs", seconds=min(1.0, scale.seconds)) as child:
        cost = child.facts(within=120)
    return Result(
        "Reading one MeterValues of six samples",
        "In one thread, the best of five runs.",
        [
            Line("JSON: frame and strict reading", _us(cost["json"])),
            Line("JSON, ocpp: unpack and jsonschema", _us(cost["json_peer"])),
            Line("SOAP: envelope in, reply's envelope out", _us(cost["soap"])),
            Line("SOAP: of that, the body", _us(cost["soap_body"])),
            Line("SOAP, stock spyne: envelope in and out", _us(cost["soap_peer"])),
        ],
    )


def _us(value: float) -> str:
    return f"{value:,.1f} µs"


ALL = {
    "codecs": codecs,
    "json": meter_values_json,
    "soap": meter_values_soap,
    "memory": idle_memory,
    "latency": heartbeat_latency,
    "transactions": sessions,
    "commands": command_latency,
    "storm": storm,
    "attack": attacked,
}
__all__ = ["ALL", "CentralSystem"]
