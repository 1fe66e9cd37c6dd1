"""Where webhooks lead: a real HTTP server on this machine that keeps what came."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from csms.models import ChargePoint, WebhookSubscription
from csms.models.webhooks import WebhookKind
from csms.services.webhooks import subscription_add
from tests.running import wait_for


class Received(NamedTuple):
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    def is_signed(self, secret: str) -> bool:
        """By HMAC-SHA256 over timestamp and body, spelled out here once more."""
        signed = self.headers["csms-timestamp"].encode() + b"." + self.body
        wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return self.headers["csms-signature"] == f"v1={wanted}"


class Receiver(ThreadingHTTPServer):
    """Answers each event with what `answer` makes of it: a status, 200 at first."""

    daemon_threads = True

    def __init__(self, answer: Callable[[dict[str, Any]], int] = lambda event: 200) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.received: list[Received] = []
        self.url = f"http://127.0.0.1:{self.server_port}/events"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *details: Any) -> None:
        self.shutdown()
        self._thread.join()
        super().__exit__(*details)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [one.event for one in list(self.received)]

    @property
    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events]

    def wait(self, count: int) -> list[Received]:
        """Wait until so many came; these."""
        wait_for(lambda: len(self.received) >= count)
        assert len(self.received) == count, self.kinds
        return list(self.received)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(headers, body)
        self.server.received.append(received)
        self.send_response(self.server.answer(received.event))
        self.send_header("Content-Length", "0")
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is said."""


def subscribed(
    url: str,
    *kinds: str,
    name: str = "billing",
    site: str = "",
    charge_points: Iterable[ChargePoint] = (),
) -> tuple[WebhookSubscription, str]:
    """A subscription to some kinds, or all; and its secret."""
    return subscription_add(
        name=name,
        url=url,
        kinds=kinds or WebhookKind.values,
        site=site,
        charge_points=charge_points,
    )
