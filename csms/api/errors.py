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


DOCS = "/api/v1/docs"

SENTENCES = {
    "missing": "Give it",
    "extra_forbidden": "There is no such field: leave it out",
    "none_required": "Give null",
    "literal_error": "Give {expected}",
    "string_type": "Give a text",
    "string_too_short": "Give {min_length} or more characters",
    "string_too_long": "Give {max_length} or fewer characters",
    "int_type": "Give a whole number",
    "int_parsing": "Give a whole number",
    "int_from_float": "Give a whole number",
    "float_type": "Give a number",
    "float_parsing": "Give a number",
    "finite_number": "Give a finite number",
    "bool_type": "Give true or false",
    "bool_parsing": "Give true or false",
    "list_type": "Give a list",
    "too_short": "Give {min_length} or more of them",
    "too_long": "Give {max_length} or fewer of them",
    "dict_type": "Give an object",
    "model_type": "Give an object",
    "model_attributes_type": "Give an object",
    "greater_than_equal": "Give at least {ge}",
    "greater_than": "Give more than {gt}",
    "less_than_equal": "Give at most {le}",
    "less_than": "Give less than {lt}",
    "datetime_type": "Give a time as 2026-01-02T03:04:05Z",
    "datetime_parsing": "Give a time as 2026-01-02T03:04:05Z",
    "datetime_from_date_parsing": "Give a time as 2026-01-02T03:04:05Z",
    "timezone_aware": "Give a time with its zone, as 2026-01-02T03:04:05Z",
}
"""What to do about what pydantic finds, by its types of errors; of others its own sentence is
told. In braces: values of the error's context."""


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
        case HttpError() if error.status_code == 400:
            return Refusal(400, "The body cannot be read: send JSON in UTF-8.")
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
            return Refusal(404, f"There is nothing here: see {DOCS} for what there is.")
        case IntegrityError():
            return Refusal(
                409, "Somebody else changed the same just now: read it again, then repeat this."
            )
        case OperationalError() | InterfaceError() | InternalError():
            logger.warning("The API cannot answer: the database does not (%s)", error)
            return Refusal(503, "The database does not answer: repeat this in a moment.")
    logger.error("The API failed", exc_info=error)
    return Refusal(500, "This failed here: have somebody look into the server's log.")


def _invalid(found: dict[str, Any]) -> Refusal:
    """What pydantic found: its place without the view's argument, and what to do about it."""
    source, *place = found["loc"]
    if source == "body" or (source == "query" and len(place) > 1):
        place = place[1:]
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")
    sentence = SENTENCES.get(found["type"])
    says = found["msg"] if sentence is None else sentence.format_map(found.get("ctx") or {})
    return Refusal(422, f"{field or 'The body'}: {says}.", field or None)


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
