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
    idle: int = 10_000
    """Chargers that are connected and silent."""
    storm: int = 5000
    """Chargers that reconnect at once."""
    background: int = 1000
    """MeterValues a second beside which Heartbeats are timed."""
    small: tuple[int, int, int] = (100, 10_000, 100_000)
    """Chargers, transactions and meter values of a system that was just begun."""
    large: tuple[int, int, int] = (10_000, 1_000_000, 10_000_000)
    """The same of a system that has grown; all chargers are connected."""


FULL = Scale()
QUICK = Scale(
    rounds=3, seconds=2.0, warm_up=1.0, idle=500, storm=1000, large=(1_000, 100_000, 1_000_000)
)
TINY = Scale(
    rounds=1,
    seconds=1.0,
    warm_up=0.2,
    connections=4,
    idle=8,
    storm=8,
    background=50,
    small=(4, 10, 100),
    large=(8, 20, 200),
)
"""Shows that everything works; its figures mean nothing."""


def turns(scale: Scale) -> range:
    """One for each round."""
    return range(scale.rounds)
