"""Tokens of the REST API: made, found, revoked.

A token is 32 random bytes, so that a plain SHA-256 of it may be kept: there is nothing to guess.
"""

import hashlib
import re
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from csms.models import ApiToken
from csms.models.commands import permission_of
from csms.ocpp.base import Role
from csms.ocpp.registry import ACTIONS
from csms.services.actors import actor
from csms.services.roles import ROLES
from csms.services.security_events import event_keep

PREFIX = "csms_"
"""Begins every token, so that scanners for leaked secrets can know it."""

USE_RESOLUTION = timedelta(minutes=1)
"""`last_used_at` is written at most this often."""

_NAME = re.compile(r"[\w.@+-]{1,100}")

_VIEW = (
    "view_chargepoint",
    "view_command",
    "view_commandbatch",
    "view_chargingprofiletemplate",
    "view_configurationkey",
    "view_configurationtemplate",
    "view_connector",
    "view_firmwareimage",
    "view_idtag",
    "view_installedprofile",
    "view_locallist",
    "view_metervalue",
    "view_reservation",
    "view_rollout",
    "view_rolloutitem",
    "view_transaction",
    "view_unknowntransfer",
    "view_upload",
    "view_webhookevent",
)
_SEND = tuple(
    permission_of(name)
    for name, request in ACTIONS.items()
    if Role.CENTRAL_SYSTEM in request.senders
)
_CHANGE = (
    *(
        f"{verb}_{model}"
        for verb in ("add", "change")
        for model in ("chargepoint", "chargingprofiletemplate", "configurationtemplate", "idtag")
    ),
    "add_firmwareimage",
    "add_rollout",
    "change_firmwareimage",
    "delete_chargingprofiletemplate",
    "delete_firmwareimage",
    "delete_configurationtemplate",
    "change_webhookevent",
    *(f"{verb}_webhooksubscription" for verb in ("view", "add", "change", "delete")),
)

GRANTS: dict[str, tuple[str, ...]] = {
    "read": _VIEW,
    "operate": (*_VIEW, *_SEND),
    "all": (*_VIEW, *_SEND, *_CHANGE),
}
"""What a token's own user may be given: name → permissions of the API."""


class TokenInvalid(ValueError):
    """The token cannot be made as described; the message says why."""


def token_add(
    *,
    name: str,
    user: User | None = None,
    can: str = "read",
    role: str = "",
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token; its row, and its text, which is kept nowhere.

    It acts as `user`, or as a new user `api-NAME` who cannot log in and has a `role` (of ROLES) or
    the permissions that `can` names: one of GRANTS, or names of permissions by comma.
    Raises TokenInvalid.
    """
    if not _NAME.fullmatch(name):
        raise TokenInvalid("A name has 1 to 100 letters, digits and any of . @ + - _")
    if expires_at is not None and expires_at <= timezone.now():
        raise TokenInvalid("The time of expiry has passed.")
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        if ApiToken.objects.filter(name=name).exists():
            raise TokenInvalid(f"There is a token {name} already.")
        token = ApiToken.objects.create(
            name=name,
            digest=_digest(text),
            user=user or _user_add(name, can, role),
            expires_at=expires_at,
        )
    return token, text


def _user_add(name: str, can: str, role: str) -> User:
    username = f"api-{name}"
    if User.objects.filter(username=username).exists():
        raise TokenInvalid(f"There is a user {username} already: name one to act as.")
    user = User(username=username)
    user.set_unusable_password()
    user.save()
    if role:
        user.groups.add(_role(role))
    else:
        user.user_permissions.set(_permissions(can))
    return user


def _role(name: str) -> Group:
    if name not in ROLES:
        raise TokenInvalid(f"{name} is no role; there are {', '.join(ROLES)}.")
    return Group.objects.get(name=name)


def _permissions(can: str) -> "QuerySet[Permission]":
    names = GRANTS.get(can) or tuple(part.strip() for part in can.split(",") if part.strip())
    rows = Permission.objects.filter(content_type__app_label="csms", codename__in=names)
    unknown = sorted(set(names) - set(rows.values_list("codename", flat=True)))
    if unknown or not names:
        raise TokenInvalid(
            f"{unknown[0] if unknown else can!r} is no permission: say {', '.join(GRANTS)}, or "
            "names such as view_chargepoint,send_reset."
        )
    return rows


def token_find(*, text: str, now: datetime) -> ApiToken | None:
    """The valid token of this text with its user, noting that it was used; None, and a security
    event: there is none."""
    token = ApiToken.objects.select_related("user").filter(digest=_digest(text)).first()
    if token is None or (over := _over(token, now)):
        event_keep(
            identity="",
            kind="InvalidApiToken",
            info="no such token" if token is None else f"{token.name} {over}",
            remote_address=actor().remote_address,
            now=now,
        )
        return None
    if token.last_used_at is None or now - token.last_used_at >= USE_RESOLUTION:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def _over(token: ApiToken, now: datetime) -> str:
    """Why a token lets nobody in any more; empty while it does."""
    if token.revoked:
        return "is revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "has expired"
    return "" if token.user.is_active else "acts as a user who is not active"


def token_revoke(*, token: ApiToken) -> None:
    """From now on nobody is let in with this token."""
    token.revoked = True
    token.save(update_fields=["revoked"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
