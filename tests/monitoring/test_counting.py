"""What counting costs the inbox's worker."""

import time
from datetime import UTC, datetime

import pytest

from csms.ocpp.errors import SecurityViolation, Unavailable
from csms.services.decide import Incoming, Outcome, Superseded
from csms.services.metrics import Histogram, Meters, result_label

MOST_MICROSECONDS = 2.0
ACTIONS = ("Heartbeat", "MeterValues", "StatusNotification", "StartTransaction", "Invented")


class Job:
    """An answered message, as the inbox has it."""

    def __init__(self, number: int) -> None:
        self.incoming = Incoming(
            charger=None,
            identity=f"CP-{number}",
            transport="soap" if number % 2 else "json",
            action=ACTIONS[number % len(ACTIONS)],
            message_id=str(number),
            raw="",
            request=None,
            encode=str,
            received_at=datetime.now(UTC),
        )
        self.started = time.monotonic()
        self.result: Outcome | BaseException | None = Outcome("", None, None)


@pytest.mark.parametrize("size", [8, 128])
def test_cost_of_a_message(size: int) -> None:
    """Measured in processor time of this thread, the best of many rounds."""
    jobs = [Job(number) for number in range(size)]
    counting = Meters()
    costs = []
    for _ in range(40):
        begun = time.thread_time()
        for _ in range(1024 // size):
            counting.batch(jobs, 0.0, time.monotonic())
        costs.append((time.thread_time() - begun) / 1024)
    assert min(costs) * 1e6 < MOST_MICROSECONDS


def test_histogram() -> None:
    """Bounds are inclusive, as Prometheus' `le` says."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.add(value)
    histogram.add_since([5.0, 6.5], 7.0)
    assert histogram.counts == [3, 2, 1]
    assert histogram.total == pytest.approx(14.5)


def test_results_are_those_of_the_protocol_errors() -> None:
    class OfAnEdge(SecurityViolation):
        pass

    assert result_label(type(None)) == "accepted"
    assert result_label(OfAnEdge) == "SecurityViolation"
    assert result_label(Unavailable) == "Unavailable"
    assert result_label(Superseded) == "other"
