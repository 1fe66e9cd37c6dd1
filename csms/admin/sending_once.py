"""A form that arrives twice, by a double click or after a lost answer, sends once."""

import secrets
from collections.abc import Callable

from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from csms.services.idempotency import Answered, once

FIELD = "once"
"""The hidden field that tells one filled-in page from the next."""


def page_token() -> str:
    """What a page puts into the field."""
    return secrets.token_urlsafe(12)


def sent_once(request: HttpRequest, act: Callable[[], int]) -> tuple[int, bool]:
    """The key of the row that `act` makes, and true; or, when the same page was submitted before
    with the same contents, that of the row that was made then, and false. Raises what `act` does.
    """
    first = False

    def acting() -> Answered:
        nonlocal first
        first = True
        return Answered(302, str(act()))

    entered = request.POST.copy()
    entered.pop("csrfmiddlewaretoken", None)
    parts = "\n".join((request.path, entered.urlencode()))
    # Keyed, since forms hold passwords.
    digest = salted_hmac("csms.admin.sending_once", parts, algorithm="sha256").hexdigest()
    key = f"admin {digest}" if entered.get(FIELD) else ""
    assert request.user.is_authenticated
    answered = once(user=request.user, key=key, digest=digest, act=acting)
    return int(answered.text), first
