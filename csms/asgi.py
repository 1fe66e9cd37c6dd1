"""The HTTP side: OCPP-S, and pages for machines, beside Django on one port.

OCPP-S is an ASGI application of its own, since a Django view costs a thread for each request.
"""

import os
from http import HTTPStatus
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "csms.settings")

import django

from csms.conf import settings
from csms.logs import with_request_id
from csms.pages import Page, page
from csms.services.peers import Networks, last_headers, listed, peer_of, plain

SOAP_PATH = "/ocpp/soap"


def make_application(inbox: Any) -> Any:
    """The ASGI application of one process; `inbox` takes the messages of SOAP charge points."""
    django.setup(set_prefix=False)

    from csms.django_asgi import PooledHandler
    from csms.files.http import PREFIX, files
    from csms.files.permits import Permits
    from ocpp_soap.asgi import SoapApplication

    soap, site = SoapApplication(inbox=inbox), Permits(PooledHandler())
    proxies = settings().trusted_proxies
    pages = _watching(inbox)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and (path == SOAP_PATH or path.startswith(SOAP_PATH + "/")):
            await soap(scope, receive, send)
        elif scope["type"] == "http" and path in pages:
            await pages[path](scope, receive, send)
        elif scope["type"] == "http" and path.startswith(PREFIX):
            await files(scope, receive, send)
        elif scope["type"] == "http":
            send = with_request_id(scope, send)
            await site(_forwarded(scope, proxies) if proxies else scope, receive, send)

    return application


def long_body(method: str, path: str) -> int:
    """How large a body may be where files are delivered (bytes); 0: it is an ordinary one."""
    from csms.files import http, permits

    config = settings()
    return http.long_body(
        method, path, upload_bytes=config.upload_max_mb * 2**20
    ) or permits.long_body(method, path, image_bytes=config.firmware_max_mb * 2**20)


def make_watch_application(inbox: Any) -> Any:
    """What a process answers on a port of its own to programs that watch it, and nothing else."""
    pages = _watching(inbox)
    missing = page(_no_page)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await pages.get(scope["path"], missing)(scope, receive, send)

    return application


def _watching(inbox: Any) -> dict[str, Any]:
    """The pages for programs that watch this process, by path."""
    from csms.health import Health
    from csms.metrics import Metrics

    health = Health(inbox)
    return {
        "/health/live": page(health.live),
        "/health/ready": page(health.ready),
        "/metrics": page(Metrics(inbox, settings()).page),
    }


async def _no_page(scope: Any) -> Page:
    return Page(HTTPStatus.NOT_FOUND, b"Here are /metrics, /health/live and /health/ready.\n")


def _forwarded(scope: Any, proxies: Networks) -> Any:
    """The scope as the client of a listed proxy would have made it: its address, its scheme."""
    if not scope["client"] or not listed(plain(scope["client"][0]), proxies):
        return scope
    headers = last_headers((n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"])
    peer = peer_of(
        headers,
        address=scope["client"][0],
        tls=scope["scheme"] == "https",
        proxies=proxies,
    )
    scheme = "https" if peer.tls else "http"
    return {**scope, "client": (peer.address, 0), "scheme": scheme}
