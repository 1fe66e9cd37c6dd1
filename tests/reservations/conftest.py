"""A running central system, a browser, callers of the REST API, for the tests of this folder."""

from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, light_hashes, reader
from tests.browser.conftest import browser, pytest_configure, visitor
from tests.certification.conftest import case
from tests.fixtures import lasting_system, system
from tests.operations.conftest import commanded

if TYPE_CHECKING:
    from csms.models import ChargePoint
    from tests.reservations.desk import Desk

__all__ = [
    "api",
    "browser",
    "case",
    "commanded",
    "lasting_system",
    "light_hashes",
    "pytest_configure",
    "reader",
    "system",
    "visitor",
]


@pytest.fixture
def desk(db: None) -> "Desk":
    """Somebody who reserves, and a charge point that answers, in a time of their own."""
    from tests.reservations.desk import Desk  # models: Django is set up by now

    return Desk()


@pytest.fixture
def charger(db: None) -> "ChargePoint":
    """One with two connectors."""
    from tests import factories

    row = factories.charge_point(identity="CP-1", connected=True)
    factories.connector(row, 1)
    factories.connector(row, 2, status="Charging")
    return row
