"""The invariants of `orders.py` at the door of the services.

With `CSMS_TEST_EXAMPLES=2000` in the environment it looks longer.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.orders import Orders

EXAMPLES = int(os.environ.get("CSMS_TEST_EXAMPLES", "25"))


@pytest.mark.django_db
def test_any_order() -> None:
    """So many examples of up to 40 steps; the same ones in every short run."""
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        deadline=None,
        derandomize=EXAMPLES <= 25,
        phases=(Phase.explicit, Phase.generate),  # the steps are told as they were found
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Orders, settings=how)
