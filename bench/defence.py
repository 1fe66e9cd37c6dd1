"""The scenarios of bad days: everybody reconnects at once, and somebody attacks."""

from typing import Any

from bench.children import Workshop
from bench.figures import Line, Result, middle
from bench.scale import Scale

STORM_SECONDS = 60.0
ATTACKED_FACTOR = 2.0
"""What is required: see docs/performance.md."""

ATTACKS = {
    "guess": ("wrong passwords", 200.0, "json"),
    "envelope": ("hostile envelopes of 60 KB", 50.0, "http"),
    "half": ("connections a second that never finish their request", 50.0, "http"),
}
"""What one address sends each second, and to which port."""


def load(workshop: Workshop, scale: Scale, name: str, **options: Any) -> dict[str, Any]:
    """What a load generator measured."""
    options = {"warm_up": scale.warm_up, "seconds": scale.seconds, **options}
    with workshop.module(f"load.{name}", **options) as child:
        said = child.facts()
        while "answers" not in said:
            said = child.facts(within=scale.warm_up + scale.seconds + 60)
        return said


def storm(workshop: Workshop, scale: Scale) -> Result:
    """All chargers reconnect at once with security profile 1 (F11)."""
    with (
        workshop.central_system(json=scale.storm, keys=scale.storm) as central,
        workshop.module("load.storm", port=central.json_port, connections=scale.storm) as child,
    ):
        said = child.facts(within=300)
    return Result(
        "Everybody reconnects",
        f"{scale.storm} chargers at once, each with HTTP Basic and a key of its own, until all "
        "have been told Accepted; one that is refused tries again after one to three seconds.",
        [
            Line(
                "csms",
                f"{said['seconds']:.1f} s, {said['refused']} further tries",
                said["seconds"],
                "s",
                STORM_SECONDS,
                at_most=True,
            )
        ],
    )


def attacked(workshop: Workshop, scale: Scale) -> Result:
    """Heartbeats of honest chargers while one address attacks."""
    several = max(2, scale.connections // 5)
    beats: dict[str, Any] = {"work": "heartbeat", "connections": several, "rate": 5 * several}
    lines = []
    with workshop.central_system(json=several + 1, keys=1) as central:
        ports = {"json": central.json_port, "http": central.http_port}
        beats |= {"port": central.json_port, "first": 1}
        for kind, (what, rate, port) in ATTACKS.items():
            rest, busy = [], []
            for _ in range(scale.rounds):
                rest.append(load(workshop, scale, "websocket", **beats)["p99"])
                with workshop.module(
                    "load.attack",
                    kind=kind,
                    port=ports[port],
                    rate=rate,
                    seconds=scale.seconds + scale.warm_up + 2,
                ) as attacker:
                    attacker.facts()
                    busy.append(load(workshop, scale, "websocket", **beats)["p99"])
                    attacker.facts(within=120)
            lines.append(
                Line(
                    f"beside {rate:.0f} {what}",
                    f"p99 {middle(busy):.1f} ms, at rest {middle(rest):.1f} ms",
                    middle(busy) / middle(rest),
                    "× at rest",
                    ATTACKED_FACTOR,
                    at_most=True,
                )
            )
    return Result(
        "While one address attacks",
        f"{5 * several} Heartbeats/s of {several} honest chargers; the attacker has an address of "
        "its own and shares the two cores with server and chargers.",
        lines,
    )
