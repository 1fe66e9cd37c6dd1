"""Secrets of commands that wait: encrypted beside the command, until it has ended (WP A01.FR.09).

The key is derived from Django's SECRET_KEY, which is not in the database: a copy of the database
tells no secrets.
"""

import base64
import json
from functools import cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE = b"csms: secrets of commands"
"""Makes another key of the same SECRET_KEY than any other use of it."""


class CannotOpen(ValueError):
    """Its secret cannot be read any more, since the secret key of this system was changed."""


@cache
def _fernet(secret_key: str) -> Fernet:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE)
    return Fernet(base64.urlsafe_b64encode(derive.derive(secret_key.encode())))


def seal(payload: dict[str, Any]) -> str:
    """A payload as only `unseal` can read it."""
    return _fernet(settings.SECRET_KEY).encrypt(json.dumps(payload).encode()).decode()


def unseal(sealed: str) -> dict[str, Any]:
    """The payload that was sealed. Raises CannotOpen."""
    try:
        opened = _fernet(settings.SECRET_KEY).decrypt(sealed.encode())
    except InvalidToken:
        raise CannotOpen(CannotOpen.__doc__) from None
    payload: dict[str, Any] = json.loads(opened)
    return payload
