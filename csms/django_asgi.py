"""Django under ASGI, its synchronous pages run in the threads of a small pool.

Django itself gives each request a thread, and with it a database connection, of its own, and hops
into it once for each middleware: a REST request took 7 ms of which the view was one. Here a page
and all its middlewares are one call in a thread that keeps its connection. Asynchronous views
(long polls) and static files are left to Django's own way.
"""

import os
from asyncio import iscoroutinefunction
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from csms.services.threads import in_page_thread


class PooledHandler(ASGIHandler):
    """Django's handler, with a second, synchronous chain of middlewares."""

    def __init__(self) -> None:
        super().__init__()
        self._pages = BaseHandler()
        self._pages.load_middleware()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Without the context that gives each request a thread: what is left of it (signals, the
        # end of a response) runs in one for all.
        await self.handle(scope, receive, send)

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Django reads a form only as far as its Content-Length, which chunked bodies lack."""
        request, refused = super().create_request(scope, body_file)
        if request is not None and "CONTENT_LENGTH" not in request.META:
            request.META["CONTENT_LENGTH"] = str(body_file.seek(0, os.SEEK_END))
            body_file.seek(0)
        return request, refused

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        if _asynchronous(request):
            return await super().get_response_async(request)
        return await in_page_thread(self._pages.get_response, request=request)


def _asynchronous(request: HttpRequest) -> bool:
    if request.path_info.startswith(settings.STATIC_URL):
        return True
    try:
        return iscoroutinefunction(resolve(request.path_info).func)
    except Resolver404:
        return False
