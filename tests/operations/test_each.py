"""Each operation from a REST request to a simulated charge point and back: answer, rows, effect."""

from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from csms.models import Command, Message, Transaction
from csms.ocpp import registry
from csms.ocpp.base import encode_json, reply_type
from csms.services.commands import CommandRefused, command_send
from csms.services.tokens import token_add
from csms.simulator.charge_point import SimulatedChargePoint
from tests import factories
from tests.operations.examples import EACH, JSON_ONLY, request
from tests.operations.scripted import ended, history, scripted
from tests.running import wait_for
from tests.simulated import simulated
from tests.simulator.certificate import ROOT

if TYPE_CHECKING:
    from tests.running import System

FIRST = {
    "CancelReservation": "ReserveNow",
    "ClearChargingProfile": "SetChargingProfile",
    "DeleteCertificate": "InstallCertificate",
    "GetInstalledCertificateIds": "InstallCertificate",
    "RemoteStopTransaction": "RemoteStartTransaction",
}
"""What comes before, so that there is something to cancel, clear, delete, list or stop."""

DIFFERENTLY: dict[str, dict[str, Any]] = {
    "CancelReservation": {"reservationId": 1},
    "ClearChargingProfile": {"id": 1},
}

EFFECTS = {
    "ChangeAvailability": ("seen", "Unavailable"),
    "ChangeConfiguration": ("seen", "heartbeatinterval is 60."),
    "ClearChargingProfile": ("assumed", "cannot be read back"),
    "ExtendedTriggerMessage": ("seen", "LogStatusNotification came."),
    "GetDiagnostics": ("seen", "Uploaded"),
    "GetLog": ("seen", "Uploaded"),
    "RemoteStartTransaction": ("seen", "started."),
    "RemoteStopTransaction": ("seen", "stopped."),
    "ReserveNow": ("seen", "The connector is Reserved."),
    "Reset": ("seen", "has booted."),
    "SendLocalList": ("seen", "The list has version 1."),
    "SetChargingProfile": ("assumed", "cannot be read back"),
    "SignedUpdateFirmware": ("seen", "Installed"),
    "TriggerMessage": ("seen", "Heartbeat came."),
    "UnlockConnector": ("seen", "unlocked"),
    "UpdateFirmware": ("seen", "Booted with firmware 1.0.1."),
}
"""What is seen of each; the others have no effect beyond their answer."""


@pytest.mark.parametrize(("transport", "name"), EACH)
def test_operation(system: "System", watching: None, transport: str, name: str) -> None:
    factories.id_tag("TAG")
    row = factories.charge_point(transport=transport, last_seen=None)
    system.deliver()
    _, token = token_add(name="ann", can="operate")
    with (
        httpx.Client(headers={"Authorization": f"Bearer {token}"}) as program,
        simulated(system, row, speed=200) as charger,
    ):
        url = f"{system.http_url}/api/v1/charge-points/{row.identity}/commands"

        def accepted(name: str, **fields: Any) -> Command:
            return _accepted(program, url, name, **fields)

        if name in FIRST:
            _seen(accepted(FIRST[name]))
        command = accepted(name, **_fields(name, charger))
        _seen(command)
    assert history(command)[:3] == ["queued", "sent", "accepted"]
    assert "ann" in command.events.all()[0].by
    assert command.created_at <= command.sent_at <= command.finished_at  # type: ignore[operator]
    reply = reply_type(registry.ACTIONS[name])
    read = msgspec.convert(command.answer, reply)
    assert msgspec.json.decode(encode_json(read)) == command.answer
    _is_logged(command, transport)


def _accepted(program: httpx.Client, url: str, name: str, **fields: Any) -> Command:
    """An operation that a program asked for, and that was accepted."""
    payload = msgspec.json.decode(encode_json(request(name, **fields)))
    response = program.post(url, json={"action": name, "payload": payload})
    assert response.status_code == 202, response.text
    command = Command.objects.get(pk=response.json()["id"])
    ended(command)
    assert (command.state, command.error) == ("accepted", ""), command.answer
    return command


def _fields(name: str, charger: SimulatedChargePoint) -> dict[str, Any]:
    if name == "RemoteStopTransaction":
        return {"transactionId": Transaction.objects.get(state="open").transaction_id}
    if name == "DeleteCertificate":
        return {"certificateHashData": msgspec.to_builtins(charger.certificates[0].name)}
    return DIFFERENTLY.get(name, {})


def _seen(command: Command) -> None:
    """Its effect is what it should be."""
    effect, text = EFFECTS.get(command.action, ("", ""))

    def concluded() -> bool:
        command.refresh_from_db()
        return command.effect != "waiting"

    wait_for(concluded)
    assert command.effect == effect, command.effect_text
    assert text in command.effect_text
    if effect:
        wait_for(lambda: command.events.count() == 4)
        last = command.events.last()
        assert last is not None
        assert last.reason.endswith(command.effect_text)
    if command.action in ("RemoteStartTransaction", "RemoteStopTransaction"):
        assert command.transaction == Transaction.objects.get()


def _is_logged(command: Command, transport: str) -> None:
    """One row of the message log holds both frames."""
    rows = Message.objects.filter(direction="out", message_id=command.message_id)
    message = wait_for(rows.first)
    assert (message.action, message.error) == (command.action, "")
    assert (message.charge_point, message.duration > 0) == (command.charge_point, True)
    if transport == "json":
        call, answer = msgspec.json.decode(message.request), msgspec.json.decode(message.answer)
        assert call == [2, command.message_id, command.action, command.payload]
        assert answer == [3, command.message_id, command.answer]
    else:
        assert message.request.count(f"urn:uuid:{command.message_id}") == 1
        assert f":{command.action[0].lower()}{command.action[1:]}Request" in message.request
        assert f":{command.action[0].lower()}{command.action[1:]}Response" in message.answer


@pytest.mark.parametrize("name", JSON_ONLY)
def test_security_extension_is_refused_over_soap(system: "System", name: str) -> None:
    charger = scripted(system, "soap")
    system.deliver()
    with pytest.raises(CommandRefused, match="security extension, which does not exist over SOAP"):
        command_send(charge_point=charger.row, request=request(name))
    assert not Command.objects.exists()
    following = command_send(charge_point=charger.row, request=request("ClearCache"))
    assert charger.answer({"status": "Accepted"}) == "ClearCache"  # the first that came
    assert ended(following).state == "accepted"


def test_long_certificate_survives_the_way(system: "System") -> None:
    """Line ends and length are what they were."""
    row = factories.charge_point(transport="json", last_seen=None)
    system.deliver()
    with simulated(system, row, speed=200) as charger:
        row.refresh_from_db()
        command = command_send(charge_point=row, request=request("InstallCertificate"))
        assert ended(command).state == "accepted"
        assert charger.certificates[0].pem == ROOT
