"""What becomes of messages when the central system is away, refuses or is slow."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import serve

from csms.ocpp.types import AuthorizationStatus
from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.clock import Clock
from csms.simulator.journal import Journal
from csms.simulator.json import JsonTransport
from csms.simulator.misbehaviour import Misbehaviour
from csms.simulator.soap import SoapTransport
from csms.simulator.transport import CallFailed, NoAnswer
from tests.simulator.central import Failed, JsonCentral, SoapCentral, eventually

pytestmark = pytest.mark.anyio
FAST = Clock(speed=500)


def json_charge_point(central: JsonCentral, **options: Any) -> SimulatedChargePoint:
    transport = JsonTransport(central.url, first_wait=0.5, longest_wait=1, **options)
    return SimulatedChargePoint("CP", transport=transport, clock=FAST)


async def test_transactions_are_kept_while_json_is_away() -> None:
    async with JsonCentral() as central:
        async with json_charge_point(central) as cp:
            await cp.register()
            await central.close()
            await eventually(lambda: not cp.transport.reachable)
            transaction = cp.begin(1, "A")
            for _ in range(3):
                cp.connectors[1].meter += 100
                cp.send_reading(1)
            begun = transaction.started_at
            last = cp.end(1)
            await asyncio.sleep(0.1)
            assert len(cp.outbox) == 5
            await central.listen()
            async with asyncio.timeout(5):
                await last
        order = [name for name, _ in central.calls if name != "BootNotification"]
        assert order == ["StartTransaction", *["MeterValues"] * 3, "StopTransaction"]
        (start,), (stop,) = central.seen("StartTransaction"), central.seen("StopTransaction")
        assert start["timestamp"] == begun.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert stop["transactionId"] == 101
        assert {p["transactionId"] for p in central.seen("MeterValues")} == {101}
        assert len(central.seen("BootNotification")) == 1  # a reconnection is no boot
        assert cp.failures == []


async def test_transactions_are_kept_while_soap_is_away() -> None:
    async with SoapCentral() as central:
        transport = SoapTransport(central.url)
        async with SimulatedChargePoint("CP", transport=transport, clock=FAST) as cp:
            await cp.register()
            central.status = "503 Service Unavailable"
            start = asyncio.create_task(cp.start(1, "A"))
            await asyncio.sleep(0.1)
            assert not start.done()
            assert not transport.reachable
            with pytest.raises(NoAnswer, match="503"):
                await cp.heartbeat()
            central.status = "200 OK"
            async with asyncio.timeout(5):
                assert (await start).id == 101
                await cp.stop(1)
        assert len(central.seen("StartTransaction")) == 1
        assert cp.failures == []


@pytest.mark.parametrize("transport", ["json", "soap"])
async def test_a_lost_answer_is_asked_for_again(transport: str) -> None:
    made: JsonCentral | SoapCentral = JsonCentral() if transport == "json" else SoapCentral()
    async with made as central:
        line: Any = JsonTransport if transport == "json" else SoapTransport
        async with SimulatedChargePoint("CP", transport=line(central.url), clock=FAST) as cp:
            await cp.register()
            cp.misbehave("StartTransaction", Misbehaviour(drop=True))
            async with asyncio.timeout(5):
                await cp.start(1, "A")
            sent = cp.journal.sent("StartTransaction")
            assert [entry.acknowledged for entry in sent] == [False, True]
            assert sent[0].payload == sent[1].payload
            assert sent[0].message_id != sent[1].message_id


async def test_refused_transaction_messages_are_given_up_after_their_attempts() -> None:
    async with JsonCentral() as central:

        def refuse(_: dict[str, Any]) -> None:
            raise Failed("InternalError")

        central.decide["StartTransaction"] = refuse
        async with json_charge_point(central) as cp:
            await cp.register()
            async with asyncio.timeout(5):
                transaction = await cp.start(1, "A")
                await cp.stop(1)
        assert len(central.seen("StartTransaction")) == 3
        assert transaction.id == -1
        (stop,) = central.seen("StopTransaction")
        assert stop["transactionId"] == -1  # errata 3.18
        assert "given up" in cp.failures[0]


@pytest.mark.parametrize("transport", ["json", "soap"])
async def test_errors_of_the_central_system(transport: str) -> None:
    made: JsonCentral | SoapCentral = JsonCentral() if transport == "json" else SoapCentral()
    async with made as central:

        def refuse(_: dict[str, Any]) -> None:
            raise Failed("SecurityError")

        central.decide["Heartbeat"] = refuse
        central.decide["Authorize"] = lambda _: {"idTagInfo": {"status": "Sleepy"}}
        line: Any = JsonTransport if transport == "json" else SoapTransport
        async with SimulatedChargePoint("CP", transport=line(central.url), clock=FAST) as cp:
            await cp.register()
            with pytest.raises(CallFailed, match="SecurityError: told to fail"):
                await cp.heartbeat()
            with pytest.raises(CallFailed):
                await cp.authorize("A")
            assert len(cp.failures) == 1


async def test_it_can_delay_refuse_and_keep_silent() -> None:
    async with JsonCentral() as central, json_charge_point(central) as cp:
        await cp.register()
        cp.misbehave("ClearCache", Misbehaviour(error="GenericError"))
        cp.misbehave("ClearCache", Misbehaviour(silent=True))
        cp.misbehave("ClearCache", Misbehaviour(delay=50))  # 0.1 s here
        assert (await central.call("ClearCache", {}))[2] == "GenericError"
        with pytest.raises(TimeoutError):
            await central.call("ClearCache", {}, timeout=0.1)
        slow = asyncio.create_task(central.call("ClearCache", {}))
        fast = await central.call("GetLocalListVersion", {})
        assert fast[0] == 3
        assert not slow.done()
        assert (await slow)[2] == {"status": "Accepted"}
        cp.misbehave("ClearCache", Misbehaviour(drop=True))
        with pytest.raises(TimeoutError):
            await central.call("ClearCache", {}, timeout=0.1)
        received = cp.journal.received("ClearCache")
        assert [entry.acknowledged for entry in received] == [False, False, True, False]


async def test_soap_can_refuse_and_keep_silent() -> None:
    async with SoapCentral() as central:
        transport = SoapTransport(central.url)
        async with SimulatedChargePoint("CP", transport=transport, clock=FAST) as cp:
            cp.misbehave("ClearCache", Misbehaviour(error="InternalError"))
            cp.misbehave("ClearCache", Misbehaviour(drop=True))
            cp.misbehave("ClearCache", Misbehaviour(silent=True))
            url = transport.callback_url
            status, _, _ = await central.call("CP", url, "ClearCache", {})
            assert status.startswith("500")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await central.call("CP", url, "ClearCache", {})
            with pytest.raises(TimeoutError):
                await central.call("CP", url, "ClearCache", {}, timeout=0.1)


async def test_it_answers_while_its_own_call_waits() -> None:
    async with JsonCentral() as central, json_charge_point(central, call_timeout=0.3) as cp:
        await cp.register()
        assert central.socket is not None
        real_send, held = central.socket.send, asyncio.Event()

        async def hold(frame: Any, **options: Any) -> None:
            if '"currentTime"' not in frame:
                await real_send(frame, **options)
            held.set()

        central.socket.send = hold  # type: ignore[method-assign,assignment]
        waiting = asyncio.create_task(cp.heartbeat())
        await held.wait()
        assert (await central.call("ClearCache", {}))[0] == 3
        assert not waiting.done()
        with pytest.raises(NoAnswer, match="no answer within"):
            await waiting


async def test_offline_authorization() -> None:
    async with JsonCentral() as central, json_charge_point(central) as cp:
        await cp.register()
        central.decide["Authorize"] = lambda _: {"idTagInfo": {"status": "Blocked"}}
        await cp.authorize("KNOWN")
        await central.close()
        assert (await cp.authorize("known")).status is AuthorizationStatus.BLOCKED
        assert (await cp.authorize("new")).status is AuthorizationStatus.ACCEPTED
        cp.configuration["AllowOfflineTxForUnknownId"] = "false"
        assert (await cp.authorize("new")).status is AuthorizationStatus.INVALID


async def test_a_refused_handshake_is_told() -> None:
    async with serve(
        lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=_not_found
    ) as fake:
        port = next(iter(fake.sockets)).getsockname()[1]
        events: list[str] = []
        transport = JsonTransport(f"ws://127.0.0.1:{port}", first_wait=1)
        async with SimulatedChargePoint(
            "CP", transport=transport, clock=FAST, on_event=events.append
        ):
            await eventually(lambda: len(events) >= 2)
        assert transport.refused_with == 404
        assert events[:2] == ["CP: handshake refused with HTTP 404"] * 2


def _not_found(connection: Any, _: Any) -> Any:
    return connection.respond(404, "unknown\n")


async def test_the_journal_is_a_file_of_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonCentral() as central:
        journal = Journal(path)
        transport = JsonTransport(central.url)
        async with SimulatedChargePoint("CP", transport=transport, journal=journal) as cp:
            await cp.boot()
            await central.call("ClearCache", {})
        journal.close()
    sent, received = map(json.loads, path.read_text().splitlines())
    assert (sent["direction"], sent["action"]) == ("sent", "BootNotification")
    assert sent["reply"]["status"] == "Accepted"
    assert (received["direction"], received["reply"]) == ("received", {"status": "Accepted"})
