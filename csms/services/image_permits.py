"""Whether somebody may add firmware images, told by the headers of a request alone."""

from http.cookies import CookieError, SimpleCookie

from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from csms.services.sessions import session_over
from csms.services.tokens import token_find

PERMISSION = "csms.add_firmwareimage"


def may_add_images(*, cookies: str, authorization: str) -> bool:
    """Whether the token or the session of a request belongs to somebody who may."""
    kind, _, text = authorization.partition(" ")
    if kind.casefold() == "bearer":
        token = token_find(text=text.strip(), now=timezone.now())
        return token is not None and token.user.has_perm(PERMISSION)
    try:
        cookie = SimpleCookie(cookies).get(django_settings.SESSION_COOKIE_NAME)
    except CookieError:
        return False
    if cookie is None:
        return False
    session = SessionStore(cookie.value)
    key = session.get(SESSION_KEY)
    if key is None or session_over(session):
        return False
    user = User.objects.filter(pk=key, is_active=True).first()
    return user is not None and user.has_perm(PERMISSION)
