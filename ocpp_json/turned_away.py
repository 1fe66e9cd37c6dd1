"""Handshakes that are refused: their answers, their lines in the log, their security events."""

import logging
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from csms.services import admission, refusals
from csms.services.metrics import meters
from ocpp_json import auth
from ocpp_json.wire import Wire

log = logging.getLogger("ocpp_json")

REFUSALS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "bad request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "unknown",
    HTTPStatus.UPGRADE_REQUIRED: "no websocket",
    HTTPStatus.TOO_MANY_REQUESTS: "too many attempts",
}
"""How refused handshakes are counted; of 503 `_unavailable` counts each kind."""

EVENTS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: refusals.INVALID_MESSAGES,
    HTTPStatus.NOT_FOUND: refusals.UNKNOWN_CHARGE_POINT,
    HTTPStatus.UPGRADE_REQUIRED: refusals.INVALID_MESSAGES,
}
"""Those that are security events; 401, 403 and 429 are kept as such where they are decided."""


def status_of(path: str) -> HTTPStatus:
    """A URL without an identity leads nowhere; one with an impossible identity is wrong."""
    nameless = path.partition("?")[0].endswith("/") or not path
    return HTTPStatus.NOT_FOUND if nameless else HTTPStatus.BAD_REQUEST


def refuse(wire: Wire, refused: admission.Refused) -> Response:
    if refused.unknown:  # 3.2: an unknown identity is answered 404
        return wire.respond(HTTPStatus.NOT_FOUND, f"{refused.reason}\n")
    if refused.unauthorized:
        response = wire.respond(HTTPStatus.UNAUTHORIZED, f"{refused.reason}\n")
        response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return response
    if refused.too_many:
        response = wire.respond(HTTPStatus.TOO_MANY_REQUESTS, f"{refused.reason}\n")
        response.headers["Retry-After"] = "60"
        return response
    return wire.respond(HTTPStatus.FORBIDDEN, f"{refused.reason}\n")


def unavailable(wire: Wire, why: str, counted: str) -> Response:
    """F3: not now; the charge point tries again by itself. `counted`: how metrics call it."""
    meters.refuse(counted)
    response = wire.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}\n")
    response.headers["Retry-After"] = "30"
    return response


def log_refusal(wire: ServerConnection, request: Request, response: Response) -> None:
    """One line for each handshake that was refused."""
    if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        assert isinstance(wire, Wire)
        if counted := REFUSALS.get(response.status_code):
            meters.refuse(counted)
        why = response.body.decode(errors="replace").strip().partition("\n")[0]
        if kind := EVENTS.get(response.status_code):
            # A path that holds no identity may hold a password instead: it is not repeated.
            unknown = kind == refusals.UNKNOWN_CHARGE_POINT and status_of(request.path) != 404
            identity = auth.identity(request.path) if unknown else ""
            info = f"HTTP {response.status_code:d}: {why}"
            refusals.note(kind, info, address=wire.address, identity=identity)
        log.warning(
            "Handshake from %s for %.200r: %d. %s",
            *(wire.address, request.path, response.status_code, why[:200]),
        )
