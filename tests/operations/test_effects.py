"""Effects that are seen, and those that are missing at their deadline."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from csms import conf
from csms.models import Command, Transaction
from csms.ocpp import core, firmware_management, security
from csms.services import effects
from csms.services.outbox import CallFailed
from tests.operations.commanded import known_tag
from tests.operations.examples import WITHOUT_STATUS

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded

pytestmark = pytest.mark.django_db

AT_ONCE = {"ClearChargingProfile", "SetChargingProfile", "UnlockConnector"}
"""Their answer is all that will ever be known."""

READ_BACK = {"ChangeConfiguration", "SendLocalList"}

MISSING = ("missing", "Nothing was seen in time.")
WAITING = ("waiting", "")


@pytest.mark.parametrize("name", sorted(conf.DEADLINES.keys() - AT_ONCE - {"Scheduled"}))
def test_each_has_its_deadline(commanded: "Commanded", name: str) -> None:
    commanded.status(1, "Available")
    command = commanded.send(name)
    reply = WITHOUT_STATUS.get(name, [{"status": "Accepted"}])[-1]
    commanded.answer(command, **reply)
    deadline = timedelta(seconds=conf.DEADLINES[name])
    assert command.effect_until == commanded.house.now + deadline
    commanded.later(seconds=conf.DEADLINES[name] - 1)
    assert commanded.effect(command) == WAITING
    at = commanded.later(seconds=1)
    text = "It was not read back in time." if name in READ_BACK else MISSING[1]
    assert commanded.effect(command) == ("missing", text)
    assert command.effect_at == at
    last = command.events.last()
    assert last is not None
    assert (last.state, last.by, last.reason) == ("missing", "clock", text)


def test_deadlines_are_settings(
    commanded: "Commanded", monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("CSMS_EFFECT_DEADLINES", "Reset=5")
    request.addfinalizer(conf.settings.cache_clear)
    conf.settings.cache_clear()
    command = commanded.accepted("Reset")
    assert command.effect_until == commanded.house.now + timedelta(seconds=5)


@pytest.mark.parametrize("name", sorted(conf.DEADLINES.keys() - {"Scheduled"}))
def test_what_failed_has_no_effect(commanded: "Commanded", name: str) -> None:
    command = commanded.complete(commanded.send(name), CallFailed("NotSupported", "No."))
    assert commanded.effect(command) == ("", "")


# ------------------------------------------------------------------- remote start and stop


@pytest.mark.parametrize("early", [False, True], ids=["after the answer", "before the answer"])
def test_remote_start(commanded: "Commanded", early: bool) -> None:
    known_tag()
    command = commanded.send("RemoteStartTransaction", idTag="tag")
    if early:
        commanded.begin()
        commanded.answer(command, status="Accepted")
    else:
        commanded.answer(command, status="Accepted")
        assert commanded.effect(command) == WAITING
        commanded.begin()
    row = Transaction.objects.get()
    assert commanded.effect(command) == ("seen", f"Transaction {row} started.")
    assert command.transaction == row


@pytest.mark.parametrize(
    "fields",
    [{"tag": "OTHER"}, {"connector_id": 2}],
    ids=["another idTag", "another connector"],
)
def test_remote_start_is_not_taken_for_another(commanded: "Commanded", fields: Any) -> None:
    known_tag()
    command = commanded.accepted("RemoteStartTransaction")
    commanded.begin(**fields)
    assert commanded.effect(command) == WAITING


def test_remote_start_is_not_taken_for_an_earlier_one(commanded: "Commanded") -> None:
    known_tag()
    commanded.begin()
    commanded.later(seconds=1)
    command = commanded.accepted("RemoteStartTransaction")
    assert commanded.effect(command) == WAITING


def test_each_remote_start_has_its_own_transaction(commanded: "Commanded") -> None:
    known_tag()
    first = commanded.accepted("RemoteStartTransaction")
    commanded.begin()
    commanded.effect(first)
    second = commanded.accepted("RemoteStartTransaction", connectorId=1)
    assert commanded.effect(second) == WAITING
    commanded.begin(meter_start=2000)
    assert commanded.effect(second)[0] == "seen"
    assert first.transaction != second.transaction


def test_a_transaction_is_that_of_the_command_that_was_accepted(commanded: "Commanded") -> None:
    """One that nobody answered goes behind it, although it was sent before."""
    known_tag()
    unanswered = commanded.lost("RemoteStartTransaction")
    accepted = commanded.accepted("RemoteStartTransaction")
    commanded.begin()
    assert commanded.effect(accepted)[0] == "seen"
    assert commanded.effect(unanswered) == WAITING
    commanded.begin(meter_start=2000)
    assert commanded.effect(unanswered)[0] == "seen"


def test_remote_stop(commanded: "Commanded") -> None:
    known_tag()
    running, other = commanded.begin(), commanded.begin(connector_id=2)
    command = commanded.accepted("RemoteStopTransaction", transactionId=running)
    commanded.say(commanded.cp.stop(other))
    assert commanded.effect(command) == WAITING
    commanded.say(commanded.cp.stop(running))
    row = Transaction.objects.get(transaction_id=running)
    assert commanded.effect(command) == ("seen", f"Transaction {row} stopped.")
    assert command.transaction == row


# ------------------------------------------------------------------ reset and availability


def test_reset(commanded: "Commanded") -> None:
    commanded.boot()
    commanded.later(seconds=1)
    command = commanded.accepted("Reset")
    assert commanded.effect(command) == WAITING
    commanded.later(seconds=60)
    commanded.boot()
    assert commanded.effect(command) == ("seen", "The charge point has booted.")


@pytest.mark.parametrize(
    ("wanted", "before", "after", "text"),
    [
        ("Inoperative", "Available", "Unavailable", "Unavailable"),
        ("Operative", "Unavailable", "Available", "Available again"),
        ("Operative", "Unavailable", "Preparing", "Available again"),
    ],
)
def test_availability(
    commanded: "Commanded", wanted: str, before: str, after: str, text: str
) -> None:
    commanded.status(1, before)
    command = commanded.accepted("ChangeAvailability", type=wanted)
    assert commanded.effect(command) == WAITING
    commanded.status(2, after)
    assert commanded.effect(command) == WAITING
    commanded.status(1, after)
    assert commanded.effect(command) == ("seen", text)


@pytest.mark.parametrize(
    ("wanted", "present"), [("Inoperative", "Unavailable"), ("Operative", "Charging")]
)
def test_availability_as_it_is_already(commanded: "Commanded", wanted: str, present: str) -> None:
    """§5.2: no StatusNotification follows a change to the present state."""
    commanded.status(1, present)
    command = commanded.accepted("ChangeAvailability", type=wanted)
    assert commanded.effect(command)[0] == "seen"


def test_availability_of_the_whole_charge_point(commanded: "Commanded") -> None:
    for number in (0, 1, 2):
        commanded.status(number, "Available")
    command = commanded.accepted("ChangeAvailability", connectorId=0)
    for number in (0, 1):
        commanded.status(number, "Unavailable")
        assert commanded.effect(command) == WAITING
    commanded.status(2, "Unavailable")
    assert commanded.effect(command) == ("seen", "Unavailable")


@pytest.mark.parametrize("wanted", ["Operative", "Inoperative"])
def test_a_fault_tells_nothing_of_the_availability(commanded: "Commanded", wanted: str) -> None:
    """§4.9: a connector may be either under its fault; when that is over, it shows."""
    command = commanded.accepted("ChangeAvailability", type=wanted)
    commanded.status(1, "Faulted")
    assert commanded.effect(command) == WAITING
    other = commanded.accepted("ChangeAvailability", type=wanted)
    commanded.later(seconds=119)
    text = "Connector 1 is Faulted: nothing else is known of it."
    assert commanded.effect(command) == ("assumed", text)
    commanded.status(1, "Available" if wanted == "Operative" else "Unavailable")
    assert commanded.effect(other)[0] == "seen"


def test_a_fault_hides_one_connector_of_several(commanded: "Commanded") -> None:
    commanded.status(1, "Faulted")
    commanded.status(2, "Unavailable")
    command = commanded.accepted("ChangeAvailability", connectorId=0, type="Operative")
    assert commanded.effect(command) == WAITING
    commanded.status(2, "Available")
    assert commanded.effect(command) == WAITING
    commanded.status(1, "Finishing")
    assert commanded.effect(command) == ("seen", "Available again")


def test_a_charge_point_that_tells_only_of_itself(commanded: "Commanded") -> None:
    commanded.status(0, "Available")
    command = commanded.accepted("ChangeAvailability", connectorId=0, type="Inoperative")
    assert commanded.effect(command) == WAITING
    commanded.status(0, "Unavailable")
    assert commanded.effect(command) == ("seen", "Unavailable")


UNTOLD = "No status came: it may have been so before."


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("wanted", ["Operative", "Inoperative"])
def test_availability_of_which_nothing_is_known(
    commanded: "Commanded", wanted: str, number: int
) -> None:
    """§5.2: a change to the present state brings no status, and that state was never reported."""
    command = commanded.accepted("ChangeAvailability", connectorId=number, type=wanted)
    commanded.later(seconds=119)
    assert commanded.effect(command) == WAITING
    commanded.later(seconds=1)
    assert commanded.effect(command) == ("assumed", UNTOLD)
    last = command.events.last()
    assert last is not None
    assert (last.state, last.by) == ("assumed", "clock")


def test_availability_contrary_to_what_is_known(commanded: "Commanded") -> None:
    """The status that must change did not: the command had no effect."""
    commanded.status(1, "Available")
    command = commanded.accepted("ChangeAvailability", type="Inoperative")
    commanded.later(seconds=120)
    assert commanded.effect(command) == MISSING


def test_scheduled_availability_must_show(commanded: "Commanded") -> None:
    """Scheduled says that it is not so yet: the status has to come."""
    command = commanded.accepted("ChangeAvailability", "Scheduled")
    commanded.later(hours=24)
    assert commanded.effect(command) == MISSING


def test_nothing_is_assumed_of_an_availability_that_nobody_answered(
    commanded: "Commanded",
) -> None:
    command = commanded.lost("ChangeAvailability")
    commanded.later(seconds=120)
    assert commanded.effect(command) == MISSING


@pytest.mark.parametrize("answer", ["Accepted", "Scheduled"])
def test_a_charge_point_that_tells_of_itself_and_not_of_its_connectors(
    commanded: "Commanded", answer: str
) -> None:
    """Its own status came; of its connectors nothing newer is known."""
    for number in (1, 2, 0):
        commanded.status(number, "Available")
    commanded.later(seconds=1)
    command = commanded.accepted("ChangeAvailability", answer, connectorId=0, type="Inoperative")
    commanded.status(0, "Unavailable")
    assert commanded.effect(command) == WAITING
    commanded.later(seconds=120)
    again = commanded.accepted("ChangeAvailability", connectorId=0, type="Inoperative")
    commanded.later(hours=24)
    text = "The charge point is Unavailable; of connector 1 no newer status came."
    assert commanded.effect(command) == ("assumed", text)
    assert commanded.effect(again) == ("assumed", text), "it was so before"


def test_a_connector_that_says_otherwise_after_the_charge_point(commanded: "Commanded") -> None:
    command = commanded.accepted("ChangeAvailability", connectorId=0, type="Inoperative")
    commanded.status(0, "Unavailable")
    commanded.later(seconds=1)
    commanded.status(1, "Available")
    commanded.later(seconds=118)
    assert commanded.effect(command) == WAITING
    commanded.later(seconds=1)
    assert commanded.effect(command) == MISSING


def test_a_scheduled_change_is_not_shown_by_an_earlier_status_of_the_charge_point(
    commanded: "Commanded",
) -> None:
    commanded.status(1, "Charging")
    commanded.later(seconds=1)
    commanded.status(0, "Unavailable")
    commanded.later(seconds=1)
    command = commanded.accepted(
        "ChangeAvailability", "Scheduled", connectorId=0, type="Inoperative"
    )
    commanded.later(hours=24)
    assert commanded.effect(command)[0] == "missing"


def test_a_later_change_tells_nothing_of_one_of_which_nothing_is_known(
    commanded: "Commanded",
) -> None:
    first = commanded.accepted("ChangeAvailability", type="Inoperative")
    second = commanded.accepted("ChangeAvailability", type="Operative")
    text = "A later command has taken its place."
    assert commanded.effect(first) == ("assumed", text)
    assert commanded.effect(second) == WAITING


def test_a_later_change_of_the_availability_takes_the_place(commanded: "Commanded") -> None:
    commanded.status(1, "Charging")
    first = commanded.accepted("ChangeAvailability", "Scheduled", type="Inoperative")
    commanded.accepted("ChangeAvailability", "Rejected", type="Operative")
    assert commanded.effect(first) == WAITING
    second = commanded.accepted("ChangeAvailability", type="Operative")
    assert commanded.effect(first) == ("missing", "A later command has taken its place.")
    assert commanded.effect(second)[0] == "seen"


def test_scheduled_availability_may_take_a_day(commanded: "Commanded") -> None:
    commanded.status(1, "Charging")
    commanded.status(2, "Charging")
    in_time, late = (
        commanded.accepted("ChangeAvailability", "Scheduled", connectorId=number)
        for number in (1, 2)
    )
    commanded.later(hours=23)
    assert commanded.effect(in_time) == WAITING
    commanded.status(1, "Unavailable")
    assert commanded.effect(in_time) == ("seen", "Unavailable")
    commanded.later(hours=1)
    assert commanded.effect(late) == MISSING


def test_unlock(commanded: "Commanded") -> None:
    command = commanded.accepted("UnlockConnector", "Unlocked")
    assert commanded.effect(command)[0] == "seen"
    for status in ("UnlockFailed", "NotSupported"):
        assert commanded.effect(commanded.accepted("UnlockConnector", status)) == ("", "")


# ----------------------------------------------------------------------------- triggers


@pytest.mark.parametrize("early", [False, True], ids=["after the answer", "before the answer"])
def test_trigger(commanded: "Commanded", early: bool) -> None:
    commanded.say(core.Heartbeat())
    commanded.later(seconds=1)
    command = commanded.send("TriggerMessage", requestedMessage="Heartbeat")
    if early:
        commanded.say(core.Heartbeat())
    commanded.answer(command, status="Accepted")
    if not early:
        commanded.boot()
        assert commanded.effect(command) == WAITING
        commanded.say(core.Heartbeat())
    assert commanded.effect(command) == ("seen", "Heartbeat came.")


SIGNED = security.SignedFirmwareStatusNotification(status=security.SignedFirmwareStatus.IDLE)
UNSIGNED = firmware_management.FirmwareStatusNotification(
    status=firmware_management.FirmwareStatus.IDLE
)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("SignChargePointCertificate", security.SignCertificate(csr="PEM")),
        ("FirmwareStatusNotification", SIGNED),
        ("FirmwareStatusNotification", UNSIGNED),
        (
            "LogStatusNotification",
            security.LogStatusNotification(status=security.UploadLogStatus.IDLE),
        ),
    ],
)
def test_extended_trigger(commanded: "Commanded", asked: str, message: Any) -> None:
    command = commanded.accepted("ExtendedTriggerMessage", requestedMessage=asked)
    commanded.say(message)
    assert commanded.effect(command) == ("seen", f"{type(message).__name__} came.")


def test_plain_trigger_is_not_met_by_the_extension(commanded: "Commanded") -> None:
    command = commanded.accepted("TriggerMessage", requestedMessage="FirmwareStatusNotification")
    commanded.say(SIGNED)
    assert commanded.effect(command) == WAITING


# ------------------------------------------------------------------- when nobody answered


def test_unknown_outcome_shows_by_its_effect(commanded: "Commanded") -> None:
    command = commanded.lost("Reset")
    assert commanded.effect(command) == WAITING
    commanded.boot()
    assert commanded.effect(command)[0] == "seen"
    assert command.state == "timed out"


@pytest.mark.parametrize(
    ("name", "fields", "status", "effect"),
    [
        ("UnlockConnector", {}, "Unlocked", "seen"),
        ("SetChargingProfile", {}, "Accepted", "assumed"),
        ("ClearChargingProfile", {}, "Accepted", "assumed"),
        ("ReserveNow", {"connectorId": 0}, "Accepted", "assumed"),
    ],
)
def test_nothing_is_assumed_of_an_unknown_outcome(
    commanded: "Commanded", name: str, fields: Any, status: str, effect: str
) -> None:
    command = commanded.lost(name, **fields)
    assert commanded.effect(command) == ("", "")
    commanded.answer(command, status=status)  # F10: late
    assert (command.state, commanded.effect(command)[0]) == ("accepted", effect)


def test_late_refusal_ends_the_waiting(commanded: "Commanded") -> None:
    command = commanded.lost("Reset")
    commanded.answer(command, status="Rejected")
    assert (command.state, commanded.effect(command)) == ("rejected", ("", ""))


@pytest.mark.parametrize(
    ("name", "reader", "payload"),
    [
        (
            "ChangeAvailability",
            "TriggerMessage",
            {"requestedMessage": "StatusNotification", "connectorId": 1},
        ),
        (
            "ReserveNow",
            "TriggerMessage",
            {"requestedMessage": "StatusNotification", "connectorId": 1},
        ),
        (
            "GetDiagnostics",
            "TriggerMessage",
            {"requestedMessage": "DiagnosticsStatusNotification"},
        ),
        (
            "UpdateFirmware",
            "TriggerMessage",
            {"requestedMessage": "FirmwareStatusNotification"},
        ),
        ("GetLog", "ExtendedTriggerMessage", {"requestedMessage": "LogStatusNotification"}),
        (
            "SignedUpdateFirmware",
            "ExtendedTriggerMessage",
            {"requestedMessage": "FirmwareStatusNotification"},
        ),
        ("SendLocalList", "GetLocalListVersion", {}),
    ],
)
def test_unknown_outcome_is_asked_for(
    commanded: "Commanded", name: str, reader: str, payload: dict[str, Any]
) -> None:
    """F15: it is not sent again; a message that tells of it is triggered."""
    command = commanded.lost(name)
    (follower,) = command.followers.all()
    assert (follower.action, follower.payload) == (reader, payload)
    assert commanded.claimed() == follower
    commanded.answer(command, **WITHOUT_STATUS.get(name, [{"status": "Accepted"}])[-1])
    assert command.followers.count() == 1, "a late answer asks no second time"


@pytest.mark.parametrize("name", ["Reset", "RemoteStartTransaction", "UnlockConnector", "GetLog"])
def test_nothing_is_sent_again(commanded: "Commanded", name: str) -> None:
    command = commanded.lost(name)
    assert not Command.objects.filter(action=name).exclude(pk=command.pk).exists()


def test_every_change_names_its_cause(commanded: "Commanded") -> None:
    """Who: somebody, the gateway, the charge point, or the clock."""
    command = commanded.lost("Reset")
    commanded.answer(command, status="Accepted")
    commanded.boot()
    commanded.effect(command)
    asked = command.events.all()[0]
    assert asked.state == "queued"
    assert list(command.events.values_list("state", "by"))[1:] == [
        ("sent", "gateway gateway"),
        ("timed out", "gateway"),
        ("accepted", "charge point"),
        ("seen", "charge point"),
    ]


# ------------------------------------------------------------------------ what is looked at


def test_touched_charge_points_are_looked_at(commanded: "Commanded") -> None:
    effects.effects_check(now=commanded.house.now)
    effects.touched()
    commanded.say(core.Heartbeat())
    assert effects.touched() == set()  # nobody waits for anything
    command = commanded.accepted("Reset")
    assert effects.touched() == {commanded.cp.pk}
    commanded.boot()
    assert effects.touched() == {commanded.cp.pk}
    others = {commanded.cp.pk + 1}
    assert effects.effects_check(now=commanded.house.now, charge_points=others) == 0
    assert effects.effects_check(now=commanded.house.now, charge_points={commanded.cp.pk}) == 1
    command.refresh_from_db()
    assert command.effect == "seen"


def test_profiles_are_known_in_any_case(commanded: "Commanded") -> None:
    """N31: a key's value is a list of names, which some charge points write in their own way."""
    command = commanded.send("GetConfiguration")
    key = {"key": "SupportedFeatureProfiles", "readonly": True, "value": "core, reservation"}
    commanded.answer(command, configurationKey=[key])
    commanded.cp.row.refresh_from_db()
    assert commanded.cp.row.feature_profiles == "Core,Reservation"
