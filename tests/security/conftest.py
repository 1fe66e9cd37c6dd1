"""A central system behind a proxy that tells of TLS, so that every peer can come to it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings

if TYPE_CHECKING:
    from tests.running import System
    from tests.security.door import Door


@pytest.fixture(autouse=True)
def light_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def no_memory() -> None:
    """What failed in another test is forgotten."""
    from csms.services import admission, security_events

    security_events.forget()
    admission.attempts.clear()
    admission.forget()


@pytest.fixture(scope="module")
def guarded(django_db_setup: None) -> "Iterator[System]":
    """Started once for the tests of a file."""
    from tests.running import running

    with running(
        CSMS_TRUSTED_PROXIES="127.0.0.0/8",
        CSMS_TRUSTED_NETWORKS="192.0.2.0/24",
        CSMS_OPERATOR_NAME="Example Operator",
        CSMS_SOAP_CALLBACK_NETWORKS="127.0.0.0/8,198.51.100.0/24",
        CSMS_CALL_TIMEOUT="5",
    ) as system:
        yield system


@pytest.fixture
def door(guarded: "System", transactional_db: None) -> "Iterator[Door]":
    """Where charge points knock."""
    from tests.security.door import Door

    yield Door(guarded)
    guarded.settle()
