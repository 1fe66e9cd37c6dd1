"""How long and how large a run is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Sizes of one run of the benchmarks."""

    rounds: int = 5
    """Of each scenario; the median counts."""
    seconds: float = 4.0
    """Of each measurement."""
    warm_up: float = 1.5
    """Seconds of the same load before each measurement."""
    connections: int = 100
    """Chargers with one message outstanding each."""
    idle: int = 1000
    """Chargers that are connected and silent."""
    storm: int = 5000
    """Chargers that reconnect at once."""
    background: int = 1000
    """MeterValues a second beside which Heartbeats are timed."""


FULL = Scale()
QUICK = Scale(rounds=3, seconds=2.0, warm_up=1.0, idle=500, storm=1000)
TINY = Scale(rounds=1, seconds=1.0, warm_up=0.2, connections=4, idle=8, storm=8, background=50)
"""Shows that everything works; its figures mean nothing."""
