"""Light hashes and requests for tests about who may do what."""

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def light_requests(settings: Settings) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "servestatic" not in name]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
