"""The configuration of simulated charge points of both transports: read, kept, set, repaired."""

from typing import TYPE_CHECKING, Any

import pytest

from csms.models import ChargePoint, Command, ConfigurationKey, ConfigurationState, Message
from csms.services.commands import command_send, obstacle, request_of
from csms.services.configuration import configuration_read
from csms.services.configuration_templates import (
    Why,
    drift_repair,
    drifts_of,
    template_add,
)
from tests import factories
from tests.running import wait_for
from tests.simulated import simulated

if TYPE_CHECKING:
    from tests.running import System

pytestmark = pytest.mark.django_db(transaction=True)

BOTH = pytest.mark.parametrize("transport", ["json", "soap"])


def charge_point(transport: str, **columns: Any) -> ChargePoint:
    return factories.charge_point(transport=transport, last_seen=None, **columns)


def quiet(row: ChargePoint) -> list[Command]:
    """All commands of a charge point, once none waits any more."""
    own = Command.objects.filter(charge_point=row)
    wait_for(lambda: own.exists() and not own.filter(state__in=["queued", "sent"]).exists())
    return list(own.order_by("id"))


def read(row: ChargePoint) -> list[Command]:
    configuration_read(charge_points=[ChargePoint.objects.get(pk=row.pk)], by="test")
    return quiet(row)


def kept(row: ChargePoint, key: str) -> ConfigurationKey:
    return ConfigurationKey.objects.get(charge_point=row, folded=key.casefold())


@BOTH
def test_n36_a_whole_configuration_is_read_and_kept(system: "System", transport: str) -> None:
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row):
        (command,) = read(row)
    assert command.payload == {}
    interval = kept(row, "heartbeatinterval")
    assert (interval.key, interval.value, interval.readonly) == ("HeartbeatInterval", "300", False)
    assert kept(row, "NumberOfConnectors").readonly is True
    assert ConfigurationState.objects.get(charge_point=row).read_at is not None
    row.refresh_from_db()
    assert row.feature_profiles.startswith("Core,")


@BOTH
def test_n36_by_name_in_chunks_of_what_it_takes(system: "System", transport: str) -> None:
    """One that dies of a question for all keys is asked for GetConfigurationMaxKeys, then for so
    many at a time."""
    row = charge_point(transport, configuration_by_name=True)
    system.deliver()
    with simulated(system, row) as charger:
        charger.configuration["GetConfigurationMaxKeys"] = "20"
        charger.configuration.tells_all = False
        commands = read(row)
    assert {command.state for command in commands} == {"accepted"}
    sizes = [len(command.payload["key"]) for command in commands]
    assert (sizes[0], max(sizes)) == (1, 20)
    assert commands[0].payload["key"] == ["GetConfigurationMaxKeys"]
    asked = [key for command in commands for key in command.payload["key"]]
    assert len(asked) == len(set(asked))
    assert not any("authorizationkey" in key.casefold() for key in asked)
    assert kept(row, "HeartbeatInterval").value == "300"
    unknown = kept(row, "BlinkRepeat")
    assert (unknown.known, unknown.value) == (False, "")
    assert ConfigurationState.objects.get(charge_point=row).read_at is not None


@BOTH
def test_n36_one_without_the_limit_is_asked_in_small_chunks(
    system: "System", transport: str
) -> None:
    row = charge_point(transport, configuration_by_name=True)
    system.deliver()
    with simulated(system, row) as charger:
        charger.configuration.remove("GetConfigurationMaxKeys")
        commands = read(row)
    assert {len(command.payload["key"]) for command in commands[1:-1]} == {10}
    assert kept(row, "HeartbeatInterval").value == "300"


@BOTH
def test_what_is_set_is_kept_and_read_back(system: "System", transport: str) -> None:
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        for key, value in (("HeartbeatInterval", "60"), ("WebSocketPingInterval", "7")):
            change = request_of("ChangeConfiguration", {"key": key, "value": value})
            command_send(charge_point=row, request=change)
            quiet(row)
        assert charger.configuration["HeartbeatInterval"] == "60"
    interval = kept(row, "HeartbeatInterval")
    assert (interval.value, interval.pending_at) == ("60", None)
    assert interval.read_at is not None


@BOTH
def test_drift_is_listed_and_repaired_in_order(system: "System", transport: str) -> None:
    template_add(
        name="All",
        values=[
            ["MeterValueSampleInterval", "30"],
            ["NumberOfConnectors", "9"],
            ["Colour", "blue"],
            ["HeartbeatInterval", "120"],
            ["LocalPreAuthorize", "FALSE"],
        ],
    )
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        assert {drift.why for drift in drifts_of([row])[row.pk]} == {Why.UNREAD}
        read(row)
        found = [(drift.wish.key, drift.actual, drift.why) for drift in drifts_of([row])[row.pk]]
        assert found == [
            ("MeterValueSampleInterval", "10", Why.DIFFERS),
            ("NumberOfConnectors", "2", Why.READ_ONLY),
            ("Colour", None, Why.UNKNOWN),
            ("HeartbeatInterval", "300", Why.DIFFERS),
        ]
        done = drift_repair(charge_points=[row], by="test")
        again = drift_repair(charge_points=[row], by="test")
        assert [batch.payload["key"] for batch in done.batches] == [
            "MeterValueSampleInterval",
            "HeartbeatInterval",
        ]
        assert [sentence.split(":")[0] for _, sentence in done.left] == [
            "NumberOfConnectors",
            "Colour",
        ]
        assert again.batches == []
        quiet(row)
        assert charger.configuration["MeterValueSampleInterval"] == "30"
        assert charger.configuration["HeartbeatInterval"] == "120"
    sent = Command.objects.filter(action="ChangeConfiguration").order_by("sent_at")
    assert [command.payload["key"] for command in sent] == [
        "MeterValueSampleInterval",
        "HeartbeatInterval",
    ]
    assert [drift.why for drift in drifts_of([row])[row.pk]] == [Why.READ_ONLY, Why.UNKNOWN]


@BOTH
def test_what_needs_a_reboot_is_told(system: "System", transport: str) -> None:
    template_add(name="Pings", values=[["WebSocketPingInterval", "7"]])
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        charger.configuration.holds_after_reboot = True
        read(row)
        drift_repair(charge_points=[row])
        quiet(row)
        (drift,) = drifts_of([ChargePoint.objects.get(pk=row.pk)])[row.pk]
        assert (drift.actual, drift.why) == ("30", Why.REBOOT)
        command_send(charge_point=row, request=request_of("Reset", {"type": "Soft"}))
        booted_at = ChargePoint.objects.get(pk=row.pk).booted_at
        wait_for(lambda: ChargePoint.objects.get(pk=row.pk).booted_at != booted_at)
        (drift,) = drifts_of([ChargePoint.objects.get(pk=row.pk)])[row.pk]
        assert drift.why is Why.UNREAD
        read(row)
    assert drifts_of([ChargePoint.objects.get(pk=row.pk)])[row.pk] == []


@BOTH
def test_n36_a_list_takes_as_many_items_as_is_known(system: "System", transport: str) -> None:
    """Without a known MaxLength one item, or as many as it has."""
    row = charge_point(transport)
    system.deliver()
    many = "Voltage,SoC,Temperature"
    change = request_of("ChangeConfiguration", {"key": "StopTxnSampledData", "value": many})
    sampled = request_of("ChangeConfiguration", {"key": "MeterValuesSampledData", "value": many})
    with simulated(system, row):
        assert "takes 1 item in MeterValuesSampledData" in obstacle(row, sampled)
        read(row)
        assert obstacle(row, sampled) == ""
        assert "takes 1 item in StopTxnSampledData" in obstacle(row, change)


@BOTH
def test_secrets_are_nowhere(system: "System", transport: str) -> None:
    """WP A01.FR.09: what a charge point tells of its secrets is neither kept, logged nor shown."""
    canary = "canary-4711"
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        for name in ("StationPassword", "SimPIN", "ApiToken"):
            charger.configuration.add(name, canary)
        charger.configuration.add("Backend", f"ftp://me:{canary}@host/x")
        read(row)
        change = request_of("ChangeConfiguration", {"key": "SimPIN", "value": canary})
        command_send(charge_point=row, request=change)
        quiet(row)
    assert kept(row, "StationPassword").value == ""
    system.written()
    for model in (ConfigurationKey, Command, Message):
        for values in model.objects.values():
            assert canary not in str(values)
