"""What the tests of several subjects share: a running central system, a browser, callers of the
REST API, a charge point. The conftest.py of their folders take all of it."""

from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, light_hashes, reader
from tests.browser.conftest import browser, pytest_configure, visitor
from tests.fixtures import lasting_system, system
from tests.operations.conftest import commanded

if TYPE_CHECKING:
    from csms.models import ChargePoint

__all__ = [
    "api",
    "browser",
    "charger",
    "commanded",
    "lasting_system",
    "light_hashes",
    "pytest_configure",
    "reader",
    "system",
    "visitor",
]


@pytest.fixture
def charger(db: None) -> "ChargePoint":
    """One that is connected, with two connectors, of which one is in use."""
    from tests import factories  # models: Django is set up by now

    row = factories.charge_point(identity="CP-1", connected=True)
    factories.connector(row, 1)
    factories.connector(row, 2, status="Charging")
    return row
