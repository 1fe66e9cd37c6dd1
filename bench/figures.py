"""What a scenario returns: lines of the table, each with its ratio and what is required of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    what: str
    value: str
    ratio: float | None = None
    """To the peer named in `against`, measured in the same run."""
    against: str = ""
    required: float | None = None
    at_most: bool = False
    """The figure that is required (`ratio`) is an upper bound."""

    @property
    def passed(self) -> bool | None:
        """None: nothing is required."""
        if self.required is None or self.ratio is None:
            return None
        return self.ratio <= self.required if self.at_most else self.ratio >= self.required


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario's lines under its title."""

    title: str
    note: str
    lines: list[Line]


def middle(values: Sequence[float]) -> float:
    return median(values)


def of_rounds(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of rounds that ran side by side."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def spread(values: Sequence[float], unit: str) -> str:
    """Median and range of the rounds."""
    if len(values) == 1:
        return f"{values[0]:,.0f} {unit}"
    return f"{median(values):,.0f} {unit} ({min(values):,.0f} … {max(values):,.0f})"


def latency(measured: Sequence[dict[str, Any]]) -> str:
    """Median and 99th percentile of the rounds."""
    p50, p99 = (middle([each[name] for each in measured]) for name in ("p50", "p99"))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
