"""Where webhooks may lead: the same defence against forged requests as of SOAP callbacks."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from csms import conf
from csms.models import WebhookSubscription
from csms.services import webhooks
from csms.services.callbacks import CallbackRefused, check
from csms.services.webhook_delivery import UNSIGNED, Sender
from csms.services.webhook_queue import Due
from csms.services.webhooks import MOST, PREFIX, WebhookInvalid, secret_of, subscription_add
from tests.tls.certificates import Authority
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
        "https://@198.51.100.7/",
        "https://:@198.51.100.7/",
        "https://bücher.example/",
        "https://a..example/",
        f"https://{'a' * 64}.example/",
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
    with pytest.raises(WebhookInvalid, match="which is the most"):
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


@pytest.mark.parametrize(
    "url", ["https://bücher.example/", f"https://{'a' * 64}.example/", "https://a..example/"]
)
def test_a_host_that_is_none_is_a_failure_as_any_other(url: str) -> None:
    """It may stand in a row of long ago; an error of ours would have it tried without a pause."""
    assert "is no host name" in post(url)


def test_what_nobody_thought_of_is_a_failure_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("csms.services.callbacks.socket.getaddrinfo", fails)
    assert post("https://hooks.example/") == "It could not be sent: RuntimeError."


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "[::ffff:7f00:1]", "localhost."]
)
def test_other_spellings_of_this_machine_are_not_called(receiver: Receiver, host: str) -> None:
    """What a name server or the C library make of them is looked at."""
    problem = post(f"http://{host}:{receiver.server_port}/", CSMS_WEBHOOK_HTTP="1")
    assert "network" in problem or "cannot be resolved" in problem
    assert receiver.received == []


def test_a_setting_that_was_taken_back_holds_for_old_rows_too(receiver: Receiver) -> None:
    problem = post(receiver.url, CSMS_WEBHOOK_NETWORKS="127.0.0.0/8")
    assert problem.startswith("Write an https:// URL")
    assert receiver.received == []


@pytest.mark.parametrize(
    "url", ["http://@198.51.100.7/", f"http://{'a' * 64}.example/", "http://a..example/"]
)
def test_the_callbacks_of_soap_charge_points_obey_the_same(url: str) -> None:
    with pytest.raises(CallbackRefused):
        check(url, conf.read({}))


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver with a certificate for `localhost`, whose authority this machine trusts."""
    authority = Authority()
    pair = authority.issue("localhost", server=True).write(tmp_path, "receiver").split(":")
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    receiver = Receiver()
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    resolve = socket.getaddrinfo

    def here(host: str, *rest: Any, **named: Any) -> Any:
        return resolve(
            "127.0.0.1" if host in ("localhost", "other.example") else host, *rest, **named
        )

    monkeypatch.setattr(socket, "getaddrinfo", here)
    with receiver:
        yield receiver


def test_a_certificate_must_be_for_the_name_that_the_url_has(named: Receiver) -> None:
    """Although it is an address that is connected to."""
    allowed: dict[str, Any] = {"CSMS_WEBHOOK_NETWORKS": "127.0.0.0/8,::1/128"}
    port = named.server_port
    assert post(f"https://localhost:{port}/", **allowed) == ""
    assert post(f"https://127.0.0.1:{port}/", **allowed) == ""
    problem = post(f"https://other.example:{port}/", **allowed)
    assert problem.startswith("No connection: ConnectError")
    assert "CERTIFICATE_VERIFY_FAILED" in problem
    assert len(named.received) == 2
