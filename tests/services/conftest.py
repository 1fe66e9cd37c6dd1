"""A house for each test, and hashes that cost nothing."""

from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings

if TYPE_CHECKING:
    from tests.services.harness import House


@pytest.fixture
def house() -> "House":
    from tests.services.harness import House  # models: Django is set up after this file is read

    return House()


@pytest.fixture(autouse=True)
def light_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
