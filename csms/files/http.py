"""Files over HTTP: an ASGI application of its own, which holds no thread while bytes travel.

::

    GET, HEAD  /files/firmware/GRANT/SIGNATURE/NAME     with Range, If-Range, ETag
    PUT, POST  /files/uploads/KEY/SECRET/[NAME]         the file itself, or multipart/form-data

The path is the proof of who asks (csms/services/locations.py). It is checked before a body is read.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from django.db import Error
from django.utils import timezone

from csms.files.multipart import FileOfForm, NoForm
from csms.files.ranges import part_of
from csms.services import uploads
from csms.services.firmware_images import Served, image_served
from csms.services.storage import MIB, streamed
from csms.services.threads import in_file_thread

logger = logging.getLogger("csms.files")

PREFIX = "/files/"
UPLOADS = "/files/uploads/"
_FIRMWARE = re.compile(r"/files/firmware/([\w.-]{1,80})/([\w-]{16,80})/[^/]*", re.ASCII)
_UPLOAD = re.compile(r"/files/uploads/([\w-]{1,40})/([\w-]{16,80})/*([^/]*)", re.ASCII)
HTTP_SCHEMES = frozenset({"http", "https"})

POLITE_BYTES, POLITE_SECONDS = 256 * 1024, 2.0
"""How much of a refused body is read, so that its sender sees the answer and no reset."""

STATUSES: dict[type[Exception], HTTPStatus] = {
    uploads.UploadUnknown: HTTPStatus.NOT_FOUND,
    uploads.UploadOver: HTTPStatus.GONE,
    uploads.UploadBusy: HTTPStatus.CONFLICT,
    uploads.UploadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    uploads.UploadRefused: HTTPStatus.BAD_REQUEST,
    NoForm: HTTPStatus.BAD_REQUEST,
    Error: HTTPStatus.SERVICE_UNAVAILABLE,
    OSError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What each error is answered with; the first that fits."""


class _Disconnected(Exception):
    """The client has gone before its body was complete."""


async def files(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI application, for paths below /files/."""
    method, path = scope["method"], scope["path"]
    if found := _FIRMWARE.fullmatch(path):
        if method in ("GET", "HEAD"):
            await _fetch(found[1], found[2], scope, receive, send)
        else:
            await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED, "This is for GET.", b"GET, HEAD")
    elif found := _UPLOAD.fullmatch(path):
        if method in ("PUT", "POST"):
            await _deliver(found[1], found[2], found[3], scope, receive, send)
        else:
            await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED, "This is for PUT.", b"PUT, POST")
    else:
        await _polite(receive)
        await _answer(send, HTTPStatus.NOT_FOUND, "There is nothing here.")


def long_body(method: str, path: str, *, upload_bytes: int) -> int:
    """How large the body of a request may be here (bytes); 0: it is an ordinary one."""
    if method in ("PUT", "POST") and path.startswith(UPLOADS):
        return upload_bytes + MIB  # the frame of a form around the file
    return 0


# ------------------------------------------------------------------------------ firmware


async def _fetch(text: str, signature: str, scope: Any, receive: Any, send: Any) -> None:
    try:
        served = await in_file_thread(
            image_served,
            text=text,
            signature=signature,
            now=timezone.now(),
            schemes=HTTP_SCHEMES,
        )
    except (Error, OSError) as error:
        logger.error("Firmware cannot be served: %s", error)
        await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE, "Try again later.")
        return
    if served is None:
        text = "This location is wrong, or it has expired."
        await _answer(send, HTTPStatus.NOT_FOUND, text)
        return
    headers = _headers_of(scope)
    etag = f'"{served.sha256}"'
    part = part_of(headers.get("range", ""), served.size)
    if headers.get("if-range", etag) != etag:
        part = None
    head = _head_of(served, etag)
    status, first, length = HTTPStatus.OK, 0, served.size
    if part is not None and not part:
        await in_file_thread(served.content.close)
        head |= {"content-range": f"bytes */{served.size}", "content-length": "0"}
        await _send_head(send, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, head)
        await send({"type": "http.response.body", "body": b""})
        return
    if part:
        status, first, length = HTTPStatus.PARTIAL_CONTENT, part.start, len(part)
        head["content-range"] = f"bytes {part.start}-{part.stop - 1}/{served.size}"
    head["content-length"] = str(length)
    await _send_head(send, status, head)
    if scope["method"] == "HEAD":
        await in_file_thread(served.content.close)
        await send({"type": "http.response.body", "body": b""})
        return
    await _stream(served, first, length, receive, send)


def _head_of(served: Served, etag: str) -> dict[str, str]:
    return {
        "content-type": "application/octet-stream",
        "content-disposition": f'attachment; filename="{served.name}"',
        "etag": etag,
        "last-modified": format_datetime(served.created_at, usegmt=True),
        "accept-ranges": "bytes",
        "cache-control": "private, no-store",
        "x-content-type-options": "nosniff",
    }


async def _stream(served: Served, first: int, length: int, receive: Any, send: Any) -> None:
    """Send bytes of the file until they are all sent, or the client has gone."""
    gone = asyncio.ensure_future(_gone(receive))
    try:
        async for piece in streamed(served.content, length, first=first):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if gone.done():
                return
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# -------------------------------------------------------------------------------- uploads


async def _deliver(key: str, secret: str, name: str, scope: Any, receive: Any, send: Any) -> None:
    headers = _headers_of(scope)
    try:
        form = FileOfForm.of(headers.get("content-type", ""))
        if "content-range" in headers:
            raise uploads.UploadRefused("A file is delivered as a whole, from its beginning.")
        length = headers.get("content-length", "")
        receiving = await in_file_thread(
            uploads.upload_begin,
            key=key,
            secret=secret,
            name=name,
            length=int(length) if length.isdecimal() and form is None else None,
        )
        try:
            await _receive(receiving, form, receive)
            if form is not None and not name and form.name:
                receiving.rename(form.name)
            await in_file_thread(receiving.finish)
        finally:
            await in_file_thread(receiving.close)
    except _Disconnected:
        logger.info("The upload %s broke off.", key)
    except tuple(STATUSES) as problem:
        await _refuse(problem, receive, send)
    else:
        await _answer(send, HTTPStatus.CREATED, "Received.")


async def _receive(receiving: uploads.Receiving, form: FileOfForm | None, receive: Any) -> None:
    """Write what comes."""
    async for data in _body(receive):
        parts: Iterable[bytes] = (data,) if form is None else form.feed(data)
        for part in parts:
            await in_file_thread(receiving.write, data=part)
    if form is not None:
        form.end()


async def _body(receive: Any) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _Disconnected
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]


async def _refuse(problem: Exception, receive: Any, send: Any) -> None:
    status = next(status for kind, status in STATUSES.items() if isinstance(problem, kind))
    text = str(problem)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        logger.error("An upload cannot be kept: %s", problem)
        text = "Try again later."
    await _polite(receive)
    await _answer(send, status, text)


async def _polite(receive: Any) -> None:
    """Read a little of what nobody wants."""
    left = POLITE_BYTES
    try:
        async with asyncio.timeout(POLITE_SECONDS):
            async for data in _body(receive):
                left -= len(data)
                if left < 0:
                    return
    except (TimeoutError, _Disconnected):
        pass


# ------------------------------------------------------------------------------- answers


def _headers_of(scope: Any) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _send_head(send: Any, status: HTTPStatus, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status.value, "headers": raw})


async def _answer(send: Any, status: HTTPStatus, text: str, allow: bytes = b"") -> None:
    """A short answer; a refusal ends the connection, whose body nobody reads."""
    body = f"{text}\n".encode()
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    if status >= HTTPStatus.BAD_REQUEST:
        headers["connection"] = "close"
    if allow:
        headers["allow"] = allow.decode()
    await _send_head(send, status, headers)
    await send({"type": "http.response.body", "body": body})
