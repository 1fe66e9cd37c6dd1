"""Each frame of the field (quirks of real chargers) through the real edges of a running system.

The table is `CHECKS`: number of the frame → what is asserted, in the docstring of its check.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.field import answers, calls, charging, envelopes
from tests.field.bench import CHECKS, Field

if TYPE_CHECKING:
    from tests.running import System

__all__ = ["answers", "calls", "charging", "envelopes"]

pytestmark = pytest.mark.contract


@pytest.fixture
def field(system: "System", contracts: Path, field_frames: list[dict[str, Any]]) -> Field:
    return Field(system, contracts, {frame["id"]: frame for frame in field_frames})


@pytest.mark.parametrize("number", sorted(CHECKS), ids=str)
def test_frame(field: Field, number: int) -> None:
    CHECKS[number](field)


def test_each_frame_has_a_check(field_frames: list[dict[str, Any]]) -> None:
    assert sorted(CHECKS) == sorted(frame["id"] for frame in field_frames)
