"""How long a Heartbeat waits, at rest and beside others."""

from contextlib import ExitStack
from typing import Any

from bench.children import CentralSystem, Workshop, peer
from bench.defence import load
from bench.figures import Line, Result, latency, middle
from bench.scale import Scale, turns

BEAT_MS = 50.0
"""What is required: see docs/performance.md."""


def heartbeat_latency(workshop: Workshop, scale: Scale) -> Result:
    """Heartbeats at a pace, alone and beside MeterValues at a pace."""
    several = max(2, scale.connections // 5)
    beats: dict[str, Any] = {"work": "heartbeat", "connections": several, "rate": 5 * several}
    lines = []
    with (
        workshop.central_system(json=scale.connections + several) as central,
        peer(workshop, "ocpp_package") as (_, peer_port),
    ):
        for name, port in (("csms", central.json_port), ("ocpp (PyPI)", peer_port)):
            where = {"port": port, "first": scale.connections}
            rest = [load(workshop, scale, "websocket", **where, **beats) for _ in turns(scale)]
            lines.append(Line(f"{name}, at rest", *_beat(rest, name == "csms")))
            browsers = ("", "/admin/csms/chargepoint/") if name == "csms" else ("",)
            for path in browsers:
                busy, rate = _beside(workshop, scale, central if path else None, port, path, beats)
                what = f"{name}, beside {rate:,.0f} MeterValues/s"
                what += " and a page rendered without pause" if path else ""
                lines.append(Line(what, *_beat(busy, name == "csms")))
    return Result(
        "Latency of Heartbeat",
        f"{5 * several} Heartbeats/s of {several} chargers. Ours commits each to disk.",
        lines,
    )


def _beside(
    workshop: Workshop,
    scale: Scale,
    browsed: CentralSystem | None,
    port: int,
    path: str,
    beats: dict[str, Any],
) -> tuple[list[dict[str, Any]], float]:
    """Heartbeats beside MeterValues at a pace, and a browser if one is asked for."""
    seconds = (scale.rounds + 1) * (scale.seconds + scale.warm_up + 3)
    with ExitStack() as stack:
        background = stack.enter_context(
            workshop.module(
                "load.websocket",
                port=port,
                work="meter",
                connections=scale.connections,
                rate=scale.background,
                seconds=seconds,
            )
        )
        background.facts()
        if browsed is not None:
            with workshop.child(
                "-m", "bench.pages", "--session", environment=browsed.environment
            ) as child:
                session = child.facts()["session"]
            browser = stack.enter_context(
                workshop.module(
                    "load.pages",
                    port=browsed.http_port,
                    path=path,
                    session=session,
                    seconds=seconds,
                )
            )
            browser.facts()
        where = {"port": port, "first": scale.connections}
        busy = [load(workshop, scale, "websocket", **where, **beats) for _ in turns(scale)]
        return busy, background.facts(within=120)["rate"]


def _beat(measured: list[dict[str, Any]], ours: bool) -> tuple[Any, ...]:
    """The rest of a line; ours has a bound."""
    p99 = middle([each["p99"] for each in measured])
    return (latency(measured), p99, "ms, p99", BEAT_MS, True) if ours else (latency(measured),)
