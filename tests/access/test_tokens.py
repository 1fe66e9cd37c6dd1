"""Tokens of the REST API that let nobody in are seen."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from csms.models import ApiToken, SecurityEvent
from csms.services import security_events
from csms.services.tokens import token_add, token_revoke

pytestmark = pytest.mark.django_db(transaction=True)


def ask(text: str) -> int:
    header = {"authorization": f"Bearer {text}"}
    return Client(headers=header).get("/api/v1/commands", REMOTE_ADDR="192.0.2.7").status_code


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("revoked", "billing is revoked"),
        ("expired", "billing has expired"),
        ("inactive", "billing acts as a user who is not active"),
        ("unknown", "no such token"),
    ],
)
def test_a_token_that_lets_nobody_in_is_a_security_event(state: str, said: str) -> None:
    """Somebody who has an old one, or guesses; one event for a series, without the token."""
    security_events.forget()
    token, text = token_add(name="billing", can="operate")
    assert ask(text) == 200
    match state:
        case "revoked":
            token_revoke(token=token)
        case "expired":
            ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case "inactive":
            User.objects.filter(pk=token.user_id).update(is_active=False)
        case _:
            text = "csms_canary"
    assert [ask(text) for _ in range(3)] == [401] * 3
    event = SecurityEvent.objects.get()
    assert (event.kind, event.tech_info, event.remote_address) == (
        *("InvalidApiToken", said),
        "192.0.2.7",
    )
    assert text not in f"{event.identity}{event.tech_info}"
