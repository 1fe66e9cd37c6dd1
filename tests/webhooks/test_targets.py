"""Where webhooks may lead: the same defence against forged requests as of SOAP callbacks."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from csms import conf
from csms.models import WebhookSubscription
from csms.services import webhooks
from csms.services.webhook_delivery import UNSIGNED, Sender
from csms.services.webhook_queue import Due
from csms.services.webhooks import MOST, PREFIX, WebhookInvalid, secret_of, subscription_add
from tests.webhooks.receiver import Receiver, subscribed

EVENT = Due(1, "3f9a71c2-0000-4000-8000-000000000000", "status.changed", '{"kind":"é"}')
PUBLIC = "https://198.51.100.7/events"


def post(url: str, *, within: float = 5.0, secret: str = "whsec_x", **environment: Any) -> str:
    """What becomes of an event that is sent with these settings."""

    async def run() -> str:
        sender = Sender(conf.read(environment), within=within)
        try:
            return await sender.post(url, secret, EVENT)
        finally:
            await sender.close()

    return asyncio.run(run())


HERE: dict[str, Any] = {"CSMS_WEBHOOK_NETWORKS": "127.0.0.0/8", "CSMS_WEBHOOK_HTTP": "1"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url",
    [
        "http://198.51.100.7/events",  # https unless a setting says otherwise
        "ftp://198.51.100.7/events",
        "https://127.0.0.1/events",
        "https://localhost/events",
        "https://[::1]/events",
        "https://[::ffff:127.0.0.1]/events",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00:ec2::254]/",
        "https://0.0.0.0/",
        "https://user:password@198.51.100.7/",
        "https://198.51.100.7:25/",
        "https:///events",
        "https://[",
        "",
    ],
)
def test_what_may_be_no_target_is_refused_when_it_is_entered(url: str) -> None:
    with pytest.raises(WebhookInvalid) as refused:
        subscribed(url)
    assert refused.value.field == "url"
    assert not WebhookSubscription.objects.exists()


@pytest.mark.django_db
def test_a_subscription_is_checked_and_its_secret_is_told_once() -> None:
    row, secret = subscribed(PUBLIC)
    assert secret.startswith(PREFIX)
    assert len(secret) > 40
    row.refresh_from_db()
    assert secret not in row.secret  # sealed
    assert secret_of(row) == secret
    new = webhooks.subscription_secret(subscription=row)
    row.refresh_from_db()
    assert secret_of(row) == new != secret
    for wrong, field in (
        ({"kinds": []}, "kinds"),
        ({"kinds": ["everything"]}, "kinds"),
        ({"name": " "}, "name"),
        ({"name": "billing"}, "name"),
    ):
        with pytest.raises(WebhookInvalid) as refused:
            subscription_add(**{"name": "n", "url": PUBLIC, "kinds": ["status.changed"]} | wrong)  # type: ignore[arg-type]
        assert refused.value.field == field
    for number in range(MOST - 1):
        subscribed(PUBLIC, name=f"n{number}")
    with pytest.raises(WebhookInvalid, match="that is the most"):
        subscribed(PUBLIC, name="one more")


def test_a_name_that_leads_inside_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are resolved for each attempt; one address of ours among them is enough."""

    inside: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        found = ["198.51.100.7", *inside]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr("csms.services.callbacks.socket.getaddrinfo", resolve)
    for address in ("127.0.0.1", "169.254.169.254", "100.100.100.200"):
        inside[:] = [address]
        assert "leads outside the allowed networks" in post("https://evil.example/")
    inside[:] = ["10.0.0.1"]
    assert "leads outside" in post("https://evil.example/", CSMS_WEBHOOK_NETWORKS="198.51.100.0/24")


def test_the_resolved_address_is_what_is_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second answer of the name server (DNS rebinding) is never asked for."""
    answers = iter(["127.0.0.1"])
    resolve = socket.getaddrinfo

    def once(host: str, port: int, *rest: Any, **named: Any) -> Any:
        if host == "hooks.example":
            host = next(answers)
        return resolve(host, port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    port = receiver.server_port
    assert post(f"http://hooks.example:{port}/a?b=c#d", **HERE) == ""
    (received,) = receiver.received
    assert received.headers["host"] == f"hooks.example:{port}"
    assert received.body == EVENT.body.encode()
    assert received.is_signed("whsec_x")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda event: status
    assert post(receiver.url, **HERE) == f"Answered {status}: redirects are not followed."
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("status", "problem"), [(204, ""), (404, "Answered 404."), (503, "Answered 503.")]
)
def test_only_2xx_is_a_delivery(receiver: Receiver, status: int, problem: str) -> None:
    receiver.answer = lambda event: status
    assert post(receiver.url, **HERE) == problem


@pytest.fixture
def silent() -> Iterator[str]:
    """A target that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def test_a_silent_target_costs_no_more_than_its_time(silent: str) -> None:
    assert post(silent, within=0.3, **HERE) == "No answer within 0.3 seconds."


def test_a_target_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/", **HERE).startswith("No connection: ConnectError")
    assert post(f"https://127.0.0.1:{port}/") == (
        "The URL 127.0.0.1 is not in an allowed network: see CSMS_WEBHOOK_NETWORKS."
    )


def test_without_a_readable_secret_nothing_is_sent(receiver: Receiver) -> None:
    assert post(receiver.url, secret="", **HERE) == UNSIGNED
    assert receiver.received == []
