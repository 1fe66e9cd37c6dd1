"""Fixtures of the OCPP-J edge."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.ocpp_json.house import House


@pytest.fixture
async def house() -> "AsyncIterator[House]":
    """A running JsonServer whose inbox and admission the test holds."""
    from tests.ocpp_json.house import House  # once Django is set up

    house = House()
    await house.server.start("127.0.0.1", 0)
    yield house
    house.inbox.may_decide.set()
    await house.server.close()
