"""People who log in: users with roles, their browsers, their authenticator apps."""

import time
from base64 import b32decode
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from csms import conf
from csms.services.two_factor import enrolment_begin, enrolment_end

LOGIN = "/admin/login/"
CHALLENGE = "/admin/two-factor/"
ENROL = "/admin/two-factor/set-up/"
ACCOUNT = "/admin/two-factor/account/"


def somebody(role: str = "admin", name: str = "ann") -> User:
    """A user with a role, who may log in; the password is the name."""
    user = User.objects.create_user(name, password=name, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def log_in(client: Client, name: str = "ann", password: str = "", **headers: Any) -> Any:
    """The answer to user name and password."""
    return client.post(LOGIN, {"username": name, "password": password or name}, **headers)


def app_code(device: TOTPDevice, later: int = 0) -> str:
    """What the app shows now, or some steps of 30 s later."""
    return f"{totp(device.bin_key, t0=-30 * later):06}"


def code_of_key(text: str) -> str:
    """What an app shows into which this key was typed."""
    key = b32decode(text.replace(" ", "") + "=" * (-len(text.replace(" ", "")) % 8))
    return f"{totp(key):06}"


def enrolled(user: User) -> tuple[TOTPDevice, list[str]]:
    """The user's app, set up, and the backup codes. The app's next code is one step later."""
    device = enrolment_begin(user=user)
    codes = enrolment_end(user=user, code=app_code(device), session_key=None)
    return TOTPDevice.objects.get(user=user), codes


class Patience:
    """Lets time pass for sessions and settings."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._now = time.time()

    def wait(self, **length: float) -> None:
        self._now += length.get("seconds", 0) + 60 * length.get("minutes", 0)
        now = self._now
        self._patch.setattr("csms.services.sessions.time.time", lambda: now)


def configured(patch: pytest.MonkeyPatch, **environment: str) -> None:
    """Read the settings again, with these."""
    for name, value in environment.items():
        patch.setenv(name, value)
    conf.settings.cache_clear()
