"""When commands are sent, in which order, and to whom they are not."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone
from lxml import etree

from csms.models import ChargePoint, Command
from csms.ocpp import registry
from csms.ocpp.core import Heartbeat
from csms.services.charge_points import registration_set
from csms.services.commands import (
    CommandRefused,
    command_cancel,
    command_send,
    operation_obstacle,
)
from csms.services.outbox import commands_expire
from csms.simulator import envelopes
from tests import factories
from tests.operations.examples import OPERATIONS, OVER_SOAP, request
from tests.operations.scripted import ended, history, replied, scripted
from tests.running import post

if TYPE_CHECKING:
    from tests.running import JsonCharger, System

BOTH = pytest.mark.parametrize("transport", ["json", "soap"])
AWAY = "http://127.0.0.1:9/"


def say_hello(system: "System", row: ChargePoint) -> None:
    """A SOAP charge point is heard of."""
    envelope = envelopes.request(
        "Heartbeat",
        Heartbeat(),
        identity=row.identity,
        message_id="urn:uuid:1",
        to=system.soap_url,
        sender=row.callback_url,
    )
    assert post(system, envelope).status_code == 200


def silent(charger: "JsonCharger") -> None:
    """Nothing comes."""
    with pytest.raises(TimeoutError):
        charger.receive(0.3)


# ------------------------------------------------------------- one at a time, in order (N15)


def test_one_call_at_a_time_over_json(system: "System") -> None:
    """N15: 20 commands, a slow charge point that calls meanwhile."""
    charger = system.charger(factories.charge_point())
    system.deliver()
    commands = [
        command_send(charge_point=charger.row, request=request("GetConfiguration", key=[f"K{n}"]))
        for n in range(20)
    ]
    for number, command in enumerate(commands):
        kind, message_id, _, payload = charger.receive()
        assert (kind, payload) == (2, {"key": [f"K{number}"]})
        charger.lives()  # its own call is answered; no second call of ours comes before that
        assert Command.objects.get(state="sent") == command
        charger.send(json.dumps([3, message_id, {}]))
    assert ended(commands[-1]).state == "accepted"
    ids = list(Command.objects.values_list("message_id", flat=True))
    assert len(set(ids)) == 20


def test_one_call_at_a_time_over_soap(system: "System") -> None:
    """N15, over SOAP: none comes while one is being answered."""
    inside, came = threading.Semaphore(1), []

    def answer(text: str) -> str:
        assert inside.acquire(blocking=False)
        came.append(text)
        say_hello(system, row)
        inside.release()
        return replied(text, {})

    callback = system.callback(answer)
    row = factories.charge_point(transport="soap", callback_url=callback.url)
    system.deliver()
    commands = [
        command_send(charge_point=row, request=request("GetConfiguration", key=[f"K{n}."]))
        for n in range(20)
    ]
    assert ended(commands[-1]).state == "accepted"
    assert Command.objects.filter(state="accepted").count() == 20
    for number, text in enumerate(came):
        assert f">K{number}.<" in text


@BOTH
def test_order_is_that_of_asking(system: "System", transport: str) -> None:
    charger = scripted(system, transport)
    names = ["ClearCache", "Reset", "UnlockConnector", "ClearCache"]
    for name in names:
        command_send(charge_point=charger.row, request=request(name))
    system.deliver()
    statuses = {"UnlockConnector": "Unlocked"}
    got = [charger.answer({"status": statuses.get(name, "Accepted")}) for name in names]
    assert got == names


@BOTH
def test_failure_holds_nothing_up(system: "System", transport: str) -> None:
    charger = scripted(system, transport)
    first, second = (
        command_send(charge_point=charger.row, request=request("Reset")) for _ in range(2)
    )
    system.deliver()
    charger.fail("InternalError")
    charger.answer({"status": "Accepted"})
    assert (ended(first).state, ended(second).state) == ("error", "accepted")


# ------------------------------------------------------------------------------- away


def test_what_waited_is_sent_on_connect(system: "System") -> None:
    row = factories.charge_point()
    system.deliver()
    command = command_send(charge_point=row, request=request("ClearCache"))
    charger = system.charger(row)
    _, message_id, action, _ = charger.receive()
    charger.send(json.dumps([3, message_id, {"status": "Accepted"}]))
    assert (action, ended(command).state) == ("ClearCache", "accepted")
    assert history(command) == ["queued", "sent", "accepted"]


@pytest.mark.parametrize("last_seen", [None, "long ago"])
def test_what_waited_is_sent_at_the_next_contact(system: "System", last_seen: Any) -> None:
    seen = timezone.now() - timedelta(hours=1) if last_seen else None
    charger = scripted(system, "soap", last_seen=seen)
    system.deliver()
    command = command_send(charge_point=charger.row, request=request("ClearCache"))
    following = factories.charge_point(transport="soap", callback_url=AWAY)
    say_hello(system, following)  # another one's contact is not this one's
    command.refresh_from_db()
    assert command.state == "queued"
    say_hello(system, charger.row)
    assert charger.answer({"status": "Accepted"}) == "ClearCache"
    assert ended(command).state == "accepted"


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_what_ended_while_it_waited_is_not_sent(system: "System", end: str) -> None:
    row = factories.charge_point()
    system.deliver()
    command = command_send(charge_point=row, request=request("Reset"), expires_in=60)
    if end == "expired":
        commands_expire(now=command.expires_at)
    else:
        assert command_cancel(command=command, by="bob")
    following = command_send(charge_point=row, request=request("ClearCache"))
    charger = system.charger(row)
    assert charger.receive()[2] == "ClearCache"
    command.refresh_from_db()
    assert (command.state, history(command)) == (end, ["queued", end])
    assert command.sent_at is None
    assert not command_cancel(command=following)  # it is on its way


# ---------------------------------------------------------------- who gets nothing (N26, N30)


@pytest.mark.parametrize("name", OPERATIONS)
def test_rejected_charge_point_is_asked_nothing(db: None, name: str) -> None:
    row = factories.charge_point(registration="Rejected")
    with pytest.raises(CommandRefused, match="is Rejected: nothing is sent to it"):
        command_send(charge_point=row, request=request(name))
    assert not Command.objects.exists()


@BOTH
def test_what_waits_for_a_rejected_one_is_sent_once_it_is_accepted(
    system: "System", transport: str
) -> None:
    charger = scripted(system, transport)
    command = command_send(charge_point=charger.row, request=request("ClearCache"))
    registration_set(charge_point=charger.row, registration="Rejected")
    other = scripted(system, transport)
    following = command_send(charge_point=other.row, request=request("ClearCache"))
    system.deliver()
    other.answer({"status": "Accepted"})
    assert ended(following).state == "accepted"
    command.refresh_from_db()
    assert command.state == "queued"
    registration_set(charge_point=charger.row, registration="Accepted")
    charger.answer({"status": "Accepted"})
    assert ended(command).state == "accepted"


@BOTH
def test_pending_charge_point_is_configured_not_started(system: "System", transport: str) -> None:
    charger = scripted(system, transport, registration="Pending")
    system.deliver()
    for name in ("RemoteStartTransaction", "RemoteStopTransaction"):
        with pytest.raises(CommandRefused, match=r"is Pending.* not allowed before it is accepted"):
            command_send(charge_point=charger.row, request=request(name))
    boot = request("TriggerMessage", requestedMessage="BootNotification")
    allowed = [request("GetConfiguration"), boot]
    for asked, reply in zip(allowed, [{}, {"status": "Accepted"}], strict=True):
        command = command_send(charge_point=charger.row, request=asked)
        assert charger.answer(reply) == command.action
        assert ended(command).state == "accepted"


@BOTH
@pytest.mark.parametrize("name", ["TriggerMessage", "ExtendedTriggerMessage"])
def test_boot_is_triggered_only_while_pending(db: None, transport: str, name: str) -> None:
    """N30"""
    row = factories.charge_point(transport=transport)
    with pytest.raises(CommandRefused, match=r"only while Pending|security extension"):
        command_send(charge_point=row, request=request(name, requestedMessage="BootNotification"))
    assert not Command.objects.exists()


# ------------------------------------------------------------------------ versions (N30)


@pytest.mark.django_db
@pytest.mark.parametrize("version", ["1.2", "1.5"])
def test_what_its_version_lacks_is_refused(contracts: Path, version: str) -> None:
    """Exactly the operations of the official ChargePointService of this version are let through."""
    folder = contracts / f"ocpp{version.replace('.', '')}-wsdl"
    (path,) = (each for each in folder.rglob("*.wsdl") if "charge" in each.name.lower())
    wsdl = "http://schemas.xmlsoap.org/wsdl/"
    operations = etree.parse(path).iterfind(f"{{{wsdl}}}portType/{{{wsdl}}}operation")
    known = {str(operation.get("name")) for operation in operations}
    row = factories.charge_point(transport="soap", version=version)
    refused = {name: operation_obstacle(row, registry.ACTIONS[name]) for name in OPERATIONS}
    assert {name for name, reason in refused.items() if not reason} == known
    for name in set(OVER_SOAP) - known:
        assert f"OCPP {version}, which has no {name}" in refused[name]
        with pytest.raises(CommandRefused, match="which has no"):
            command_send(charge_point=row, request=request(name))


# ------------------------------------------------------------------------ feature profiles


def profiles(value: str) -> dict[str, Any]:
    return {
        "configurationKey": [
            {"key": "supportedFeatureProfiles", "readonly": True, "value": value},
            {"key": "Other", "readonly": False},
        ]
    }


@BOTH
@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("Core, RemoteTrigger", ["ReserveNow", "SetChargingProfile", "GetDiagnostics"]),
        ("Core", ["TriggerMessage", "ReserveNow", "SendLocalList"]),
        ("true", []),
        ("", []),
    ],
)
def test_profiles_that_it_lacks_are_refused(
    system: "System", transport: str, value: str, refused: list[str]
) -> None:
    charger = scripted(system, transport)
    system.deliver()
    command = command_send(charge_point=charger.row, request=request("GetConfiguration"))
    charger.answer(profiles(value))
    ended(command)
    row = ChargePoint.objects.get()
    assert row.feature_profiles == (value.replace(" ", "") if refused else "")
    for name in refused:
        with pytest.raises(CommandRefused, match="does not support the profile"):
            command_send(charge_point=row, request=request(name))
    known = "TriggerMessage" if "RemoteTrigger" in value else "ClearCache"
    following = command_send(charge_point=row, request=request(known))
    assert charger.answer({"status": "Accepted"}) == known
    assert ended(following).state == "accepted"


def test_security_is_no_feature_profile(db: None) -> None:
    """The extension is not in SupportedFeatureProfiles; those that have it do not say so there."""
    row = factories.charge_point(feature_profiles="Core,RemoteTrigger")
    assert command_send(charge_point=row, request=request("GetLog")).state == "queued"


def test_silence_after_a_refusal(system: "System") -> None:
    charger = system.charger(factories.charge_point())
    system.deliver()
    with pytest.raises(CommandRefused):
        command_send(
            charge_point=charger.row,
            request=request("TriggerMessage", requestedMessage="BootNotification"),
        )
    silent(charger)
    charger.lives()
