"""Whether a charge point's clock can be believed."""

from datetime import UTC, datetime, timedelta

EARLIEST_PLAUSIBLE = datetime(2010, 1, 1, tzinfo=UTC)
FUTURE_TOLERANCE = timedelta(days=1)


def plausible(moment: datetime, now: datetime) -> bool:
    """Some clocks are in 1970, some in 2099, some write local time as UTC (F16)."""
    return EARLIEST_PLAUSIBLE <= moment <= now + FUTURE_TOLERANCE
