"""What must not be given up because the database was away for a moment."""

import asyncio

import pytest
from django.db import InternalError, OperationalError

from csms.services import outages
from csms.services.outages import patiently


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "PAUSES", (0.0, 0.0))


class Work:
    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tries = 0

    def __call__(self, *, value: int) -> int:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        return value


def test_tried_again_after_outages() -> None:
    work = Work(OperationalError("locked"), InternalError("read-only"))
    assert asyncio.run(patiently(work, value=7)) == 7
    assert work.tries == 3


def test_an_outage_that_lasts_is_raised() -> None:
    work = Work(*(OperationalError("gone") for _ in range(9)))
    with pytest.raises(OperationalError):
        asyncio.run(patiently(work, value=7))
    assert work.tries == 3


def test_other_errors_are_raised_at_once() -> None:
    work = Work(ValueError("ours"))
    with pytest.raises(ValueError, match="ours"):
        asyncio.run(patiently(work, value=7))
    assert work.tries == 1
