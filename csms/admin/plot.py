"""A transaction's energy and power over time, as SVG made here: no script, no request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

WIDTH, HEIGHT = 720, 200
POINTS = 300
"""Points drawn at most: more than the pixels of a phone tell apart."""


class Sample(NamedTuple):
    """Time, energy register (Wh) and power (W); either may be missing."""

    at: datetime
    energy: float | None
    power: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of the plot: `points` as SVG takes them, and its highest value with unit."""

    name: str
    points: str
    top: str


@dataclass(frozen=True, slots=True)
class Plot:
    """What csms/plot.html draws."""

    curves: tuple[Curve, ...]
    start: datetime
    end: datetime
    width: int = WIDTH
    height: int = HEIGHT


def plot(samples: Sequence[Sample], meter_start: float) -> Plot | None:
    """Curves of energy since the start (kWh) and power (kW); None when there is nothing to draw."""
    samples = _thinned(sorted(samples, key=lambda sample: sample.at))
    energy = [
        (s.at, (s.energy - meter_start) / 1000)
        for s in samples
        if s.energy is not None and s.energy >= meter_start
    ]
    power = [(s.at, s.power / 1000) for s in samples if s.power is not None]
    drawn = [
        (n, u, v) for n, u, v in (("Energy", "kWh", energy), ("Power", "kW", power)) if len(v) > 1
    ]
    if not drawn:
        return None
    start, end = samples[0].at, samples[-1].at
    if start == end:
        return None
    return Plot(tuple(_curve(n, u, v, start, end) for n, u, v in drawn), start, end)


def _thinned(samples: Sequence[Sample]) -> list[Sample]:
    """Evenly chosen, the last one always among them."""
    if len(samples) <= POINTS:
        return list(samples)
    step = (len(samples) - 1) / (POINTS - 1)
    return [samples[round(index * step)] for index in range(POINTS)]


def _curve(
    name: str, unit: str, values: list[tuple[datetime, float]], start: datetime, end: datetime
) -> Curve:
    """Scaled to the drawing; power that is fed back lies on the ground line."""
    top = max(value for _, value in values)
    scale = HEIGHT / top if top > 0 else 0.0
    seconds = (end - start).total_seconds()
    points = " ".join(
        f"{(at - start).total_seconds() / seconds * WIDTH:.1f},"
        f"{HEIGHT - max(value, 0.0) * scale:.1f}"
        for at, value in values
    )
    return Curve(name, points, f"{top:,.2f} {unit}")
