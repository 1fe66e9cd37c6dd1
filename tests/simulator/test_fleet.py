"""Fleets, and the command that runs one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csms.simulator import fleet
from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.clock import Clock
from csms.simulator.json import JsonTransport
from csms.simulator.plan import Plan
from csms.simulator.soap import SoapTransport
from tests.simulator.central import JsonCentral, SoapCentral, eventually

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]


def charge_points(json: JsonCentral, soap: SoapCentral, **plan: Any) -> list[SimulatedChargePoint]:
    options: dict[str, Any] = {"clock": Clock(speed=300), "plan": Plan(**plan), "seed": 1}
    return [
        SimulatedChargePoint("J-1", transport=JsonTransport(json.url), **options),
        SimulatedChargePoint("S-1", transport=SoapTransport(soap.url), **options),
    ]


async def test_sessions_from_boot_to_available() -> None:
    async with JsonCentral() as json, SoapCentral() as soap:
        fleets = charge_points(json, soap, sessions=2, charge=30, interval=10, idle=1)
        reports = await fleet.run(fleets)
        assert [(r.sessions, r.failed, r.undelivered) for r in reports] == [(4, False, 0)] * 2
        for central in (json, soap):
            order = [name for name, _ in central.calls]
            assert order[:4] == ["BootNotification", *["StatusNotification"] * 3]
            assert order.count("StartTransaction") == order.count("StopTransaction") == 4
            assert order.count("MeterValues") == 12
            seen = [
                p["status"]
                for p in central.seen("StatusNotification")
                if str(p["connectorId"]) == "1"
            ]
            session = ["Preparing", "Charging", "Finishing", "Available"]
            assert seen == ["Available", *session, *session]
        assert [r.energy for r in reports] == [366, 366]  # 11 kW, 4 times 30 s


async def test_the_duration_ends_what_still_charges() -> None:
    async with JsonCentral() as json, SoapCentral() as soap:
        fleets = charge_points(json, soap, sessions=0, charge=100000, idle=1)
        reports = await fleet.run(fleets, duration=0.5)
        assert not any(r.failed for r in reports)
        for central in (json, soap):
            assert (
                len(central.seen("StopTransaction")) == len(central.seen("StartTransaction")) == 2
            )


async def test_an_id_tag_that_is_not_accepted_does_not_charge() -> None:
    async with JsonCentral() as json, SoapCentral() as soap:
        json.decide["Authorize"] = lambda _: {"idTagInfo": {"status": "Blocked"}}
        soap.decide["StartTransaction"] = lambda _: {
            "transactionId": 5,
            "idTagInfo": {"status": "ConcurrentTx"},
        }
        reports = await fleet.run(charge_points(json, soap, charge=30, idle=1))
        assert [(r.sessions, r.refused) for r in reports] == [(0, 2), (2, 0)]
        assert json.seen("StartTransaction") == []
        assert {p["reason"] for p in soap.seen("StopTransaction")} == {"DeAuthorized"}
        assert soap.seen("MeterValues") == []
        assert {p["meterStop"] for p in soap.seen("StopTransaction")} == {"0"}


async def test_pending_and_rejected_are_waited_for() -> None:
    async with JsonCentral() as json, SoapCentral() as soap:
        for central in (json, soap):
            answers = iter(["Pending", "Rejected", "Accepted"])
            central.decide["BootNotification"] = lambda _, answers=answers: {  # type: ignore[misc]
                "status": next(answers),
                "currentTime": "2026-01-02T03:04:05Z",
                "interval": 30,
            }
        reports = await fleet.run(charge_points(json, soap, charge=10, idle=1))
        assert not any(r.failed for r in reports)
        for central in (json, soap):
            assert [name for name, _ in central.calls][:3] == ["BootNotification"] * 3


async def test_who_was_never_accepted_has_failed() -> None:
    async with JsonCentral() as json, SoapCentral() as soap:
        await json.close()
        fleets = charge_points(json, soap, charge=10, idle=1)
        reports = await fleet.run(fleets, duration=0.3)
        assert reports[0].failed
        assert "FAILED" in str(reports[0])
        await json.listen()


async def test_heartbeats_follow_the_interval() -> None:
    async with JsonCentral() as json:
        json.decide["BootNotification"] = lambda _: {
            "status": "Accepted",
            "currentTime": "2026-01-02T03:04:05Z",
            "interval": 5,
        }
        clock = Clock(speed=300)
        async with SimulatedChargePoint("J", transport=JsonTransport(json.url), clock=clock) as cp:
            await cp.register()
            cp.spawn(cp.beat())
            await json.until("Heartbeat", 3)


async def simulate(*arguments: str, until: Callable[[], bool] | None = None) -> tuple[int, str]:
    """`manage.py simulate`, told to stop once something is so: its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", "simulate", *arguments),
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if until is not None:
        await eventually(until)
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_command(tmp_path: Path) -> None:
    async with JsonCentral() as json, SoapCentral() as soap:
        urls = ("--ws", json.url, "--soap-url", soap.url)
        code, output = await simulate(
            *urls,
            *("--json", "1", "--soap", "1", "--sessions", "1", "--charge", "30", "--speed", "300"),
            *("--id-tag", "A", "--journal", str(tmp_path / "j"), "--prefix", "T", "--seed", "1"),
            *("--transaction-data",),
        )
        assert code == 0, output
        assert "T-JSON-1 (JSON): ok; 2 sessions" in output
        assert "T-SOAP-1 (SOAP): ok; 2 sessions" in output
        assert "T-JSON-1: connector 1: transaction" in output
        assert len((tmp_path / "j").read_text().splitlines()) == len(json.calls) + len(soap.calls)
        assert all(len(p["transactionData"]) == 2 for p in json.seen("StopTransaction"))
        assert {p["idTag"] for p in soap.seen("StartTransaction")} == {"A"}


async def test_the_command_ends_cleanly_when_told() -> None:
    async with JsonCentral() as json:
        arguments = ("--ws", json.url, "--json", "1", "--soap", "0", "--quiet", "--idle", "0")
        code, output = await simulate(
            *arguments, until=lambda: len(json.seen("StartTransaction")) == 2
        )
        assert code == 0, output
        starts = len(json.seen("StartTransaction"))
        assert starts == len(json.seen("StopTransaction")) == 2
        assert output.startswith("DEMO-JSON-1 (JSON): ok")


async def test_the_command_stays_on_this_machine() -> None:
    code, output = await simulate("--ws", "ws://central.example:9000", "--duration", "1")
    assert code == 1
    assert "--allow-remote" in output


async def test_the_command_fails_with_its_charge_points() -> None:
    code, output = await simulate(
        *("--ws", "ws://127.0.0.1:1", "--soap-url", "http://127.0.0.1:1/", "--duration", "0.5")
    )
    assert code == 1
    assert "4 of 4 charge points failed." in output
