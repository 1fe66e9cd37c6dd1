"""The gate before every page: who acts, whether the session is over, whether a second factor is
owed. What has no session, as the REST API and its tokens, passes at once."""

import ipaddress
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings as django_settings
from django.contrib import admin, messages
from django.contrib.auth import SESSION_KEY, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from csms.conf import settings
from csms.models import ApiToken
from csms.services.actors import Actor, acting
from csms.services.peers import plain
from csms.services.sessions import session_over, session_use
from csms.services.sign_in import counted_as, login_refused, logins_exhausted
from csms.services.two_factor import OWED


def remote_address(request: HttpRequest) -> str:
    """The other end's IP address; empty when it has none (a Unix socket)."""
    text = request.META.get("REMOTE_ADDR", "")
    try:
        return plain(str(ipaddress.ip_address(text)))
    except ValueError:
        return ""


def address_of(request: HttpRequest) -> str | None:
    """The address that wrong passwords count for (django-axes asks for it)."""
    return counted_as(remote_address(request)) or None


def actor_of(request: HttpRequest) -> Actor:
    """Who makes the changes of a request."""
    token = getattr(request, "auth", None)
    if isinstance(token, ApiToken):
        by = f"API: {token.name}"
    elif request.user.is_authenticated:
        by = f"admin: {request.user.get_username()}"
    else:
        by = ""
    return Actor(by, remote_address(request))


class Guard:
    """Middleware. Asynchronous views stay so: a long poll holds no thread."""

    async_capable = True
    sync_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._asynchronous(request)
        with acting(partial(actor_of, request)):
            return _turned_away(request) or self.get_response(request)

    async def _asynchronous(self, request: HttpRequest) -> HttpResponse:
        answer: Callable[[HttpRequest], Awaitable[HttpResponse]] = self.get_response
        with acting(partial(actor_of, request)):
            turned_away = None
            if _has_session(request):
                turned_away = await sync_to_async(_turned_away)(request)
            return turned_away or await answer(request)


def _has_session(request: HttpRequest) -> bool:
    return django_settings.SESSION_COOKIE_NAME in request.COOKIES


def _turned_away(request: HttpRequest) -> HttpResponse | None:
    """Where a request goes that may not go on; None: it may."""
    if request.method == "POST" and request.path == reverse("admin:login"):
        name = request.POST.get("username", "").replace("\0", "")
        if logins_exhausted(address=remote_address(request), username=name):
            return locked_out(request)
    if not _has_session(request) or SESSION_KEY not in request.session:
        return None
    over = session_over(request.session)
    if over:
        logout(request)
        messages.info(request, over)
        return None  # the page asks for a login, if it wants one
    if request.session.get(OWED, True) and request.path not in _open_paths():
        ways = {"next": request.get_full_path()} if request.method == "GET" else None
        return HttpResponseRedirect(reverse("two_factor", query=ways))
    if request.headers.get("Sec-Fetch-Dest") != "empty":  # a page that refreshes itself is no use
        session_use(request.session)
    return None


def _open_paths() -> tuple[str, ...]:
    """What may be asked for while the second factor is owed."""
    names = ("two_factor", "two_factor_enrol", "admin:login", "admin:logout")
    return tuple(reverse(name) for name in names)


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """The page after too many wrong passwords (django-axes asks for it)."""
    login_refused(address=remote_address(request))
    minutes = settings().login_wait_minutes
    context = {
        **admin.site.each_context(request),
        "title": "Wait a while",
        "minutes": minutes,
    }
    response = render(request, "csms/locked_out.html", context, status=429)
    response["Retry-After"] = str(60 * minutes)
    return response
