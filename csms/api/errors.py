"""The one shape of an error: `{"error": {"message": …, "field": …}}`."""

import logging
from typing import Any

from django.db import IntegrityError, InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError

from csms.ocpp.errors import ProtocolError
from csms.services.authorization import IdTagTaken
from csms.services.charge_points import ChargePointInvalid, ChargePointTaken
from csms.services.commands import CommandRefused, PayloadRefused
from csms.services.idempotency import KeyReused

logger = logging.getLogger(__name__)


class Problem(Schema):
    message: str
    field: str | None
    """Where in the request, as `payload.type`; null when it is not about one field."""


class Error(Schema):
    error: Problem


class Refusal(Exception):
    """The request is answered with this HTTP status, sentence and field."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field


def refusal_of(error: Exception) -> Refusal:
    """The answer to what a view, a service or the framework raised."""
    match error:
        case Refusal():
            return error
        case AuthenticationError():
            return Refusal(401, "Give a valid token: Authorization: Bearer csms_…")
        case ValidationError():
            return _invalid(error.errors[0])
        case HttpError() if isinstance(error.__cause__, ProtocolError):
            return Refusal(422, error.__cause__.description, error.__cause__.path or None)
        case HttpError():
            return Refusal(error.status_code, f"{error.message}.")
        case PayloadRefused():
            return Refusal(422, str(error), f"payload.{error.path}" if error.path else "payload")
        case CommandRefused():
            return Refusal(409, str(error))
        case ChargePointTaken():
            return Refusal(409, str(error), "identity")
        case ChargePointInvalid():
            return Refusal(422, str(error))
        case IdTagTaken():
            return Refusal(409, str(error), "id_tag")
        case KeyReused():
            return Refusal(422, str(error), "Idempotency-Key")
        case Http404():
            return Refusal(404, "There is nothing here.")
        case IntegrityError():
            return Refusal(409, "The same was changed by somebody else at the same time.")
        case OperationalError() | InterfaceError() | InternalError():
            logger.warning("The API cannot answer: the database does not (%s)", error)
            return Refusal(503, "The database does not answer; try again later.")
    logger.error("The API failed", exc_info=error)
    return Refusal(500, "An internal error occurred.")


def _invalid(found: dict[str, Any]) -> Refusal:
    """What pydantic found: its place without the view's argument, its sentence."""
    source, *place = found["loc"]
    if source == "body" or (source == "query" and len(place) > 1):
        place = place[1:]
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")
    return Refusal(422, f"{field or 'The body'}: {found['msg']}.", field or None)


def install(api: NinjaAPI) -> None:
    """Answer every error of an API in the one shape."""

    def answer(request: HttpRequest, error: Any) -> HttpResponse:
        refusal = refusal_of(error)
        body = {"error": {"message": refusal.message, "field": refusal.field}}
        response = api.create_response(request, body, status=refusal.status)
        if refusal.status == 401:
            response["WWW-Authenticate"] = "Bearer"
        return response

    for kind in (Exception, Refusal, HttpError, ValidationError, Http404):
        api.add_exception_handler(kind, answer)
