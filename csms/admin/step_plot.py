"""Composite schedules as steps, as SVG made here: no script, no request."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from csms.services.composite import Composite, Difference

WIDTH, HEIGHT = 720, 200
TICKS = 4
"""Parts into which time is divided."""


@dataclass(frozen=True, slots=True)
class StepPlot:
    """What csms/charging_limits_part.html draws; `top` is the highest limit with its unit."""

    ours: str
    """Paths as SVG takes them; gaps where there is no limit."""
    theirs: str
    areas: tuple[tuple[str, str], ...]
    """Left edge and width of each difference."""
    top: str
    middle: str
    times: tuple[datetime, ...]
    width: int = WIDTH
    height: int = HEIGHT


def step_plot(
    ours: Composite, theirs: Composite | None, differing: list[Difference]
) -> StepPlot | None:
    """Both schedules over the time of ours; None when nothing limits."""
    drawn = [schedule for schedule in (ours, theirs) if schedule is not None]
    limits = [p.limit for schedule in drawn for p in schedule.periods if p.limit is not None]
    if not limits:
        return None
    top = max(*limits, Decimal(1))
    scale = HEIGHT / (top * Decimal("1.1"))
    step = (ours.end - ours.start) / TICKS
    unit = ours.unit.value
    return StepPlot(
        ours=_path(ours, ours, scale),
        theirs=_path(theirs, ours, scale) if theirs else "",
        areas=tuple(
            (f"{_x(one.begin, ours):.1f}", f"{_x(one.end, ours) - _x(one.begin, ours):.1f}")
            for one in differing
        ),
        top=f"{top.normalize():f} {unit}",
        middle=f"{(top / 2).normalize():f} {unit}",
        times=tuple(ours.start + step * number for number in range(TICKS + 1)),
    )


def _x(moment: datetime, frame: Composite) -> float:
    part = (moment - frame.start) / (frame.end - frame.start)
    return min(max(part, 0.0), 1.0) * WIDTH


def _path(schedule: Composite, frame: Composite, scale: Decimal) -> str:
    """A line at each limit, joined where one follows another."""
    steps = []
    joined = False
    for begin, end, period in schedule.spans():
        left, right = (
            _x(schedule.start + timedelta(seconds=offset), frame) for offset in (begin, end)
        )
        if period.limit is None or left == right:  # no limit, or not in the frame
            joined = False
            continue
        steps.append(f"{'L' if joined else 'M'}{left:.1f} {_y(period.limit, scale)}H{right:.1f}")
        joined = True
    return "".join(steps)


def _y(limit: Decimal, scale: Decimal) -> str:
    return f"{HEIGHT - limit * scale:.1f}"
