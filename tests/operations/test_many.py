"""One request to 500 charge points of both transports."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from csms.models import ChargePoint, CommandEvent
from csms.services.commands import batch_send
from csms.services.sending_again import batch_repeat
from csms.simulator.envelopes import CONTENT_TYPE
from csms.simulator.soap_server import CallbackServer, HttpAnswer
from tests.operations.examples import request
from tests.operations.scripted import called, enveloped, fault, replied
from tests.running import running, wait_for

if TYPE_CHECKING:
    from tests.running import System

EACH = 250
OUTCOMES = ["accepted", "rejected", "error", "unreadable"]
STATES = ["accepted", "rejected", "error", "error"]
AT_MOST = 120.0
"""Seconds, on a busy machine."""
AT_ONCE = 32
"""Calls over SOAP under way at a time. Each has 10 seconds for its answer, and here the charge
points share one thread with the central system: more at once would wait for each other."""


@pytest.fixture(scope="module")
def lasting_system(django_db_setup: None) -> "Iterator[System]":
    """One that waits for answers as long as this test does."""
    environment = {"CSMS_SOAP_CALLBACK_NETWORKS": "127.0.0.0/8", "CSMS_CALL_TIMEOUT": "120"}
    with running(**environment) as system:
        yield system


def number_of(identity: str) -> int:
    return int(identity.rpartition("-")[2])


def outcome(identity: str) -> str:
    """Each has an outcome of its own."""
    return OUTCOMES[number_of(identity) % 4]


def framed(message_id: str, what: str) -> str:
    """The answer of a JSON charge point."""
    frames: dict[str, list[Any]] = {
        "accepted": [3, message_id, {"status": "Accepted"}],
        "rejected": [3, message_id, {"status": "Rejected"}],
        "error": [4, message_id, "InternalError", "No.", {}],
        "unreadable": [3, message_id, {"status": 17}],
    }
    return msgspec.json.encode(frames[what]).decode()


class Crowd:
    """All charge points: 250 lean sockets, and one server at which 250 are called back."""

    def __init__(self, json_url: str) -> None:
        self._json_url = json_url
        self._sockets: list[asyncio.Task[None]] = []
        self._server = CallbackServer(
            self._called,
            host="127.0.0.1",
            port=0,
            content_type=CONTENT_TYPE,
            follow_up=lambda then: None,
        )
        self.calls: Counter[str] = Counter()
        self.wrong = True
        """Answers as `outcome` says; else everybody accepts."""

    async def start(self, identities: list[str]) -> int:
        """Connect them all; the port of the callbacks."""
        ready: list[asyncio.Event] = []
        for identity in identities:
            ready.append(asyncio.Event())
            self._sockets.append(asyncio.create_task(self._live(identity, ready[-1])))
        await asyncio.gather(*(event.wait() for event in ready))
        return await self._server.start()

    async def stop(self) -> None:
        for task in self._sockets:
            task.cancel()
        await asyncio.gather(*self._sockets, return_exceptions=True)
        await self._server.stop()

    def _outcome(self, identity: str) -> str:
        self.calls[identity] += 1
        return outcome(identity) if self.wrong else "accepted"

    async def _live(self, identity: str, ready: asyncio.Event) -> None:
        async with connect(
            f"{self._json_url}/{identity}",
            subprotocols=[Subprotocol("ocpp1.6")],
            compression=None,
            proxy=None,
            open_timeout=AT_MOST,
        ) as socket:
            ready.set()
            async for text in socket:
                message_id = msgspec.json.decode(text)[1]
                await socket.send(framed(message_id, self._outcome(identity)))

    async def _called(self, content: bytes) -> HttpAnswer:
        text = content.decode()
        assert called(text)[0] == "Reset"
        identity = text.partition("chargeBoxIdentity")[2].partition(">")[2].partition("<")[0]
        what = self._outcome(identity)
        if what == "error":
            return HttpAnswer("500 Internal Server Error", fault(text, "InternalError").encode())
        if what == "unreadable":
            return HttpAnswer("200 OK", enveloped(text, "<p:resetResponse/>").encode())
        return HttpAnswer("200 OK", replied(text, {"status": what.capitalize()}).encode())


@pytest.fixture
def crowd(system: "System") -> Iterator[Crowd]:
    made = Crowd(system.json_url)
    yield made
    system.run(made.stop())


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_five_hundred(system: "System", crowd: Crowd) -> None:
    ChargePoint.objects.bulk_create(
        ChargePoint(identity=f"J-{number}", transport="json", security_profile=0)
        for number in range(EACH)
    )
    port = system.run(crowd.start([f"J-{number}" for number in range(EACH)]), AT_MOST)
    ChargePoint.objects.bulk_create(
        ChargePoint(
            identity=f"S-{number}",
            transport="soap",
            security_profile=0,
            callback_url=f"http://127.0.0.1:{port}/{number}",
            last_seen=datetime.now(UTC),
        )
        for number in range(EACH)
    )
    ChargePoint.objects.create(identity="R-1", registration="Rejected")
    system.deliver(AT_ONCE)
    batch = batch_send(charge_points=ChargePoint.objects.all(), request=request("Reset"), by="ann")
    assert batch.refused == [["R-1", "R-1 is Rejected: nothing is sent to it."]]
    under_way = batch.commands.filter(state__in=["queued", "sent"])
    wait_for(lambda: not under_way.exists(), AT_MOST)
    for command in batch.commands.select_related("charge_point"):
        identity = command.charge_point.identity
        assert command.state == STATES[number_of(identity) % 4], identity
        assert bool(command.raw_answer) is (command.state == "error"), identity
    assert set(crowd.calls.values()) == {1}
    assert len(crowd.calls) == 2 * EACH
    assert CommandEvent.objects.filter(command__batch=batch).count() == 3 * 2 * EACH
    ids = set(batch.commands.values_list("message_id", flat=True))
    assert len(ids) == 2 * EACH

    crowd.wrong = False
    again = batch_repeat(batch=batch, by="bob")
    assert again.commands.count() == 2 * sum(n % 4 > 0 for n in range(EACH))
    wait_for(lambda: not again.commands.exclude(state="accepted").exists(), AT_MOST)
