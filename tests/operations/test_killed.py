"""F15: `kill -9` of the real process between a command and its answer."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, Protocol

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from csms.ocpp.core import Heartbeat
from csms.simulator import envelopes
from tests.operations.examples import payload_of
from tests.operations.scripted import called, replied
from tests.running import Callback, wait_for
from tests.serving import Environment, Served, manage

pytestmark = pytest.mark.slow

SENT = {
    "Reset": None,
    "ChangeConfiguration": "GetConfiguration",
    "SendLocalList": "GetLocalListVersion",
    "ChangeAvailability": "TriggerMessage",
    "GetDiagnostics": "TriggerMessage",
}
"""What each charge point is told before the kill, and how it is asked what became of it."""

FOLLOWING = "ClearCache"
REPLIES: dict[str, dict[str, Any]] = {
    "Reset": {"status": "Accepted"},
    "ClearCache": {"status": "Accepted"},
    "GetConfiguration": {},
    "GetLocalListVersion": {"listVersion": 0},
    "TriggerMessage": {"status": "Accepted"},
}
SOON = 30.0
"""Seconds, on a busy machine."""


class Charger(Protocol):
    """One that takes calls and answers none, until it is told to."""

    identity: str
    came: list[str]
    """The actions of the calls that it received, in all its life."""

    def meet(self, served: Served) -> None:
        """Make contact; from then on it keeps silent until `answering`."""

    def answering(self) -> None:
        """Answer from now on."""


class JsonCharger:
    def __init__(self, name: str) -> None:
        self.identity = f"json-{name}"
        self.came: list[str] = []
        self._calls: list[tuple[str, str]] = []
        self._answering = threading.Event()
        self._closing = ExitStack()

    def meet(self, served: Served) -> None:
        url = f"{served.json_url}/{self.identity}"
        opening = connect(url, subprotocols=[Subprotocol("ocpp1.6")], proxy=None)
        socket = self._socket = self._closing.enter_context(opening)
        threading.Thread(target=self._listen, args=(socket,), daemon=True).start()

    def _listen(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            for frame in socket:
                _, message_id, action, _ = json.loads(frame)
                self.came.append(action)
                self._calls.append((action, message_id))
                if self._answering.is_set():
                    socket.send(json.dumps([3, message_id, REPLIES[action]]))

    def answering(self) -> None:
        self._answering.set()

    def answer_late(self) -> None:
        """Answer the first call of its life on the connection that it has now."""
        action, message_id = self._calls[0]
        self._socket.send(json.dumps([3, message_id, REPLIES[action]]))

    def close(self) -> None:
        self._closing.close()


class SoapCharger:
    def __init__(self, name: str) -> None:
        self.identity = f"soap-{name}"
        self.came: list[str] = []
        self._answering = threading.Event()
        self._callback = Callback(self._answer)

    def meet(self, served: Served) -> None:
        envelope = envelopes.request(
            "Heartbeat",
            Heartbeat(),
            identity=self.identity,
            message_id="urn:uuid:1",
            to=served.soap_url,
            sender=self._callback.url,
        )
        headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
        response = httpx.post(served.soap_url, content=envelope, headers=headers, trust_env=False)
        assert response.status_code == 200, response.text

    def _answer(self, text: str) -> str:
        action = called(text)[0]
        self.came.append(action)
        if action in SENT:
            self._answering.wait(SOON)  # whoever asked is no more
            return ""
        return replied(text, REPLIES[action])

    def answering(self) -> None:
        self._answering.set()

    def close(self) -> None:
        self._answering.set()
        self._callback.__exit__()


class Rest:
    """Asks a running central system."""

    def __init__(self, served: Served, token: str) -> None:
        self._url = served.admin_url.partition("/admin")[0] + "/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}

    def send(self, identity: str, name: str, payload: dict[str, Any]) -> int:
        response = httpx.post(
            f"{self._url}/charge-points/{identity}/commands",
            json={"action": name, "payload": payload},
            headers=self._headers,
            trust_env=False,
        )
        assert response.status_code == 202, response.text
        return int(response.json()["id"])

    def command(self, number: int) -> dict[str, Any]:
        response = httpx.get(
            f"{self._url}/commands/{number}", headers=self._headers, trust_env=False
        )
        found: dict[str, Any] = response.json()
        return found

    def followers(self, number: int) -> list[dict[str, Any]]:
        response = httpx.get(
            f"{self._url}/commands?limit=100", headers=self._headers, trust_env=False
        )
        return [row for row in response.json()["items"] if row["follows"] == number]


@pytest.fixture(params=[JsonCharger, SoapCharger], ids=["json", "soap"])
def chargers(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    made = {name: request.param(name) for name in SENT}
    yield made
    for charger in made.values():
        charger.close()


def every(condition: Callable[[], bool]) -> None:
    wait_for(condition, SOON)


@pytest.mark.slow
def test_killed_between_a_command_and_its_answer(
    process_environment: Environment, chargers: dict[str, Charger]
) -> None:
    environment = process_environment | {
        "CSMS_SOAP_CALLBACK_NETWORKS": "127.0.0.0/8",
        "CSMS_CALL_TIMEOUT": "60",
    }
    manage(environment, "migrate", "--verbosity", "0")
    for charger in chargers.values():
        transport = charger.identity.partition("-")[0]
        manage(
            environment,
            *("charge_point", "add", charger.identity),
            *("--transport", transport, "--profile", "0"),
        )
    token = manage(environment, "api_token", "add", "ops", "--can", "operate").stdout.split()[-1]

    with Served(environment) as served:
        rest = Rest(served, token)
        for charger in chargers.values():
            charger.meet(served)
        lost = {
            name: rest.send(charger.identity, name, payload_of(name))
            for name, charger in chargers.items()
        }
        following = {
            name: rest.send(charger.identity, FOLLOWING, {}) for name, charger in chargers.items()
        }
        every(lambda: all(charger.came == [name] for name, charger in chargers.items()))
        for name in SENT:
            assert rest.command(lost[name])["state"] == "sent"
            assert rest.command(following[name])["state"] == "queued"
        served.kill()

    with Served(environment | {"CSMS_CALL_TIMEOUT": "1"}) as served:
        rest = Rest(served, token)
        for charger in chargers.values():
            charger.answering()
            charger.meet(served)
        for name, reader in SENT.items():
            every(lambda name=name: rest.command(lost[name])["state"] == "timed out")  # type: ignore[misc]
            found = rest.command(lost[name])
            assert "outcome is unknown" in found["error"]
            assert (found["answer"], found["finished_at"] is not None) == (None, True)
            every(lambda name=name: rest.command(following[name])["state"] == "accepted")  # type: ignore[misc]
            asked = [name, FOLLOWING] + ([reader] if reader else [])
            every(lambda name=name, asked=asked: chargers[name].came == asked)  # type: ignore[misc]
            assert [row["action"] for row in rest.followers(lost[name])] == asked[2:]
        for name, charger in chargers.items():
            assert charger.came.count(name) == 1, "it was never sent again"


@pytest.mark.slow
def test_answered_after_a_kill(process_environment: Environment) -> None:
    """F10: the answer comes to the next process, on the next connection."""
    charger = JsonCharger("late")
    manage(process_environment, "migrate", "--verbosity", "0")
    manage(
        process_environment,
        *("charge_point", "add", charger.identity),
        *("--transport", "json", "--profile", "0"),
    )
    made = manage(process_environment, "api_token", "add", "ops", "--can", "operate")
    token = made.stdout.split()[-1]
    with ExitStack() as closing:
        closing.callback(charger.close)
        with Served(process_environment | {"CSMS_CALL_TIMEOUT": "60"}) as served:
            charger.meet(served)
            lost = Rest(served, token).send(charger.identity, "Reset", payload_of("Reset"))
            every(lambda: charger.came == ["Reset"])
            served.kill()
        with Served(process_environment | {"CSMS_CALL_TIMEOUT": "1"}) as served:
            rest = Rest(served, token)
            charger.meet(served)
            every(lambda: rest.command(lost)["state"] == "timed out")
            charger.answer_late()
            every(lambda: rest.command(lost)["state"] == "accepted")
            assert rest.command(lost)["answer"] == {"status": "Accepted"}
            assert charger.came == ["Reset"], "it was never sent again"
