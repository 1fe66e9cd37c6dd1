"""Secrets beside the commands that wait: only the same secret key opens them."""

import pytest
from django.conf import LazySettings

from csms.services.sealing import CannotOpen, seal, unseal

PAYLOAD = {"key": "SimPIN", "value": "canary 🐤"}


def test_what_was_sealed_is_unsealed() -> None:
    sealed = seal(PAYLOAD)
    assert "canary" not in sealed
    assert unseal(sealed) == PAYLOAD
    assert seal(PAYLOAD) != sealed, "the same secret is not recognised"


@pytest.mark.parametrize("text", ["", "nonsense", "gAAAAA==", "•••"])
def test_what_was_not_sealed_is_refused(text: str) -> None:
    with pytest.raises(CannotOpen):
        unseal(text)


def test_another_secret_key_opens_nothing(settings: LazySettings) -> None:
    sealed = seal(PAYLOAD)
    settings.SECRET_KEY = "another"
    with pytest.raises(CannotOpen, match="secret key of this system was changed"):
        unseal(sealed)
