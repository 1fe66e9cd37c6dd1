"""Who is let in, and what they may do: a token acts as its user, with the user's permissions."""

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from csms.api.errors import Refusal
from csms.models import ApiToken
from csms.services.threads import in_thread
from csms.services.tokens import token_find


class TokenAccess(HttpBearer):
    """`Authorization: Bearer csms_…`."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        return token_find(text=token, now=timezone.now())


class WaitingTokenAccess(HttpBearer):
    """The same for asynchronous views; its thread gives the database connection back."""

    async def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        return await in_thread(token_find, text=token, now=timezone.now())


def token_of(request: HttpRequest) -> ApiToken:
    """The token with which a request was let in."""
    token: ApiToken = request.auth  # type: ignore[attr-defined]
    return token


def user_of(request: HttpRequest) -> User:
    return token_of(request).user


def name_of(request: HttpRequest) -> str:
    """Who asks, for the records."""
    return f"API: {token_of(request).name}"


def require(request: HttpRequest, permission: str) -> None:
    """Refuse with 403 unless the token's user has a permission, such as `view_command`."""
    require_of(token_of(request), permission)


def require_of(token: ApiToken, permission: str) -> None:
    if not token.user.has_perm(f"csms.{permission}"):
        raise Refusal(403, f"This token's user lacks the permission {permission}.")
