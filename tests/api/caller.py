"""Somebody who calls the API: paths and JSON in, statuses and JSON out."""

import json
from typing import Any

from django.test import Client

from csms.services.tokens import token_add


class Caller:
    """A client with a token; `status` is that of the last answer."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.client = Client(headers={"authorization": f"Bearer {token}"})
        self.status = 0

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of an answer."""
        content = body if isinstance(body, str) else json.dumps(body)
        response = self.client.generic(
            method,
            f"/api/v1/{path}",
            "" if body is None else content,
            content_type="application/json",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        self.status = response.status_code
        return json.loads(response.content)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body)

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str | None]:
        """Status and field of a refusal, whose shape is checked."""
        answer = self.call(method, path, body)
        assert set(answer) == {"error"}, answer
        assert set(answer["error"]) == {"message", "field"}
        message = answer["error"]["message"]
        assert message[0].isupper() or answer["error"]["field"], message
        assert message.endswith((".", "…")), message
        return self.status, answer["error"]["field"]


def caller(can: str, name: str = "") -> Caller:
    """A caller with a new token."""
    _, text = token_add(name=name or f"test-{can}", can=can)
    return Caller(text)
