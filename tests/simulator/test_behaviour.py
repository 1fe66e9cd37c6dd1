"""What the operations do, besides answering."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csms.ocpp.types import ChargePointStatus, Reason
from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.clock import Clock
from csms.simulator.json import JsonTransport
from csms.simulator.plan import Plan
from tests.simulator import calls
from tests.simulator.central import JsonCentral, eventually
from tests.simulator.certificate import ROOT

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def charging_point(**plan: Any) -> AsyncIterator[tuple[JsonCentral, SimulatedChargePoint]]:
    """A central system and a registered charge point; a minute takes 0.3 s."""
    async with (
        JsonCentral() as central,
        SimulatedChargePoint(
            "CP",
            transport=JsonTransport(central.url, first_wait=0.01),
            clock=Clock(speed=200),
            plan=Plan(**plan),
        ) as cp,
    ):
        await cp.register()
        yield central, cp


async def status_of(central: JsonCentral, action: str, **payload: Any) -> str:
    answer = await central.call(action, payload)
    return str(answer[2]["status"])


def statuses(central: JsonCentral, connector: int) -> list[str]:
    seen = central.seen("StatusNotification")
    return [p["status"] for p in seen if p["connectorId"] == connector]


async def test_remote_start_and_stop() -> None:
    async with charging_point(charge=3600, interval=10) as (central, cp):
        assert await status_of(central, "RemoteStartTransaction", connectorId=1, idTag="A") == (
            "Accepted"
        )
        (started,) = await central.until("StartTransaction")
        assert started["idTag"] == "A"
        await central.until("MeterValues", 2)
        busy = await status_of(central, "RemoteStartTransaction", connectorId=1, idTag="B")
        assert busy == "Rejected"
        stopped = await status_of(central, "RemoteStopTransaction", transactionId=101)
        assert stopped == "Accepted"
        (stop,) = await central.until("StopTransaction")
        assert stop["transactionId"] == 101
        assert stop["reason"] == "Remote"
        assert stop["meterStop"] > 0
        await central.until("StatusNotification", 4)
        assert statuses(central, 1) == ["Preparing", "Charging", "Finishing", "Available"]
        assert cp.failures == []


async def test_remote_start_is_refused_while_pending() -> None:
    async with JsonCentral() as central:
        boots = iter(["Pending", "Accepted"])
        central.decide["BootNotification"] = lambda _: {
            "status": next(boots),
            "currentTime": "2026-01-02T03:04:05Z",
            "interval": 1000,
        }
        clock = Clock(speed=200)
        async with SimulatedChargePoint(
            "CP", transport=JsonTransport(central.url), clock=clock
        ) as cp:
            work = cp.spawn(cp.register())
            await central.until("BootNotification")
            assert await status_of(central, "RemoteStartTransaction", idTag="A") == "Rejected"
            assert await status_of(central, "TriggerMessage", requestedMessage="BootNotification")
            await work  # the triggered boot ends the wait of 1000 s
            assert cp.registered.is_set()


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
async def test_reset_stops_transactions_and_boots_anew(kind: str) -> None:
    async with charging_point() as (central, cp):
        await cp.start(1, "A")
        assert await status_of(central, "Reset", type=kind) == "Accepted"
        await central.until("BootNotification", 2)
        (stop,) = await central.until("StopTransaction")
        assert stop["reason"] == f"{kind}Reset"
        await central.until("StatusNotification", 3)
        order = [name for name, _ in central.calls]
        last_boot = len(order) - 1 - order[::-1].index("BootNotification")
        assert (order.index("StopTransaction") < last_boot) is (kind == "Soft")
        assert isinstance(cp.transport, JsonTransport)
        assert cp.transport.connections == 2


async def test_availability_is_scheduled_while_charging() -> None:
    async with charging_point(charge=3600) as (central, _):
        await central.call("RemoteStartTransaction", {"connectorId": 1, "idTag": "A"})
        await central.until("StartTransaction")
        change = {"connectorId": 0, "type": "Inoperative"}
        assert (await central.call("ChangeAvailability", change))[2]["status"] == "Scheduled"
        await central.call("RemoteStopTransaction", {"transactionId": 101})
        await eventually(lambda: statuses(central, 1)[-1:] == ["Unavailable"])
        assert statuses(central, 2) == ["Unavailable"]
        assert await status_of(central, "ChangeAvailability", connectorId=9, type="Operative") == (
            "Rejected"
        )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("METERVALUESAMPLEINTERVAL", "7", "Accepted"),
        ("MeterValueSampleInterval", "soon", "Rejected"),
        ("NumberOfConnectors", "7", "Rejected"),
        ("WebSocketPingInterval", "7", "RebootRequired"),
        ("Colour", "blue", "NotSupported"),
    ],
)
async def test_change_configuration(key: str, value: str, expected: str) -> None:
    async with charging_point() as (central, _):
        assert await status_of(central, "ChangeConfiguration", key=key, value=value) == expected


async def test_the_authorization_key_is_used_and_never_read() -> None:
    async with charging_point() as (central, _):
        key = "00112233445566778899AABBCCDDEEFF"
        await central.call("ChangeConfiguration", {"key": "AuthorizationKey", "value": key})
        await eventually(lambda: len(central.authorization) == 2)
        first, second = central.authorization
        assert first is None
        assert second is not None
        assert second.startswith("Basic ")
        await central.until("BootNotification")
        read = await central.call("GetConfiguration", {"key": ["AuthorizationKey"]})
        assert read[2] == {"configurationKey": [{"key": "AuthorizationKey", "readonly": False}]}


async def test_reservation_holds_and_expires() -> None:
    async with charging_point() as (central, cp):
        expiry = datetime.now(UTC) + timedelta(seconds=60)
        reservation = {"connectorId": 1, "idTag": "A", "reservationId": 5}
        reservation["expiryDate"] = expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert await status_of(central, "ReserveNow", **reservation) == "Accepted"
        start = {"connectorId": 1, "idTag": "B"}
        assert await status_of(central, "RemoteStartTransaction", **start) == "Rejected"
        other = reservation | {"reservationId": 6}
        assert await status_of(central, "ReserveNow", **other) == "Occupied"
        await central.until("StatusNotification", 2)  # 60 s take 0.3 s here
        assert statuses(central, 1) == ["Reserved", "Available"]
        assert cp.connectors[1].reservation is None
        assert await status_of(central, "CancelReservation", reservationId=5) == "Rejected"


async def test_a_reservation_is_used_by_its_id_tag() -> None:
    async with charging_point() as (central, _):
        await central.call("ReserveNow", calls.CORE["ReserveNow"][0])
        await central.call("RemoteStartTransaction", {"connectorId": 1, "idTag": "tag"})
        (started,) = await central.until("StartTransaction")
        assert started["reservationId"] == 1


async def test_unlocking_stops_the_transaction() -> None:
    async with charging_point() as (central, cp):
        await cp.start(1, "A")
        assert await status_of(central, "UnlockConnector", connectorId=1) == "Unlocked"
        (stop,) = await central.until("StopTransaction")
        assert stop["reason"] == "UnlockCommand"
        assert await status_of(central, "UnlockConnector", connectorId=9) == "NotSupported"
        cp.connectors[2].lock_broken = True
        assert await status_of(central, "UnlockConnector", connectorId=2) == "UnlockFailed"


@pytest.mark.parametrize(
    ("wanted", "action"),
    [
        ("BootNotification", "BootNotification"),
        ("DiagnosticsStatusNotification", "DiagnosticsStatusNotification"),
        ("FirmwareStatusNotification", "FirmwareStatusNotification"),
        ("Heartbeat", "Heartbeat"),
        ("MeterValues", "MeterValues"),
        ("StatusNotification", "StatusNotification"),
    ],
)
async def test_triggered_messages_come(wanted: str, action: str) -> None:
    async with charging_point() as (central, _):
        before = len(central.seen(action))
        assert await status_of(central, "TriggerMessage", requestedMessage=wanted) == "Accepted"
        await central.until(action, before + 1)
        trigger = {"requestedMessage": wanted, "connectorId": 9}
        assert await status_of(central, "TriggerMessage", **trigger) == "Rejected"


async def test_a_triggered_signing_request_comes() -> None:
    async with charging_point() as (central, _):
        trigger = {"requestedMessage": "SignChargePointCertificate"}
        assert await status_of(central, "ExtendedTriggerMessage", **trigger) == "Accepted"
        (request,) = await central.until("SignCertificate")
        assert request["csr"].startswith("-----BEGIN CERTIFICATE REQUEST-----")


async def test_local_list_versions() -> None:
    async with charging_point() as (central, cp):
        entry = {"idTag": "A", "idTagInfo": {"status": "Accepted"}}

        async def send(version: int, kind: str, *entries: dict[str, Any]) -> str:
            listed = {"localAuthorizationList": list(entries)} if entries else {}
            return await status_of(
                central, "SendLocalList", listVersion=version, updateType=kind, **listed
            )

        assert await send(2, "Full", entry) == "Accepted"
        assert await send(2, "Differential") == "VersionMismatch"
        assert await send(3, "Full", {"idTag": "B"}) == "Failed"
        assert await send(0, "Full") == "Failed"
        assert await send(3, "Differential", {"idTag": "a"}, entry | {"idTag": "C"}) == "Accepted"
        assert set(cp.local_list.entries) == {"c"}
        assert (await central.call("GetLocalListVersion", {}))[2] == {"listVersion": 3}


async def test_certificates_are_kept_and_deleted() -> None:
    async with charging_point() as (central, _):
        use = "CentralSystemRootCertificate"
        install = {"certificateType": use, "certificate": ROOT}
        assert await status_of(central, "InstallCertificate", **install) == "Accepted"
        bad = install | {"certificate": "none"}
        assert await status_of(central, "InstallCertificate", **bad) == "Rejected"
        listed = (await central.call("GetInstalledCertificateIds", {"certificateType": use}))[2]
        (name,) = listed["certificateHashData"]
        assert await status_of(central, "DeleteCertificate", certificateHashData=name) == "Accepted"
        assert await status_of(central, "GetInstalledCertificateIds", certificateType=use) == (
            "NotFound"
        )


async def test_a_bad_chain_is_a_security_event() -> None:
    async with charging_point() as (central, _):
        assert await status_of(central, "CertificateSigned", certificateChain="x") == "Rejected"
        (event,) = await central.until("SecurityEventNotification")
        assert event["type"] == "InvalidChargePointCertificate"


@pytest.mark.parametrize(
    ("action", "notification", "expected"),
    [
        (
            "UpdateFirmware",
            "FirmwareStatusNotification",
            ["Downloading", "Downloaded", "Installing", "Installed"],
        ),
        (
            "SignedUpdateFirmware",
            "SignedFirmwareStatusNotification",
            ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"],
        ),
        ("GetDiagnostics", "DiagnosticsStatusNotification", ["Uploading", "Uploaded"]),
        ("GetLog", "LogStatusNotification", ["Uploading", "Uploaded"]),
    ],
)
async def test_procedures(action: str, notification: str, expected: list[str]) -> None:
    async with charging_point() as (central, cp):
        await central.call(action, (calls.CORE | calls.SECURITY)[action][0])
        seen = await central.until(notification, len(expected))
        assert [p["status"] for p in seen] == expected
        assert (cp.firmware_version == "1.0.1") is ("Firmware" in action)


async def test_procedures_that_fail() -> None:
    async with charging_point() as (central, _):
        nobody = "http://127.0.0.1:1/x"  # the discard port: nothing listens
        await central.call("GetDiagnostics", {"location": nobody, "retries": 1})
        seen = await central.until("DiagnosticsStatusNotification", 2)
        assert seen[-1]["status"] == "UploadFailed"
        update = {"location": nobody, "retrieveDate": "2020-01-01T00:00:00Z"}
        await central.call("UpdateFirmware", update)
        seen = await central.until("FirmwareStatusNotification", 2)
        assert seen[-1]["status"] == "DownloadFailed"


async def test_profiles_limit_and_are_cleared() -> None:
    async with charging_point() as (central, cp):
        set_it = {"connectorId": 1, "csChargingProfiles": calls.PROFILE}
        assert await status_of(central, "SetChargingProfile", **set_it) == "Accepted"
        tx = calls.PROFILE | {"chargingProfilePurpose": "TxProfile"}
        refused = {"connectorId": 1, "csChargingProfiles": tx}
        assert await status_of(central, "SetChargingProfile", **refused) == "Rejected"
        asked = {"connectorId": 1, "duration": 120, "chargingRateUnit": "A"}
        schedule = (await central.call("GetCompositeSchedule", asked))[2]["chargingSchedule"]
        assert schedule["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 15.9},  # the charge point itself has 11 kW
            {"startPeriod": 60, "limit": 6.3},
        ]
        assert await status_of(central, "ClearChargingProfile", connectorId=2) == "Unknown"
        assert await status_of(central, "ClearChargingProfile") == "Accepted"
        assert cp.connectors[1].profiles == {}


async def test_api_of_the_charge_point() -> None:
    async with charging_point() as (central, cp):
        await cp.status(1, ChargePointStatus.PREPARING)
        transaction = await cp.start(1, "A")
        await cp.meter(1, wh=1500, watts=11000)
        await cp.stop(1, Reason.EV_DISCONNECTED, id_tag="A")
        assert transaction.id == 101
        (values,) = central.seen("MeterValues")
        assert values["transactionId"] == 101
        samples = values["meterValue"][0]["sampledValue"]
        assert {s["measurand"]: s["value"] for s in samples}["SoC"] == "20"
        assert len(samples) == 6
        assert samples[0]["value"] == "1500"
        (stop,) = central.seen("StopTransaction")
        assert (stop["meterStop"], stop["reason"], stop["idTag"]) == (1500, "EVDisconnected", "A")
        assert all(entry.acknowledged for entry in cp.journal.sent())


async def test_two_starts_in_one_second_can_be_told_apart() -> None:
    async with charging_point() as (central, cp):
        for _ in range(3):
            await cp.start(1, "A")
            await cp.stop(1)
        starts = central.seen("StartTransaction")
        assert len({(start["timestamp"], start["meterStart"]) for start in starts}) == 3
