"""A running central system, and the services alone, for the tests of this folder."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.fixtures import lasting_system, system

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded
    from tests.running import System

__all__ = ["commanded", "lasting_system", "system", "watching"]


@pytest.fixture
def watching(system: "System") -> "Iterator[None]":
    """Effects are looked for as `manage.py serve` does."""
    import asyncio

    from csms.services.clock import watch_effects

    task = asyncio.run_coroutine_threadsafe(watch_effects(), system.loop)
    yield
    task.cancel()


@pytest.fixture
def commanded() -> "Commanded":
    """A charge point at the door of the services, with a clock of its own."""
    from tests.operations.commanded import Commanded  # models: Django is set up by now

    return Commanded()
