"""Passwords of charge points: how they are kept, checked and rotated (WP A00, A01).

A password that a person chose is kept as Django's slow hash. A key has 16 to 20 random bytes, which
nobody guesses: a salted HMAC-SHA-256 is enough for it, and 5,000 charge points that reconnect at
once cost milliseconds instead of minutes (F11).
"""

import contextlib
import hashlib
import hmac
import re
import secrets

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction

from csms.models import AuditAction, ChargePoint, Command
from csms.services import audit, bus
from csms.services.commands import KEY_NAME
from csms.services.secrets import MASK

KEY_BYTES = 20
"""WP A00.FR.205: 16 to 20 random bytes, sent as 32 to 40 hexadecimal digits."""

FAST = "hmac_sha256"
DIGITS = "hex$"
"""Begins the slow hash of hexadecimal digits that nobody drew; that of others begins otherwise."""
FEWEST = 9
"""Different bytes of a key that was drawn: one in 10^9 of those has fewer."""

_KEY = re.compile(r"(?:[0-9A-Fa-f]{2}){16,20}")


def key_new() -> bytes:
    """A new key (N3)."""
    return secrets.token_bytes(KEY_BYTES)


def key_encoded(key: bytes) -> str:
    """A random key as it is kept: `hmac_sha256$salt$digest`."""
    salt = secrets.token_hex(16)
    return f"{FAST}${salt}${_digest(salt, key)}"


def password_encoded(password: str) -> str:
    """A password as it is kept; empty for none. 32 to 40 hexadecimal digits are a key (N3); such as
    `1234…` can be guessed, and are kept as what a person chose."""
    if not _KEY.fullmatch(password):
        return make_password(password) if password else ""
    key = bytes.fromhex(password)
    if len(set(key)) < FEWEST or password.isdecimal():
        return DIGITS + make_password(key.hex())
    return key_encoded(key)


def given_encoded(password: bytes) -> str:
    """A password as a charge point gave it, to be kept: as a person's, if it is text."""
    try:
        return password_encoded(password.decode())
    except UnicodeDecodeError:
        return key_encoded(password)


def _digest(salt: str, key: bytes) -> str:
    return hmac.new(bytes.fromhex(salt), key, hashlib.sha256).hexdigest()


def is_slow(encoded: str) -> bool:
    """Whether to check a password against this takes long."""
    return bool(encoded) and not encoded.startswith(f"{FAST}$")


def is_key(encoded: str) -> bool:
    """Whether this was made of random bytes that nobody guesses."""
    return encoded.startswith(f"{FAST}$")


def password_fits(encoded: str, given: bytes) -> bool:
    """Whether a password is the one that is kept.

    A key is taken as its raw bytes and as its hexadecimal text in any case: both are seen (N3).
    """
    if not encoded or not given:
        return False
    if is_slow(encoded):
        try:
            text = given.decode()
        except UnicodeDecodeError:
            text = ""
        if encoded.startswith(DIGITS):
            text = text.lower() if _KEY.fullmatch(text) else given.hex()
        return bool(text) and check_password(text, encoded.removeprefix(DIGITS))
    _, salt, digest = encoded.split("$")
    candidates = [given]
    with contextlib.suppress(ValueError):  # no hexadecimal text: raw bytes only
        candidates.append(bytes.fromhex(given.decode("ascii")))
    return any(hmac.compare_digest(_digest(salt, key), digest) for key in candidates)


# ---------------------------------------------------------------------------- rotation


def rotation_obstacle(charge_point: ChargePoint) -> str:
    """Why no new key can be sent now; empty when one can.

    While it is not known which of two keys a charge point holds, a third would take the place of
    the pending one, which may be the one it holds. Its next connection tells.
    """
    if not charge_point.pending_password or charge_point.connected_at is None:
        return ""
    doubtful = Command.objects.filter(
        charge_point=charge_point,
        action="ChangeConfiguration",
        payload__key__iexact=KEY_NAME,
        sent_at__gte=charge_point.connected_at,
    )
    if not doubtful.exists():
        return ""
    return (
        "It is not known yet whether the charge point took the last key: "
        "another one can be sent when it has connected again (a Reset makes it)."
    )


def rotation_begin(charge_point: ChargePoint) -> str:
    """Make the key that is about to be sent, as hexadecimal text; its hash is kept as pending.

    Until the outcome is known the old password and the new key are both valid (N4).
    """
    key = key_new()
    charge_point.pending_password = key_encoded(key)
    charge_point.save(update_fields=["pending_password"])
    return key.hex()


def rotation_end(charge_point: ChargePoint, *, status: str) -> None:
    """Accepted: the old key is refused from now on. RebootRequired: both. Else the old stays.

    N4. Both stay when no answer came; nothing is called then.
    """
    if status == "Accepted":
        rotation_seen(charge_point)
    elif status != "RebootRequired":
        _settle(charge_point, charge_point.password)


def rotation_seen(charge_point: ChargePoint) -> None:
    """The charge point has the pending key, as it said or by logging in: the old one is over.

    A login with the old one says less (it may have to reboot first) and ends nothing.
    """
    _settle(charge_point, charge_point.pending_password)


def _settle(charge_point: ChargePoint, password: str) -> None:
    """Keep one password, unless somebody has set another one meanwhile."""
    pending = charge_point.pending_password
    if not pending:
        return
    rows = ChargePoint.objects.filter(pk=charge_point.pk, pending_password=pending)
    with transaction.atomic():
        if not rows.update(password=password, pending_password=""):
            return
        before = MASK if charge_point.password else ""
        charge_point.password, charge_point.pending_password = password, ""
        if password == pending:
            audit.entry_add(
                action=AuditAction.CHANGED,
                subject=charge_point,
                changes={"password": [before, MASK]},
            )
        # Logins with another one are no longer remembered.
        transaction.on_commit(lambda: bus.publish("charge_points"))
