"""Fixtures around a running central system; conftest files of the folders that want them import
them. Django is not set up when this file is read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.running import System

__all__ = ["lasting_system", "system"]


@pytest.fixture(scope="module")
def lasting_system(django_db_setup: None) -> "Iterator[System]":
    """Started once for the tests of a file; `system` is what tests ask for."""
    from tests.running import running

    with running(CSMS_SOAP_CALLBACK_NETWORKS="127.0.0.0/8", CSMS_CALL_TIMEOUT="5") as system:
        yield system


@pytest.fixture
def system(lasting_system: "System", transactional_db: None) -> "Iterator[System]":
    """A running central system without charge points, over the test's database."""
    from csms.services import admission

    admission.forget()
    yield lasting_system
    lasting_system.settle()
