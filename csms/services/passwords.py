"""Passwords of charge points: how they are kept, checked and rotated (WP A00, A01).

A password that a person chose is kept as Django's slow hash. A key that we make has 20 random
bytes, which nobody guesses: a salted HMAC-SHA-256 is enough for it, and 5,000 charge points that
reconnect at once cost milliseconds instead of minutes (F11).
"""

import contextlib
import hashlib
import hmac
import secrets

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction

from csms.models import ChargePoint
from csms.services import bus

KEY_BYTES = 20
"""WP A00.FR.205: 16 to 20 random bytes, sent as 32 to 40 hexadecimal digits."""

FAST = "hmac_sha256"


def key_new() -> bytes:
    """A new key (N3)."""
    return secrets.token_bytes(KEY_BYTES)


def key_encoded(key: bytes) -> str:
    """A random key as it is kept: `hmac_sha256$salt$digest`."""
    salt = secrets.token_hex(16)
    return f"{FAST}${salt}${_digest(salt, key)}"


def password_encoded(password: str) -> str:
    """A password of a person as it is kept; empty for none."""
    return make_password(password) if password else ""


def _digest(salt: str, key: bytes) -> str:
    return hmac.new(bytes.fromhex(salt), key, hashlib.sha256).hexdigest()


def password_fits(encoded: str, given: bytes) -> bool:
    """Whether a password is the one that is kept.

    A key is taken as its raw bytes and as its hexadecimal text in any case: both are seen (N3).
    """
    if not encoded or not given:
        return False
    if not encoded.startswith(f"{FAST}$"):
        return check_password(given.decode("utf-8", "replace"), encoded)
    _, salt, digest = encoded.split("$")
    candidates = [given]
    with contextlib.suppress(ValueError):  # no hexadecimal text: raw bytes only
        candidates.append(bytes.fromhex(given.decode("ascii")))
    return any(hmac.compare_digest(_digest(salt, key), digest) for key in candidates)


# ---------------------------------------------------------------------------- rotation


def rotation_begin(charge_point: ChargePoint) -> str:
    """Make the key that is about to be sent, as hexadecimal text; its hash is kept as pending.

    Until the outcome is known the old password and the new key are both valid (N4).
    """
    key = key_new()
    charge_point.pending_password = key_encoded(key)
    charge_point.save(update_fields=["pending_password"])
    return key.hex()


def rotation_end(charge_point: ChargePoint, *, status: str) -> None:
    """Accepted: the old key is refused from now on. RebootRequired: both. Else the old stays."""
    if not charge_point.pending_password or status == "RebootRequired":
        return
    if status == "Accepted":
        charge_point.password = charge_point.pending_password
    charge_point.pending_password = ""
    _saved(charge_point)


def rotation_seen(charge_point: ChargePoint) -> None:
    """The charge point has logged in with the pending key: it has it, and the old one is over."""
    charge_point.password = charge_point.pending_password
    charge_point.pending_password = ""
    _saved(charge_point)


def _saved(charge_point: ChargePoint) -> None:
    """Save the passwords; logins with another one are no longer remembered."""
    charge_point.save(update_fields=["password", "pending_password"])
    transaction.on_commit(lambda: bus.publish("charge_points"))
