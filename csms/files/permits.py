"""Who may send a large body to Django's pages: Django reads a body before it asks who sends it.

Firmware images come in through the admin and the REST API. Before the body of such a request is
read, its session or token is looked at; what the page itself checks stays as it is.
"""

from http import HTTPStatus
from typing import Any

from django.db import Error

from csms.services.image_permits import may_add_images
from csms.services.storage import MIB
from csms.services.threads import in_page_thread

PATHS = frozenset({"/admin/csms/firmwareimage/add/", "/api/v1/firmware-images"})


def long_body(method: str, path: str, *, image_bytes: int) -> int:
    """How large the body of a request may be here (bytes); 0: it is an ordinary one."""
    return image_bytes + MIB if method == "POST" and path in PATHS else 0


class Permits:
    """An ASGI application before another one."""

    def __init__(self, site: Any) -> None:
        self._site = site

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        small = length.isdigit() and int(length) <= MIB
        if small or scope["method"] != "POST" or scope["path"] not in PATHS:
            await self._site(scope, receive, send)
            return
        try:
            allowed = await in_page_thread(
                may_add_images,
                cookies=headers.get(b"cookie", b"").decode("latin-1"),
                authorization=headers.get(b"authorization", b"").decode("latin-1"),
            )
        except Error:
            await _refuse(HTTPStatus.SERVICE_UNAVAILABLE, scope, send)
            return
        if allowed:
            await self._site(scope, receive, send)
        else:
            await _refuse(HTTPStatus.FORBIDDEN, scope, send)


async def _refuse(status: HTTPStatus, scope: Any, send: Any) -> None:
    texts = {
        HTTPStatus.FORBIDDEN: b'{"error": {"message": "Sign in, or give a valid token of somebody '
        b'who may add firmware images.", "field": null}}\n',
    }
    body = texts.get(status, b'{"error": {"message": "Try again later.", "field": null}}\n')
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})
