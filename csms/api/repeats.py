"""The Idempotency-Key header: a repeated POST is done once and answered the same."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from ninja import Schema, Status

from csms.api.access import user_of
from csms.api.errors import Refusal
from csms.api.wire import encode
from csms.ocpp.errors import ProtocolError
from csms.ocpp.hostile import check_text
from csms.services.idempotency import Answered, once

HEADER = "Idempotency-Key"

DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": HEADER,
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "Any text of yours, such as a UUID. A repeat with the same key within "
            "24 hours is not done again but answered as the first; the same key with another "
            "request is refused.",
        }
    ]
}
"""The header, for the OpenAPI document (`openapi_extra`)."""

View = Callable[..., Status[Schema]]


def idempotent(view: View) -> Callable[..., HttpResponse]:
    """Let a view run in one transaction and honour the header. The view returns a Status."""

    @wraps(view)
    def run(request: HttpRequest, **values: Any) -> HttpResponse:
        key = _key(request)
        parts = (str(request.method), request.get_full_path(), request.body.decode("latin-1"))
        # Keyed, since bodies hold passwords.
        digest = salted_hmac("csms.idempotency", "\n".join(parts), algorithm="sha256").hexdigest()

        def act() -> Answered:
            result = view(request, **values)
            return Answered(result.status_code, encode(result.value.model_dump()))

        answered = once(user=user_of(request), key=key, digest=digest, act=act)
        return HttpResponse(
            answered.text, status=answered.status, content_type="application/json; charset=utf-8"
        )

    return run


def _key(request: HttpRequest) -> str:
    key = request.headers.get(HEADER, "")
    try:
        check_text(key, HEADER)
    except ProtocolError as problem:
        raise Refusal(422, problem.description, HEADER) from None
    if len(key) > 255:
        raise Refusal(422, "An Idempotency-Key has at most 255 characters.", HEADER)
    return key
