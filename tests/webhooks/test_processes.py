"""`manage.py serve` with webhooks: killed between a delivery and its note (F1, F15)."""

import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from csms.services.webhook_queue import LEASE
from tests.running import wait_for
from tests.serving import Environment, Served, manage, rows
from tests.webhooks.conftest import ALLOWED
from tests.webhooks.receiver import Receiver

START = (
    '[2,"1","StartTransaction",{"connectorId":1,"idTag":"TAG","meterStart":1,'
    '"timestamp":"2026-01-02T03:04:05Z"}]'
)


def api(served: Served, token: str, method: str, path: str, body: Any = None) -> Any:
    url = f"{urlsplit(served.admin_url)._replace(path='/api/v1/').geturl()}{path}"
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.request(method, url, json=body, headers=headers, trust_env=False, timeout=20)
    assert answer.is_success, answer.text
    return answer.json()


def start_transaction(served: Served) -> None:
    with connect(
        f"{served.json_url}/CP1", subprotocols=[Subprotocol("ocpp1.6")], proxy=None
    ) as socket:
        socket.send(START)
        assert json.loads(socket.recv(timeout=20))[0] == 3


@pytest.mark.slow  # it waits for the lease of the one that was killed
@pytest.mark.timeout(300)
@pytest.mark.sqlite
def test_killed_before_it_could_note_a_delivery(
    process_environment: Environment, tmp_path: Path
) -> None:
    """The event comes again, with the same id and body; then it is delivered, and comes no more."""
    environment = process_environment | ALLOWED
    manage(environment, "migrate", "--verbosity", "0")
    manage(environment, "charge_point", "add", "CP1", "--transport", "json", "--profile", "0")
    token = manage(environment, "api_token", "add", "t", "--can", "all").stdout.split()[-1]
    go_on = threading.Event()

    def hold(event: dict[str, Any]) -> int:
        go_on.wait(30)
        return 200

    with Receiver(hold) as receiver:
        with Served(environment) as served:
            body = {"name": "b", "url": receiver.url, "kinds": ["transaction.started"]}
            secret = api(served, token, "POST", "webhooks", body)["secret"]
            start_transaction(served)
            wait_for(lambda: receiver.received, 20)
            served.kill()  # it was received, and nobody knows
        go_on.set()
        assert rows(environment, "SELECT state, attempts FROM csms_webhookevent") == [
            ("waiting", 0)
        ]
        with Served(environment) as served:
            wait_for(lambda: len(receiver.received) == 2, LEASE + 30)
            first, again = receiver.received
            assert (again.body, again.headers["csms-event-id"]) == (
                first.body,
                first.headers["csms-event-id"],
            )
            assert again.is_signed(secret)
            state = "SELECT state FROM csms_webhookevent"
            wait_for(lambda: rows(environment, state) == [("delivered",)], 20)
            listed = api(served, token, "GET", "webhook-events?state=delivered")["items"]
            assert [one["attempts"] for one in listed] == [1]
        assert len(receiver.received) == 2
