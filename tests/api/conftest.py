"""Clients of the REST API, each with a token of certain permissions."""

from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings

from tests.fixtures import lasting_system, system

if TYPE_CHECKING:
    from tests.api.caller import Caller

__all__ = ["lasting_system", "system"]


@pytest.fixture(autouse=True)
def light_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def api(db: None) -> "Caller":
    """Somebody who may do everything that the API offers."""
    from tests.api.caller import caller  # models: Django is set up after this file is read

    return caller("all")


@pytest.fixture
def reader(db: None) -> "Caller":
    """Somebody who may look only."""
    from tests.api.caller import caller

    return caller("read")
