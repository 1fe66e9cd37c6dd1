"""Asking for commands: who may be sent what, and what is not even stored."""

from datetime import timedelta
from typing import Any

import pytest

from csms.models import ChargePoint, Command, CommandEvent
from csms.ocpp import core, remote_trigger, security
from csms.services.charge_points import registration_set
from csms.services.commands import CommandRefused, command_cancel, command_send, request_of
from tests import factories
from tests.services.edge import (
    RESET,
    claim,
    events,
    json_charger,
    state,
)

pytestmark = pytest.mark.django_db


def test_sent_command_waits_with_its_history() -> None:
    command = command_send(charge_point=json_charger(), request=RESET, by="ann", expires_in=60)
    assert (command.action, command.payload, command.state) == ("Reset", {"type": "Soft"}, "queued")
    assert command.expires_at - command.created_at == timedelta(seconds=60)
    event = CommandEvent.objects.get()
    assert (event.command_id, event.state, event.by) == (command.pk, "queued", "ann")


@pytest.mark.parametrize(
    ("name", "payload", "says"),
    [
        ("Reset", {"type": "Bogus"}, "type"),
        ("Reset", {}, "type"),
        ("Reset", {"type": "Soft", "more": 1}, "more"),
        ("Heartbeat", {}, "no operation of the central system"),
        ("Nonsense", {}, "no operation of the central system"),
        ("RemoteStartTransaction", {"idTag": "x" * 21}, "idTag"),
        ("Reset", [], "object"),
    ],
)
def test_request_of_names_what_is_wrong(name: str, payload: object, says: str) -> None:
    with pytest.raises(CommandRefused, match=says):
        request_of(name, payload)


@pytest.mark.parametrize(
    "request_",
    [
        core.RemoteStartTransaction(id_tag="x" * 21),
        core.Reset(type="Bogus"),  # type: ignore[arg-type]
        core.ChangeConfiguration(key="k", value="\0"),
    ],
)
def test_what_is_not_valid_is_not_stored(request_: Any) -> None:
    """Constructing a declaration checks nothing; a stored one would fail at every claim."""
    with pytest.raises(CommandRefused):
        command_send(charge_point=json_charger(), request=request_)
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("columns", "request_", "says"),
    [
        ({"registration": "Rejected"}, RESET, "Rejected"),
        ({"registration": "Pending"}, core.RemoteStartTransaction(id_tag="T"), "Pending"),
        ({"registration": "Pending"}, core.RemoteStopTransaction(transaction_id=1), "Pending"),
        (
            {},
            remote_trigger.TriggerMessage(
                requested_message=remote_trigger.MessageTrigger.BOOT_NOTIFICATION
            ),
            "Pending",
        ),
        (
            {"transport": "soap"},
            security.CertificateSigned(certificate_chain="x"),
            "security extension",
        ),
    ],
    ids=["n26 rejected", "n26 start", "n26 stop", "n30 trigger boot", "n28 soap"],
)
def test_refusals(columns: dict, request_: Any, says: str) -> None:
    with pytest.raises(CommandRefused, match=says):
        command_send(charge_point=factories.charge_point(**columns), request=request_)
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    "request_",
    [
        core.GetConfiguration(),
        core.ChangeConfiguration(key="k", value="v"),
        remote_trigger.TriggerMessage(
            requested_message=remote_trigger.MessageTrigger.BOOT_NOTIFICATION
        ),
    ],
)
def test_n26_while_pending(request_: Any) -> None:
    row = json_charger(registration="Pending")
    command_send(charge_point=row, request=request_)
    assert claim()[0].request == request_


@pytest.mark.parametrize("registration", ["Pending", "Accepted", "Rejected"])
def test_n30_boot_is_triggered_only_while_pending(registration: str) -> None:
    row = json_charger(registration=registration)
    trigger = remote_trigger.TriggerMessage(
        requested_message=remote_trigger.MessageTrigger.BOOT_NOTIFICATION
    )
    if registration == "Pending":
        command_send(charge_point=row, request=trigger)
        assert claim()[0].request == trigger
    else:
        with pytest.raises(CommandRefused, match=registration):
            command_send(charge_point=row, request=trigger)


@pytest.mark.parametrize("change", ["Pending", "Rejected", "soap"])
def test_n26_what_became_forbidden_while_it_waited_is_not_sent(change: str) -> None:
    row = json_charger()
    start = command_send(charge_point=row, request=core.RemoteStartTransaction(id_tag="T"))
    signed = command_send(
        charge_point=row, request=security.CertificateSigned(certificate_chain="x")
    )
    if change == "soap":
        ChargePoint.objects.update(transport="soap", callback_url="http://198.51.100.7/")
        command_cancel(command=start)
        assert claim("soap") == []
        assert (state(signed), "SOAP" in signed.error) == ("error", True)
        return
    registration_set(charge_point=row, registration=change)
    assert [claimed.action for claimed in claim() + claim()] == (
        ["CertificateSigned"] if change == "Pending" else []
    )
    if change == "Pending":
        assert (state(start), "Pending" in start.error) == ("error", True)
        assert events(start) == ["queued", "error"]


def test_one_unreadable_row_does_not_stop_the_others() -> None:
    """A payload of an older version, say: it fails alone."""
    broken = factories.command(json_charger(), payload={"type": "Bogus"})
    fine = command_send(charge_point=json_charger(), request=RESET)
    assert [claimed.command_id for claimed in claim()] == [fine.pk]
    assert (state(broken), "type" in broken.error) == ("error", True)
