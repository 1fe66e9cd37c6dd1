"""A running central system, a browser, callers of the REST API, for the tests of this folder."""

from typing import TYPE_CHECKING

import pytest

from tests.certification.conftest import case
from tests.subjects import *  # noqa: F403

if TYPE_CHECKING:
    from tests.reservations.desk import Desk

__all__ = ["case"]


@pytest.fixture
def desk(db: None) -> "Desk":
    """Somebody who reserves, and a charge point that answers, in a time of their own."""
    from tests.reservations.desk import Desk  # models: Django is set up by now

    return Desk()
