"""The examples of the documentation, as they stand there, check what is really sent."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from csms.models.webhooks import WebhookKind
from csms.services.webhook_delivery import signature
from csms.services.webhook_trial import KIND, subscription_try
from tests.running import wait_for
from tests.webhooks.receiver import Receiver, subscribed
from tests.webhooks.test_targets import HERE, post

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text("utf-8")


def example(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


def test_the_example_tells_genuine_events_from_others(receiver: Receiver) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example("python"), "docs/webhooks.md", "exec"), names)
    is_genuine = names["is_genuine"]
    assert post(receiver.url, secret="whsec_mine", **HERE) == ""
    (received,) = receiver.received
    headers = {name.title(): value for name, value in received.headers.items()}
    assert is_genuine(headers, received.body, "whsec_mine")
    assert not is_genuine(headers, received.body, "whsec_other")
    assert not is_genuine(headers, received.body + b" ", "whsec_mine")
    assert not is_genuine({}, received.body, "whsec_mine")
    for name, value in (
        ("Csms-Timestamp", str(int(headers["Csms-Timestamp"]) + 1)),
        ("Csms-Timestamp", str(int(headers["Csms-Timestamp"]) - 301)),
        ("Csms-Timestamp", "yesterday"),
        ("Csms-Timestamp", "9" * 5000),
        ("Csms-Signature", "v1=" + "0" * 64),
        ("Csms-Signature", "v1=é"),
    ):
        assert not is_genuine(headers | {name: value}, received.body, "whsec_mine")


@pytest.fixture
def running_example(tmp_path: Path) -> Iterator[Any]:
    """Starts the receiver of the page in a process of its own, and gives what it has printed."""
    script = tmp_path / "receiver.py"
    script.write_text(example("python"), "utf-8")
    started: list[subprocess.Popen[str]] = []
    output = tmp_path / "output"

    def start(port: int, secret: str) -> Path:
        environment = os.environ | {"PORT": str(port), "WEBHOOK_SECRET": secret}
        with output.open("w") as told:
            started.append(
                subprocess.Popen(
                    [sys.executable, str(script)],
                    env=environment,
                    stdout=told,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
        wait_for(lambda: _listens(port))
        return output

    yield start
    for process in started:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("allowed")
def test_the_receiver_of_the_page_takes_a_test_event_and_no_forged_one(
    running_example: Any,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    row, secret = subscribed(f"http://127.0.0.1:{port}/", name="mine")
    output = running_example(port, secret)
    assert subscription_try(subscription=row).problem == ""
    assert output.read_text("utf-8").startswith(f"{KIND}  {{'webhook': 'mine',")
    assert post(row.url, secret="whsec_forged", **HERE) == "Answered 401."
    assert output.read_text("utf-8").count("\n") == 1


def test_the_shells_example_makes_the_signature_that_the_page_names() -> None:
    made = subprocess.run(
        ["sh", "-c", example("sh")], capture_output=True, text=True, check=True, timeout=20
    ).stdout.split()[0]
    assert made == signature("whsec_example", "1767323045", b'{"id":"1"}')
    assert f"`v1={made}`" in PAGE


def test_the_page_has_every_kind() -> None:
    assert [kind for kind in (*WebhookKind.values, KIND) if f"`{kind}`" not in PAGE] == []
