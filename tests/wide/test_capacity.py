"""The formula of docs/scaling.md."""

import pytest

from bench.capacity import BUSY, Costs, Fleet, needs, said

COSTS = Costs(
    meter=300,
    meter_database=200,
    heartbeat=100,
    heartbeat_database=50,
    ping=20,
    connection=16,
    meter_row=700,
    meter_log=1000,
    heartbeat_log=500,
    session=600,
)


def test_what_a_fleet_needs() -> None:
    """86,400 chargers, a tenth of which charge: 144 readings, 86.4 beats, a session a second."""
    fleet = Fleet(
        chargers=86_400,
        charging=0.1,
        sample=60,
        heartbeat=1000,
        ping=100,
        sessions=1,
        log_days=10,
        meter_days=100,
    )
    found = needs(fleet, COSTS)
    assert found.messages == pytest.approx(144 + 86.4 + 6)
    assert found.cores * BUSY * 1e6 == pytest.approx(150 * 300 + 86.4 * 100 + 864 * 20)
    assert found.cores_database * BUSY * 1e6 == pytest.approx(150 * 200 + 86.4 * 50)
    assert found.memory == pytest.approx(86_400 * 16 / 1024)
    assert found.log == pytest.approx((150 * 1000 + 86.4 * 500) * 864_000 / 1e9)
    assert found.readings == pytest.approx(144 * 700 * 8_640_000 / 1e9)
    assert found.sessions == pytest.approx(365 * 86_400 * 600 / 1e9)


def test_each_figure_is_said() -> None:
    for figures in (COSTS, needs(Fleet(), COSTS)):
        assert len(said(figures).splitlines()) == len(figures.__dataclass_fields__)
