"""A running central system, and a charge point of each transport that begins each case."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.fixtures import lasting_system, system

if TYPE_CHECKING:
    from tests.certification.case import Case
    from tests.running import System

__all__ = ["case", "json_case", "lasting_system", "system"]

pytest.register_assert_rewrite("tests.certification.case")


@pytest.fixture(params=["json", "soap"])
def case(request: pytest.FixtureRequest, system: "System") -> "Iterator[Case]":
    """A charge point that has booted, over each transport."""
    from tests.certification.case import begun

    with begun(system, request.param) as case:
        yield case


@pytest.fixture
def json_case(system: "System") -> "Iterator[Case]":
    """The same, over JSON only: for what does not exist over SOAP."""
    from tests.certification.case import begun

    with begun(system, "json") as case:
        yield case
