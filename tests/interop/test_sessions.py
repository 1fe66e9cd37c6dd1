"""A whole session over each transport, driven by clients that are none of ours: the same rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.db.models import ForeignKey

from csms.models import ChargePoint, Message, MeterValue, Transaction, TransferStatus
from tests import factories
from tests.interop.clients import JsonSession, SoapSession

if TYPE_CHECKING:
    from tests.running import System

pytestmark = pytest.mark.contract

Call = tuple[str, dict[str, Any]]

OF_TRANSPORT = frozenset(
    {"callback_url", "connected", "connected_at", "epoch", "owner", "transport"}
)
"""What may differ: how it is reached;"""
OF_RECEIPT = frozenset(
    {
        "booted_at",
        "created_at",
        "first_at",
        "last_at",
        "last_seen",
        "received_at",
        "start_received_at",
        "stop_received_at",
    }
)
"""when it was received;"""
OF_MESSAGE = frozenset({"bucket_at", "message_id", "request", "answer", "duration"})
"""what was on the wire;"""
OF_ROW = frozenset({"id", "identity", "charge_point", "transaction_id", "serial_number"})
"""and which row it is."""


def session() -> list[Call]:
    """What the charge point sends; a transactionId of 0 stands for the one it was given."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=30)

    def at(seconds: int) -> str:
        return f"{begin + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"

    def status(connector: int, state: str, seconds: int) -> Call:
        told = {"connectorId": connector, "errorCode": "NoError", "status": state}
        return "StatusNotification", {**told, "timestamp": at(seconds)}

    def values(seconds: int, energy: str, context: str) -> list[dict[str, Any]]:
        of_energy = {
            "value": energy,
            "context": context,
            "format": "Raw",
            "measurand": "Energy.Active.Import.Register",
            "location": "Outlet",
            "unit": "Wh",
        }
        of_power = {"value": "7.4", "measurand": "Power.Active.Import", "unit": "kW"}
        of_phase = {"value": "16.0", "measurand": "Current.Import", "phase": "L1", "unit": "A"}
        return [{"timestamp": at(seconds), "sampledValue": [of_energy, of_power, of_phase]}]

    return [
        (
            "BootNotification",
            {
                "chargePointVendor": "Vendor",
                "chargePointModel": "Model",
                "chargePointSerialNumber": "S-1",
                "chargeBoxSerialNumber": "B-1",
                "firmwareVersion": "1.0",
                "iccid": "8900",
                "imsi": "2620",
                "meterType": "M",
                "meterSerialNumber": "M-1",
            },
        ),
        status(0, "Available", 0),
        status(1, "Available", 0),
        status(1, "Preparing", 1),
        ("MeterValues", {"connectorId": 1, "meterValue": values(1, "1000", "Sample.Clock")}),
        ("Authorize", {"idTag": "TAG"}),
        ("Authorize", {"idTag": "STRANGER"}),
        (
            "StartTransaction",
            {"connectorId": 1, "idTag": "TAG", "meterStart": 1000, "timestamp": at(2)},
        ),
        status(1, "Charging", 3),
        (
            "MeterValues",
            {
                "connectorId": 1,
                "transactionId": 0,
                "meterValue": values(10, "1250", "Sample.Periodic"),
            },
        ),
        ("Heartbeat", {}),
        ("DataTransfer", {"vendorId": "com.example", "messageId": "M", "data": "<&> \u00e9"}),
        (
            "StopTransaction",
            {
                "transactionId": 0,
                "idTag": "tag",
                "meterStop": 1500,
                "timestamp": at(20),
                "reason": "EVDisconnected",
                "transactionData": [
                    *values(2, "1000", "Transaction.Begin"),
                    *values(20, "1500", "Transaction.End"),
                ],
            },
        ),
        status(1, "Finishing", 21),
        status(1, "Available", 22),
        ("DiagnosticsStatusNotification", {"status": "Uploaded"}),
        ("FirmwareStatusNotification", {"status": "Downloaded"}),
        ("FirmwareStatusNotification", {"status": "Installed"}),
    ]


def _given(call: Call, transaction_id: int) -> Call:
    action, payload = call
    if "transactionId" in payload:
        payload = {**payload, "transactionId": transaction_id}
    return action, payload


def _comparable(answer: Any) -> Any:
    """An answer as texts, without what is the transport's own: times and transactionIds."""
    if isinstance(answer, dict):
        return {
            name: _comparable(value)
            for name, value in answer.items()
            if name not in ("currentTime", "transactionId")
        }
    return str(answer)


def _over_json(system: "System", identity: str, contracts: Path, calls: list[Call]) -> list[Any]:
    async def drive() -> list[Any]:
        charger = await JsonSession.open(system.json_url, identity, contracts)
        answers: list[Any] = []
        transaction_id = 0
        for each in calls:
            answers.append(await charger.call(*_given(each, transaction_id)))
            transaction_id = answers[-1].get("transactionId", transaction_id)
        await charger.close()
        return answers

    return system.run(drive())


def _over_soap(system: "System", identity: str, contracts: Path, calls: list[Call]) -> list[Any]:
    charger = SoapSession(system.soap_url, identity, contracts, "http://127.0.0.1:8123/cp")
    answers: list[Any] = []
    transaction_id = 0
    for each in calls:
        answers.append(charger.call(*_given(each, transaction_id)))
        transaction_id = int(answers[-1].get("transactionId", transaction_id))
    charger.close()
    return answers


def _row(row: Any, ignored: frozenset[str]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if field.name in ignored:
            continue
        value = getattr(row, field.attname)
        columns[field.name] = value is not None if isinstance(field, ForeignKey) else value
    return columns


def _rows(charge_point: ChargePoint) -> dict[str, list[dict[str, Any]]]:
    """All that is stored of a charge point, table by table."""
    common = OF_TRANSPORT | OF_RECEIPT | OF_ROW
    stored = {"ChargePoint": [_row(charge_point, common)]}
    for model in apps.get_app_config("csms").get_models():
        if "charge_point" in {field.name for field in model._meta.concrete_fields}:
            rows = model._default_manager.filter(charge_point=charge_point).order_by("pk")
            ignored = common | OF_MESSAGE if model is Message else common
            stored[model.__name__] = [_row(row, ignored) for row in rows]
    return stored


def test_the_same_session_leaves_the_same_rows(system: "System", contracts: Path) -> None:
    factories.id_tag("TAG", parent_id_tag="FAMILY", max_transactions=0)
    json = factories.charge_point(transport="json", identity="CP-J", last_seen=None)
    soap = factories.charge_point(transport="soap", identity="CP-S", last_seen=None)
    calls = session()
    of_json = _over_json(system, json.identity, contracts, calls)
    of_soap = _over_soap(system, soap.identity, contracts, calls)
    assert [_comparable(answer) for answer in of_json] == [_comparable(a) for a in of_soap]
    assert {**of_json[0], "currentTime": ""} == {
        "status": "Accepted",
        "currentTime": "",
        "interval": 300,
    }
    accepted = {"status": "Accepted", "parentIdTag": "FAMILY"}
    assert [answer["idTagInfo"] for answer in of_json if "idTagInfo" in answer] == [
        accepted,
        {"status": "Invalid"},
        accepted,
        accepted,
    ]
    system.settle()
    for row in (json, soap):
        row.refresh_from_db()
    assert _rows(json) == _rows(soap)
    _check_what_is_stored(soap)


def _check_what_is_stored(row: ChargePoint) -> None:
    """The rows are equal; here is what they say."""
    assert (row.vendor, row.box_serial_number, row.imsi) == ("Vendor", "B-1", "2620")
    assert (row.firmware_status, row.diagnostics_status) == ("Installed", "Uploaded")
    connectors = row.connectors.values_list("connector_id", "status")
    assert list(connectors) == [(0, "Available"), (1, "Available")]
    transaction = Transaction.objects.get(charge_point=row)
    assert (transaction.state, transaction.energy) == ("stopped", 500)
    assert (transaction.billable, transaction.flags) == (True, [])
    assert (transaction.stop_reason, transaction.stop_id_tag) == ("EVDisconnected", "tag")
    readings = MeterValue.objects.filter(charge_point=row).order_by("id")
    assert [(r.transaction == transaction, r.power) for r in readings] == [
        (False, 7400),
        (True, 7400),
        (True, 7400),
        (True, 7400),
    ]
    statuses = TransferStatus.objects.filter(charge_point=row).order_by("id")
    assert [(s.kind, s.status) for s in statuses] == [
        ("diagnostics", "Uploaded"),
        ("firmware", "Downloaded"),
        ("firmware", "Installed"),
    ]
    log = Message.objects.filter(charge_point=row).order_by("id")
    assert [message.action for message in log] == [action for action, _ in session()]
    assert {(message.direction, message.error, len(message.notes)) for message in log} == {
        ("in", "", 0)
    }
    assert not row.deviations.exists()
    assert not row.quarantined_messages.exists()
