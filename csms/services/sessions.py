"""Sessions of the admin: when they end, and how those of one user are ended."""

import time
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone

from csms.conf import settings

BEGUN, SEEN = "csms_begun", "csms_seen"
"""Keys of a session: Unix times (s) of the login and of the last page that was opened."""

RESOLUTION = 60
"""Seconds: use is written at most this often, so that pages do not fill the disk."""


def session_begin(session: Any) -> None:
    """Somebody has logged in."""
    session[BEGUN] = session[SEEN] = round(time.time())


def session_over(session: Any) -> str:
    """Why a session is over, in a sentence; empty: it is not."""
    now, config = time.time(), settings()
    if now - session.get(BEGUN, 0) >= 3600 * config.session_hours:
        return f"You were signed out: a session lasts {config.session_hours} hours at most."
    if now - session.get(SEEN, 0) >= 60 * config.session_idle_minutes:
        return f"You were signed out after {config.session_idle_minutes} minutes without use."
    return ""


def session_use(session: Any) -> None:
    """Somebody has opened a page."""
    now = round(time.time())
    if now - session.get(SEEN, 0) >= RESOLUTION:
        session[SEEN] = now


def sessions_end(*, user: User, but: str | None = None) -> int:
    """Sign a user out everywhere, but for the session of this key; how many sessions that were.

    Reads every session that has not expired: this is done once in a long while.
    """
    ended = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=timezone.now()).exclude(pk=but)
        if str(session.get_decoded().get(SESSION_KEY)) == str(user.pk)
    ]
    Session.objects.filter(pk__in=ended).delete()
    return len(ended)
