"""A running central system with honest charge points beside whoever attacks it."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.fixtures import lasting_system, system

if TYPE_CHECKING:
    from tests.hostile.knocking import Honest
    from tests.running import System

__all__ = ["lasting_system", "system"]


@pytest.fixture
def honest(system: "System", caplog: pytest.LogCaptureFixture) -> "Iterator[Honest]":
    """Charge points of both transports whose sessions go on whatever happens beside them."""
    from tests.hostile.knocking import Honest  # models: Django is set up after this file is read

    with caplog.at_level(logging.INFO):
        neighbours = Honest(system)
        yield neighbours
        neighbours.go_on()
    assert "Traceback" not in caplog.text
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
