"""The second factor of the admin's login: a code of an authenticator app (TOTP, RFC 6238), or one
of the backup codes that are made with it, each good for one login.

django-otp keeps the devices and checks the codes; after wrong ones it makes the device wait, twice
as long each time.
"""

import math
from base64 import b32encode
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from csms.conf import settings
from csms.models import AuditAction
from csms.services import audit
from csms.services.actors import actor
from csms.services.secrets import MASK
from csms.services.security_events import event_keep
from csms.services.sessions import sessions_end

OWED = "csms_second_factor_owed"
"""Key of a session: whether the second factor is still owed. A session without it owes one."""

BACKUP_CODES = 10
DIGITS = 6
"""Of a code of the app; backup codes are longer."""
NAME = "Authenticator app"


class CodeRefused(ValueError):
    """The code is wrong, or it is too early for another try; the message says which."""


def is_enrolled(user: User) -> bool:
    """Whether a user has a second factor."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def is_owed(user: User) -> bool:
    """Whether a user who has just given the password owes a second factor, or has to set one up."""
    return settings().two_factor == "required" or is_enrolled(user)


def enrolment_begin(*, user: User) -> TOTPDevice:
    """The app that a user is about to set up; the same one until the first code was right."""
    device, _ = TOTPDevice.objects.get_or_create(
        user=user, confirmed=False, defaults={"name": NAME}
    )
    return device


def key_text(device: TOTPDevice) -> str:
    """The key as people type it into an app: base 32, in groups of four."""
    text = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def enrolment_end(*, user: User, code: str, session_key: str | None) -> list[str]:
    """The first code of the app: it is set up from now on; the backup codes, shown this once.

    The user's other sessions end, since they were begun without it. Raises CodeRefused.
    """
    device = enrolment_begin(user=user)
    _check(device, _plain(code), "This code is wrong. Is the clock of the phone right?")
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=True).exclude(pk=device.pk).delete()
        device.confirmed = True
        device.save()
        codes = backup_codes_new(user=user)
    sessions_end(user=user, but=session_key)
    return codes


def code_check(*, user: User, code: str) -> None:
    """Take a code of the app, or a backup code, which is over then. Raises CodeRefused."""
    plain = _plain(code)
    model: Any = TOTPDevice if len(plain) == DIGITS else StaticDevice
    device = model.objects.filter(user=user, confirmed=True).first()
    try:
        if device is None:
            raise CodeRefused("This code is wrong.")
        _check(device, plain, "This code is wrong, or was used already.")
    except CodeRefused:
        _tell_of_wrong_code(user)
        raise


def _tell_of_wrong_code(user: User) -> None:
    """Whoever gave it knows the password: a security event."""
    event_keep(
        identity="",
        kind="WrongSecondFactor",
        info=f"user {user.get_username()}",
        remote_address=actor().remote_address,
        now=timezone.now(),
    )


def _plain(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()


def _check(device: Any, plain: str, refusal: str) -> None:
    with transaction.atomic():  # the row is locked: one code, one login
        locked = type(device).objects.select_for_update().get(pk=device.pk)
        allowed, why = locked.verify_is_allowed()
        fits = allowed and locked.verify_token(plain)
    device.refresh_from_db()
    if fits:
        return
    if not allowed:
        left = (why["locked_until"] - timezone.now()).total_seconds()
        raise CodeRefused(f"Too many wrong codes: try again in {max(math.ceil(left), 1)} s.")
    raise CodeRefused(refusal)


def backup_codes_new(*, user: User) -> list[str]:
    """Make backup codes; those made before are over."""
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        device = StaticDevice.objects.create(user=user, name="Backup codes")
        codes = [StaticToken.random_token() for _ in range(BACKUP_CODES)]
        StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
        audit.entry_add(
            action=AuditAction.CHANGED, subject=user, changes={"backup codes": ["", MASK]}
        )
    return codes


def backup_codes_left(user: User) -> int:
    """How many backup codes a user has not used yet."""
    return int(StaticToken.objects.filter(device__user=user).count())


def two_factor_remove(*, user: User) -> None:
    """A user's second factor is over, with its backup codes."""
    with transaction.atomic():
        for device in TOTPDevice.objects.filter(user=user):
            device.delete()
        StaticDevice.objects.filter(user=user).delete()


def two_factor_reset(*, user: User) -> None:
    """For who has lost app and backup codes: the password alone is enough again (or, when it is
    required, leads to setting it up anew), and the user is signed out everywhere."""
    two_factor_remove(user=user)
    sessions_end(user=user)
