"""The four commands from the shell, to charge points that are none of ours, over each transport."""

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from csms.models import ChargePoint, Command, Message, Transaction
from tests import factories
from tests.interop.clients import JsonSession, answer_call, check_call
from tests.running import wait_for
from tests.simulated import simulated

if TYPE_CHECKING:
    from tests.running import System

ACCEPTED, FAILED, WAITING, REJECTED = 0, 3, 4, 5

COMMANDS: dict[str, dict[str, Any]] = {
    "TriggerMessage": {"requestedMessage": "MeterValues", "connectorId": 1},
    "Reset": {"type": "Soft"},
    "RemoteStartTransaction": {
        "connectorId": 1,
        "idTag": "TAG",
        "chargingProfile": {
            "chargingProfileId": 7,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.6}],
            },
        },
    },
    "RemoteStopTransaction": {"transactionId": 4711},
}

contract = pytest.mark.contract


def send(row: ChargePoint, action: str, payload: dict[str, Any], *options: str) -> tuple[int, str]:
    """`manage.py send`: its exit status and what it says."""
    said = io.StringIO()
    try:
        call_command("send", row.identity, action, json.dumps(payload), *options, stdout=said)
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    return ACCEPTED, said.getvalue()


def as_texts(value: Any) -> Any:
    """As XML says it: each leaf a text, a list of one the element itself."""
    if isinstance(value, dict):
        return {name: as_texts(item) for name, item in value.items()}
    return as_texts(value[0]) if isinstance(value, list) else str(value)


@contract
@pytest.mark.parametrize(
    ("status", "exit_status"), [("Accepted", ACCEPTED), ("Rejected", REJECTED)]
)
def test_to_an_ocpp_client(
    system: "System", contracts: Path, status: str, exit_status: int
) -> None:
    row = factories.charge_point(transport="json")
    charger = system.run(_opened(system, row, contracts))
    charger.client.status = status
    system.deliver()
    for action, payload in COMMANDS.items():
        code, said = send(row, action, payload)
        assert (code, status in said) == (exit_status, True), said
    assert charger.socket.calls == list(COMMANDS.items())
    system.run(charger.close())


async def _opened(system: "System", row: ChargePoint, contracts: Path) -> JsonSession:
    return await JsonSession.open(system.json_url, row.identity, contracts)


@contract
@pytest.mark.parametrize(
    ("status", "exit_status"),
    [("Accepted", ACCEPTED), ("Rejected", REJECTED), ("Fault", FAILED)],
)
def test_to_a_soap_server(system: "System", contracts: Path, status: str, exit_status: int) -> None:
    system.deliver()
    callback = system.callback(lambda text: answer_call(text, status))
    row = factories.charge_point(transport="soap", callback_url=callback.url)
    for action, payload in COMMANDS.items():
        code, said = send(row, action, payload)
        assert code == exit_status, said
        headers, text = callback.requests[-1]
        got = check_call(contracts, headers, text, identity=row.identity, to=callback.url)
        assert got == (action, as_texts(payload))
    assert len(callback.requests) == len(COMMANDS)
    command = Command.objects.latest("id")
    assert command.requested_by.startswith("shell: ")
    if status == "Fault":
        assert (command.state, command.error) == ("error", "InternalError: No.")


def test_to_one_that_answers_with_an_error(system: "System") -> None:
    charger = system.charger(factories.charge_point())
    system.deliver()
    command_id = Command.objects.count()
    with _in_background(lambda: send(charger.row, "Reset", {"type": "Hard"})) as outcome:
        message_id = charger.receive()[1]
        charger.send(f'[4,"{message_id}","InternalError","broken",{{}}]')
    assert outcome[0][0] == FAILED
    assert "InternalError: broken" in outcome[0][1]
    assert Command.objects.count() == command_id + 1


@contextlib.contextmanager
def _in_background(work: Any) -> Iterator[list[Any]]:
    """Run something in a thread during the block; what it returned."""
    outcome: list[Any] = []

    def run() -> None:
        outcome.append(work())
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield outcome
    thread.join(20)


@pytest.mark.parametrize("transport", ["json", "soap"])
def test_to_one_that_is_away(system: "System", transport: str) -> None:
    system.deliver()
    row = factories.charge_point(transport=transport, last_seen=None)
    code, said = send(row, "Reset", {"type": "Soft"}, "--wait", "0.3")
    assert code == WAITING
    assert "waits" in said
    assert Command.objects.get().state == "queued"


@pytest.mark.parametrize("transport", ["json", "soap"])
def test_to_a_simulated_charge_point(system: "System", transport: str) -> None:
    """All four, with what they are to bring about."""
    factories.id_tag("TAG")
    row = factories.charge_point(transport=transport, last_seen=None)
    system.deliver()
    with simulated(system, row, speed=20):
        code, _ = send(row, "TriggerMessage", {"requestedMessage": "Heartbeat"})
        assert code == ACCEPTED
        wait_for(lambda: _messages(row, "Heartbeat"))

        booted = ChargePoint.objects.filter(pk=row.pk, booted_at__gt=timezone.now())
        assert send(row, "Reset", {"type": "Hard"})[0] == ACCEPTED
        wait_for(booted.exists)
        wait_for(lambda: row.connectors.filter(connector_id=1, status="Available").exists())

        start = {"connectorId": 1, "idTag": "TAG"}
        assert send(row, "RemoteStartTransaction", start)[0] == ACCEPTED
        transaction = wait_for(lambda: Transaction.objects.filter(state="open").first())
        assert (transaction.id_tag, transaction.connector_id) == ("TAG", 1)
        wait_for(lambda: row.connectors.filter(connector_id=1, status="Charging").exists())

        stop = {"transactionId": transaction.transaction_id}
        assert send(row, "RemoteStopTransaction", stop)[0] == ACCEPTED
        wait_for(lambda: Transaction.objects.filter(state="stopped").exists())
        transaction.refresh_from_db()
        assert transaction.stop_reason == "Remote"
        assert send(row, "RemoteStopTransaction", stop)[0] == REJECTED


def _messages(row: ChargePoint, action: str) -> bool:
    return Message.objects.filter(charge_point=row, action=action, direction="in").exists()
