"""Core, what operators begin: remote start and stop, resets, unlocking, configuration, cache."""

from typing import TYPE_CHECKING

import pytest

from csms.models import Transaction
from csms.ocpp.core import (
    RemoteStartStopStatus,
    RemoteStartTransactionResponse,
    UnlockConnectorResponse,
    UnlockStatus,
)
from csms.ocpp.types import AuthorizationStatus, IdTagInfo
from csms.services.commands import CommandRefused

if TYPE_CHECKING:
    from tests.certification.case import Case


def test_tc_010_remote_start_cable_first(case: "Case") -> None:
    case.configure("AuthorizeRemoteTxRequests", "true")
    case.mark()
    case.status("Preparing")
    assert case.asked("RemoteStartTransaction", idTag="TAG", connectorId=1) == "Accepted"
    case.wait_sent("Preparing", "Authorize", "StartTransaction", "Charging")
    row = case.started()
    assert (row.id_tag, row.connector_id, row.authorization) == ("TAG", 1, "Accepted")
    command = case.effect("RemoteStartTransaction")
    assert (command.effect, command.transaction) == ("seen", row)


def test_tc_011_1_remote_start_first(case: "Case") -> None:
    case.mark()
    assert case.asked("RemoteStartTransaction", idTag="TAG") == "Accepted"
    case.wait_sent("Preparing", "StartTransaction", "Charging")
    row = case.started()
    assert case.effect("RemoteStartTransaction").transaction == row
    assert case.connector() == "Charging"


def test_tc_011_2_remote_start_time_out(case: "Case") -> None:
    accepted = RemoteStartTransactionResponse(status=RemoteStartStopStatus.ACCEPTED)
    case.answers("RemoteStartTransaction", accepted)
    assert case.asked("RemoteStartTransaction", idTag="TAG", connectorId=1) == "Accepted"
    case.status("Preparing")
    case.status("Available")
    assert not Transaction.objects.exists()
    assert case.unseen("RemoteStartTransaction") == "Nothing was seen in time."


def test_tc_012_remote_stop(case: "Case") -> None:
    running = case.charge()
    case.mark()
    number = running.transaction_id
    assert case.asked("RemoteStopTransaction", transactionId=number) == "Accepted"
    case.wait_sent("Remote", "Finishing", "Available")
    row = case.stopped()
    assert (row.transaction_id, row.stop_reason) == (number, "Remote")
    command = case.effect("RemoteStopTransaction")
    assert (command.effect, command.transaction) == ("seen", row)


def test_tc_013_hard_reset(case: "Case") -> None:
    _reset(case, "Hard")


def test_tc_014_soft_reset(case: "Case") -> None:
    _reset(case, "Soft")


def _reset(case: "Case", kind: str) -> None:
    case.mark()
    assert case.asked("Reset", type=kind) == "Accepted"
    case.wait_sent("BootNotification", "Available", "Available", "Available")
    command = case.effect("Reset")
    assert (command.effect, command.effect_text) == ("seen", "The charge point has booted.")


def test_tc_017_1_unlock_without_session(case: "Case") -> None:
    case.mark()
    assert case.asked("UnlockConnector", connectorId=1) == "Unlocked"
    command = case.effect("UnlockConnector")
    assert (command.state, command.effect, case.sent()) == ("accepted", "seen", [])


def test_tc_017_2_unlock_without_session_fixed_cable(case: "Case") -> None:
    reply = UnlockConnectorResponse(status=UnlockStatus.NOT_SUPPORTED)
    case.answers("UnlockConnector", reply)
    assert case.send("UnlockConnector", connectorId=1).state == "rejected"


def test_tc_018_1_unlock_with_session(case: "Case") -> None:
    case.charge()
    case.mark()
    assert case.asked("UnlockConnector", connectorId=1) == "Unlocked"
    case.wait_sent("UnlockCommand", "Finishing", "Available")
    assert case.stopped().stop_reason == "UnlockCommand"
    assert case.connector() == "Available"


def test_tc_019_1_get_configuration_all(case: "Case") -> None:
    answer = case.answer("GetConfiguration")
    keys = {item["key"]: item.get("value", "") for item in answer["configurationKey"]}
    assert len(keys) >= 29
    assert keys["HeartbeatInterval"] == "300"
    case.row.refresh_from_db()
    assert case.row.feature_profiles == keys["SupportedFeatureProfiles"]


def test_tc_019_2_get_configuration_one(case: "Case") -> None:
    answer = case.answer("GetConfiguration", key=["SupportedFeatureProfiles"])
    (item,) = answer["configurationKey"]
    assert (item["key"], item["readonly"]) == ("SupportedFeatureProfiles", True)
    case.row.refresh_from_db()
    assert case.row.feature_profiles == item["value"]


def test_tc_021_change_configuration(case: "Case") -> None:
    case.configure("MeterValueSampleInterval", "30")
    command = case.effect("ChangeConfiguration")
    assert (command.effect, command.effect_text) == ("seen", "MeterValueSampleInterval is 30.")
    assert case.charge_point.configuration["MeterValueSampleInterval"] == "30"


def test_tc_026_remote_start_rejected(case: "Case") -> None:
    running = case.charge()
    assert case.asked("RemoteStartTransaction", idTag="TAG", connectorId=1) == "Rejected"
    assert Transaction.objects.get() == running


def test_tc_028_remote_stop_rejected(case: "Case") -> None:
    running = case.charge()
    other = running.transaction_id % 1_000_000 + 1
    command = case.send("RemoteStopTransaction", transactionId=other)
    assert (command.state, command.answer) == ("rejected", {"status": "Rejected"})
    assert case.transaction().state == "open"


def test_tc_030_unlock_failure(case: "Case") -> None:
    case.charge_point.connectors[1].lock_broken = True
    command = case.send("UnlockConnector", connectorId=1)
    assert (command.state, command.answer) == ("rejected", {"status": "UnlockFailed"})


def test_tc_031_unlock_unknown_connector(case: "Case") -> None:
    command = case.send("UnlockConnector", connectorId=9)
    assert (command.state, command.answer) == ("rejected", {"status": "NotSupported"})
    assert not case.row.connectors.filter(connector_id=9).exists()


def test_tc_040_1_configuration_not_supported(case: "Case") -> None:
    command = case.send("ChangeConfiguration", key="NoSuchKey", value="1")
    assert (command.state, command.answer) == ("rejected", {"status": "NotSupported"})


def test_tc_040_2_configuration_invalid(case: "Case") -> None:
    """What no charge point can take is not even sent; a charge point may refuse more."""
    with pytest.raises(CommandRefused, match="0 or more"):
        case.send("ChangeConfiguration", key="MeterValueSampleInterval", value="-1")
    command = case.send("ChangeConfiguration", key="NumberOfConnectors", value="9")
    assert (command.state, command.answer) == ("rejected", {"status": "Rejected"})
    assert case.charge_point.configuration["MeterValueSampleInterval"] == "3600"


def test_tc_061_clear_cache(case: "Case") -> None:
    case.charge_point.cache["other"] = IdTagInfo(status=AuthorizationStatus.ACCEPTED)
    assert case.asked("ClearCache") == "Accepted"
    assert case.charge_point.cache == {}
