"""Core, what charge points begin: boot, sessions, idTags, faults, loss of power and connection."""

from datetime import timedelta
from typing import TYPE_CHECKING

from csms.models import Transaction
from csms.ocpp.core import DataTransfer
from tests import factories

if TYPE_CHECKING:
    from tests.certification.case import Case


def test_tc_001_cold_boot(case: "Case") -> None:
    boot = case.charge_point.journal.entries[0]
    assert boot.action == "BootNotification"
    assert boot.reply is not None
    assert (boot.reply["status"], boot.reply["interval"]) == ("Accepted", 300)
    case.row.refresh_from_db()
    assert (case.row.vendor, case.row.firmware_version) == ("Simulator", "1.0.0")
    assert [case.connector(number) for number in (0, 1, 2)] == ["Available"] * 3
    assert case.system.run(case.charge_point.heartbeat()).current_time


def test_tc_003_regular_session_plug_in_first(case: "Case") -> None:
    case.status("Preparing")
    assert case.authorize() == "Accepted"
    assert case.start() == "Accepted"
    case.status("Charging")
    assert case.stop(id_tag="TAG") == "Accepted"
    case.leave()
    row = case.transaction()
    assert (row.state, row.authorization, row.energy) == ("stopped", "Accepted", 1_000)
    assert (row.id_tag, row.stop_id_tag, row.stop_reason) == ("TAG", "TAG", "Local")
    assert (row.billable, row.flags) == (True, [])


def test_tc_004_1_regular_session_identification_first(case: "Case") -> None:
    assert case.authorize() == "Accepted"
    case.status("Preparing")
    assert case.start() == "Accepted"
    case.status("Charging")
    assert case.transaction().state == "open"
    assert case.stop(id_tag="TAG") == "Accepted"
    assert case.transaction().state == "stopped"


def test_tc_004_2_identification_first_connection_time_out(case: "Case") -> None:
    case.configure("ConnectionTimeOut", "10")
    assert case.authorize() == "Accepted"
    case.status("Preparing")
    case.status("Available")
    assert not Transaction.objects.exists()


def test_tc_005_1_ev_side_disconnected(case: "Case") -> None:
    case.configure("StopTransactionOnEVSideDisconnect", "true")
    case.charge()
    case.status("SuspendedEV")
    assert case.stop("EVDisconnected") == ""
    case.leave()
    row = case.transaction()
    assert (row.state, row.stop_reason, row.stop_id_tag) == ("stopped", "EVDisconnected", "")


def test_tc_007_cached_id(case: "Case") -> None:
    case.configure("AuthorizationCacheEnabled", "true")
    case.configure("LocalPreAuthorize", "true")
    assert case.authorize() == "Accepted"
    case.mark()
    case.status("Preparing")
    assert case.start() == "Accepted"
    case.status("Charging")
    assert case.sent() == ["Preparing", "StartTransaction", "Charging"]
    assert case.transaction().authorization == "Accepted"


def test_tc_023_1_authorize_invalid(case: "Case") -> None:
    case.status("Preparing")
    assert case.authorize("UNKNOWN") == "Invalid"
    assert not Transaction.objects.exists()


def test_tc_023_2_authorize_expired(case: "Case") -> None:
    yesterday = factories.now() - timedelta(days=1)
    factories.id_tag("OLD", expires_at=yesterday)
    case.status("Preparing")
    assert case.authorize("OLD") == "Expired"
    assert case.charge_point.cache["old"].expiry_date == yesterday


def test_tc_023_3_authorize_blocked(case: "Case") -> None:
    factories.id_tag("LOST", blocked=True)
    case.status("Preparing")
    assert case.authorize("LOST") == "Blocked"
    assert not Transaction.objects.exists()


def test_tc_024_lock_failure(case: "Case") -> None:
    case.status("Preparing")
    assert case.authorize() == "Accepted"
    case.status("Faulted", error_code="ConnectorLockFailure")
    connector = case.row.connectors.get(connector_id=1)
    assert (connector.status, connector.error_code) == ("Faulted", "ConnectorLockFailure")
    assert not Transaction.objects.exists()


def test_tc_032_1_power_failure_stops_transactions(case: "Case") -> None:
    running = case.charge()
    case.mark()
    with case.offline():
        case.power_down()
    case.power_up()
    assert case.charge_point.registration == "Accepted"
    row = case.stopped()
    assert (row.transaction_id, row.stop_reason) == (running.transaction_id, "PowerLoss")
    assert case.sent()[0] == "BootNotification"
    assert case.connector() == "Available"


def test_tc_037_1_offline_start_valid_id_tag(case: "Case") -> None:
    with case.offline():
        charging = case.begin()
        assert not Transaction.objects.exists()
    assert case.confirmed(charging) == "Accepted"
    case.status("Charging")
    row = case.transaction()
    assert (row.state, row.transaction_id) == ("open", charging.id)
    assert row.started_at == charging.started_at


def test_tc_037_3_offline_start_invalid_id_tag(case: "Case") -> None:
    case.configure("StopTransactionOnInvalidId", "true")
    with case.offline():
        assert case.authorize("UNKNOWN") == "Accepted"  # AllowOfflineTxForUnknownId
        charging = case.begin("UNKNOWN")
    assert case.confirmed(charging) == "Invalid"
    assert case.stop("DeAuthorized", wh=0) == ""
    case.leave()
    row = case.transaction()
    assert (row.state, row.authorization) == ("stopped", "Invalid")
    assert (row.stop_reason, row.billable) == ("DeAuthorized", False)


def test_tc_039_offline_transaction(case: "Case") -> None:
    case.mark()
    with case.offline():
        charging = case.begin()
        case.charge_point.connectors[1].meter += 1_000
        case.end("Local", id_tag="TAG")
    case.wait_sent("StartTransaction", "Local")
    row = case.stopped()
    assert (row.transaction_id, row.energy) == (charging.id, 1_000)
    assert (row.stop_reason, row.stop_id_tag, row.billable) == ("Local", "TAG", True)


def test_tc_064_data_transfer_to_the_central_system(case: "Case") -> None:
    reply = case.call(DataTransfer(vendor_id="com.example", message_id="Any", data="text"))
    assert reply.status == "UnknownVendorId"
    assert case.system.run(case.charge_point.heartbeat()).current_time
