"""Plain pages of the HTTP port that machines ask for, answered without Django: its redirects,
hosts and sessions are for people."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

TEXT = "text/plain; charset=utf-8"


class Page(NamedTuple):
    """An answer."""

    status: HTTPStatus
    body: bytes
    kind: str = TEXT


Ask = Callable[[Any], Awaitable[Page]]
"""Answers a GET by its ASGI scope."""


def page(ask: Ask) -> Callable[[Any, Receive, Send], Awaitable[None]]:
    """The ASGI application of one page."""

    async def application(scope: Any, receive: Receive, send: Send) -> None:
        headers = {}
        if scope["method"] in ("GET", "HEAD"):
            status, body, kind = await ask(scope)
        else:
            status, body, kind = Page(HTTPStatus.METHOD_NOT_ALLOWED, b"This page is for GET.\n")
            headers["allow"] = "GET, HEAD"
        headers |= {
            "content-type": kind,
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status.value, "headers": raw})
        content = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": content})

    return application
