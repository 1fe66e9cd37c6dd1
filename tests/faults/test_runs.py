"""A short run of what `make faults` does at length."""

import pytest

from tests import servers
from tests.faults import report
from tests.faults.runs import Size, perform

SHORT = Size(rounds=5, messages=900, seconds=200, json=5, soap=3, between=1)
"""Each kill is followed by another fault: SIGTERM, SIGSTOP, all connections cut, half-open ones, a
clock that jumps."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "postgresql",
    [
        pytest.param(False, id="SQLite", marks=pytest.mark.sqlite),
        pytest.param(True, id="PostgreSQL", marks=pytest.mark.postgres),
    ],
)
def test_f1_short_run(postgresql: bool) -> None:
    """F1 and others: nothing that was acknowledged is lost, doubled or another's; energies agree;
    on PostgreSQL, where two processes share the fleet, no charger has two owners (F14)."""
    try:
        run = perform(SHORT, postgresql=postgresql)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    assert run.problems == [], report.as_text(run)
    assert run.verdict.attempts > run.verdict.messages  # something had to be sent again
    if run.left_out:
        pytest.skip(f"All was well, but for what was left out: {' '.join(run.left_out)}")
