"""The scenarios. In each, ours and its peer are driven in turns, round by round, in one run."""

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from bench import node
from bench.children import START_WITHIN, CentralSystem, Child, Workshop, peer
from bench.defence import attacked, load, storm
from bench.figures import Line, Result, latency, middle, of_rounds, spread
from bench.growth import grown
from bench.latency import heartbeat_latency
from bench.scale import Scale, turns

JSON_FACTOR = 3.0
SOAP_FACTOR = 1.0
SESSIONS_FACTOR = 1.5
IDLE_KIB = 24.0
COMMAND_MS = 20.0
"""What is required: see docs/performance.md."""


class NotStored(Exception):
    """Fewer rows are in the database than messages were answered."""


def _check_stored(database: Path, table: str, answered: int) -> None:
    """What was acknowledged must be there."""
    with closing(sqlite3.connect(database)) as opened:
        for name in (table, "csms_message"):
            stored = opened.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            if stored < answered:
                raise NotStored(f"{answered} answers, but {stored} rows in {name}.")


# --- 1 --------------------------------------------------------------------------------------------


def meter_values_json(workshop: Workshop, scale: Scale) -> Result:
    """Durable MeterValues over WebSocket, beside others that store nothing."""
    options = {"work": "meter", "connections": scale.connections}
    lines = _driven(workshop, scale, options, "csms_metervalue", JSON_FACTOR)
    return Result(
        "Durable MeterValues over WebSocket",
        f"{scale.connections} connections, one call outstanding each, in a transaction; "
        "synchronous=FULL or fsync, message log on. The others store nothing.",
        [*lines, *_floor(workshop, scale), *_in_memory(workshop, scale, options)],
    )


def _driven(
    workshop: Workshop, scale: Scale, options: dict[str, Any], table: str, required: float
) -> list[Line]:
    """Ours on both databases, each beside the package `ocpp`."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    with (
        workshop.central_system(json=scale.connections) as central,
        peer(workshop, "ocpp_package") as (_, port),
    ):
        for _ in turns(scale):
            ours.append(load(workshop, scale, "websocket", port=central.json_port, **options))
            theirs.append(load(workshop, scale, "websocket", port=port, **options))
    _check_stored(central.database, table, sum(each["answers"] for each in ours))
    rates, others = [each["rate"] for each in ours], [each["rate"] for each in theirs]
    ratio = of_rounds(rates, others)
    return [
        Line("csms, SQLite", f"{spread(rates, '/s')}{_slowest(ours)}", ratio, "ocpp", required),
        *on_postgresql(workshop, scale, options, required),
        Line("ocpp (PyPI), in memory", f"{spread(others, '/s')}{_slowest(theirs)}"),
    ]


def _slowest(measured: list[dict[str, Any]]) -> str:
    return f", p99 {middle([each['p99'] for each in measured]):.0f} ms"


def on_postgresql(
    workshop: Workshop, scale: Scale, options: dict[str, Any], required: float
) -> list[Line]:
    """The same on PostgreSQL, where it is installed."""
    from tests import servers

    try:
        server = servers.start_postgresql(durable=True)
    except servers.Missing as missing:
        return [Line("csms, PostgreSQL", f"left out: {missing}")]
    ours: list[dict[str, Any]] = []
    others: list[float] = []
    try:
        with (
            workshop.central_system(json=scale.connections, database_url=server.url) as central,
            peer(workshop, "ocpp_package") as (_, port),
        ):
            for _ in turns(scale):
                ours.append(load(workshop, scale, "websocket", port=central.json_port, **options))
                others.append(load(workshop, scale, "websocket", port=port, **options)["rate"])
    finally:
        server.stop()
    rates = [each["rate"] for each in ours]
    value = f"{spread(rates, '/s')}{_slowest(ours)}"
    return [Line("csms, PostgreSQL", value, of_rounds(rates, others), "ocpp", required)]


def _floor(workshop: Workshop, scale: Scale) -> list[Line]:
    """What Django's bulk_create makes of the same rows, and nothing else."""
    rates = []
    for _ in turns(scale):
        with workshop.child(
            *("-m", "bench.peers.django_bulk"),
            *("--warm-up", str(scale.warm_up), "--seconds", str(scale.seconds)),
            environment=workshop.database(json=scale.connections),
        ) as child:
            rates.append(child.facts(within=60 + 2 * scale.seconds)["rate"])
    return [Line("Django's bulk_create alone, SQLite", spread(rates, "rows/s"))]


def _in_memory(workshop: Workshop, scale: Scale, options: dict[str, Any]) -> list[Line]:
    """What others do with the same load, for information."""
    try:
        program, environment = node.program()
    except node.Missing as missing:
        lines = [Line("ocpp-rpc (npm), strict, in memory", f"left out: {missing}")]
    else:
        with workshop.child(
            "bench/peers/ocpp_rpc.js", program=program, environment=environment
        ) as child:
            port = child.facts()["port"]
            lines = [_other(workshop, scale, options, port, "ocpp-rpc (npm), strict, in memory")]
    with peer(workshop, "echo") as (_, port):
        lines.append(_other(workshop, scale, options, port, "websockets alone, an echo"))
    return lines


def _other(workshop: Workshop, scale: Scale, options: dict[str, Any], port: int, name: str) -> Line:
    measured = [load(workshop, scale, "websocket", port=port, **options) for _ in turns(scale)]
    return Line(name, f"{spread([each['rate'] for each in measured], '/s')}{_slowest(measured)}")


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
        package, package_port = stack.enter_context(peer(workshop, "ocpp_package"))
        echo, echo_port = stack.enter_context(peer(workshop, "echo"))
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
            second.facts(within=START_WITHIN + count / 25)
            after = server.resident()
            for child in (second, first):
                child.release()
                child.facts()
    return (after - before) / count / 1024


# --- 5 --------------------------------------------------------------------------------------------


def sessions(workshop: Workshop, scale: Scale) -> Result:
    """StartTransaction and StopTransaction, pair after pair."""
    options = {"work": "sessions", "connections": scale.connections}
    lines = _driven(workshop, scale, options, "csms_transaction", SESSIONS_FACTOR)
    return Result(
        "Transactions",
        f"Pairs of StartTransaction and StopTransaction a second, {scale.connections} "
        "connections; synchronous=FULL or fsync, message log on.",
        lines,
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
        measured = [load(workshop, scale, "command", **where) for _ in turns(scale)]
    return Result(
        "From a REST request to the charger's socket",
        "One command at a time; the command is stored before it is sent.",
        [
            Line(
                "csms",
                latency(measured),
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
    "growth": grown,
}
__all__ = ["ALL", "CentralSystem"]
