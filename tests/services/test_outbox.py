"""The durable outbox: who claims a command, and what its answer means."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from csms.models.commands import CommandState
from csms.ocpp import core, security, smart_charging
from csms.ocpp.base import Payload
from csms.services.commands import command_cancel, command_send, request_of
from csms.services.outbox import (
    CallFailed,
    NoAnswer,
    NotSent,
    Replied,
    Unreadable,
    command_complete,
    commands_expire,
)
from tests import factories
from tests.services.edge import (
    ACCEPTED,
    RESET,
    claim,
    complete,
    events,
    json_charger,
    now,
    sent,
    soap_charger,
    state,
)
from tests.services.harness import House

pytestmark = pytest.mark.django_db


# ------------------------------------------------------------------------------- claiming


def test_claim_is_in_order_and_one_at_a_time() -> None:
    row = json_charger()
    first, second = (command_send(charge_point=row, request=RESET) for _ in range(2))
    claimed = claim()
    assert [c.command_id for c in claimed] == [first.pk]
    assert claim() == []
    assert (state(first), state(second)) == ("sent", "queued")
    assert first.message_id == claimed[0].message_id
    assert len(claimed[0].message_id) == 36
    facts = claimed[0].charger
    assert (facts.pk, facts.identity, facts.epoch) == (row.pk, row.identity, 3)
    assert claimed[0].request == RESET
    command_complete(command_id=first.pk, answer=ACCEPTED, now=now())
    assert [c.command_id for c in claim()] == [second.pk]


def test_one_outstanding_command_is_held_by_the_database() -> None:
    row = json_charger()
    factories.command(row, state="sent")
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.command(row, state="sent")


def test_claim_takes_what_the_owner_holds() -> None:
    here, offline = json_charger(), json_charger(connected=False)
    elsewhere = json_charger(owner="gateway-2")
    for row in (here, offline, elsewhere):
        command_send(charge_point=row, request=RESET)
    assert claim(charge_points=[elsewhere.pk]) == []
    assert [c.charger.pk for c in claim(charge_points=[here.pk, offline.pk])] == [here.pk]
    assert [c.charger.pk for c in claim(owner="gateway-2")] == [elsewhere.pk]


def test_claim_has_a_limit() -> None:
    for _ in range(5):
        command_send(charge_point=json_charger(), request=RESET)
    assert [len(claim(limit=2)) for _ in range(4)] == [2, 2, 1, 0]


def test_what_expired_is_not_claimed() -> None:
    factories.command(json_charger(), expires_at=now() - timedelta(seconds=1))
    assert claim() == []


@pytest.mark.parametrize(
    ("columns", "ago", "reachable"),
    [
        ({}, {}, True),
        ({"last_seen": None}, {}, False),
        ({"callback_url": ""}, {}, False),
        ({}, {"last_seen": 3600}, False),
        ({"heartbeat_interval": 3600}, {"last_seen": 3600}, True),
        ({}, {"last_seen": 20, "callback_failed_at": 10}, False),
        ({}, {"last_seen": 10, "callback_failed_at": 20}, True),
        ({"registration": "Rejected"}, {}, False),
    ],
)
def test_f17_claim_over_soap(columns: dict, ago: dict[str, int], reachable: bool) -> None:
    at = now()
    times = {name: at - timedelta(seconds=seconds) for name, seconds in ago.items()}
    row = soap_charger(**columns | times)
    factories.command(row)
    claimed = claim("soap", now=at)
    assert bool(claimed) is reachable
    if reachable:
        assert claimed[0].callback_url == row.callback_url
        assert claimed[0].charger.epoch == 0


def test_transports_claim_their_own() -> None:
    command_send(charge_point=json_charger(), request=RESET)
    command_send(charge_point=soap_charger(), request=RESET)
    assert [c.charger.transport for c in claim("soap")] == ["soap"]
    assert [c.charger.transport for c in claim("json")] == ["json"]


def test_a_request_survives_the_database() -> None:
    """Decimals, times and lists come out as they went in."""
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "validFrom": "2026-03-04T12:00:00Z",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "minChargingRate": Decimal("0.3"),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": Decimal("16.1")}],
        },
    }
    payload = {"connectorId": 1, "csChargingProfiles": profile}
    request = request_of("SetChargingProfile", payload)
    assert isinstance(request, smart_charging.SetChargingProfile)
    command_send(charge_point=json_charger(), request=request)
    assert claim()[0].request == request


# ------------------------------------------------------------------------------ completing


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (core.ResetResponse(status=core.ResetStatus.ACCEPTED), "accepted"),
        (core.ResetResponse(status=core.ResetStatus.REJECTED), "rejected"),
        (core.GetConfigurationResponse(), "accepted"),
        (
            core.ChangeConfigurationResponse(status=core.ConfigurationStatus.REBOOT_REQUIRED),
            "accepted",
        ),
        (
            core.ChangeConfigurationResponse(status=core.ConfigurationStatus.NOT_SUPPORTED),
            "rejected",
        ),
        (core.ChangeAvailabilityResponse(status=core.AvailabilityStatus.SCHEDULED), "accepted"),
        (core.UnlockConnectorResponse(status=core.UnlockStatus.UNLOCKED), "accepted"),
        (core.UnlockConnectorResponse(status=core.UnlockStatus.UNLOCK_FAILED), "rejected"),
        (
            security.SignedUpdateFirmwareResponse(
                status=security.SignedUpdateFirmwareStatus.ACCEPTED_CANCELED
            ),
            "accepted",
        ),
    ],
)
def test_replies(reply: Payload, expected: str) -> None:
    command = sent()
    assert complete(command, Replied(reply, "raw")) == expected
    assert command.finished_at is not None
    assert command.error == ""
    assert events(command) == ["queued", "sent", expected]


def test_unreadable_answer() -> None:
    command = sent()
    assert complete(command, Unreadable("<raw>", "status is missing")) == "error"
    assert (command.raw_answer, "status is missing" in command.error) == ("<raw>", True)


def test_call_error() -> None:
    command = sent()
    assert complete(command, CallFailed("NotSupported", "no", "[4]")) == "error"
    assert command.error == "NotSupported: no"
    assert claim() == []  # nothing is sent again


def test_f15_no_answer_is_never_resent() -> None:
    command = sent()
    assert complete(command, NoAnswer("no answer within 30 s")) == "timed out"
    assert claim() == []
    assert command.error == "no answer within 30 s"


def test_f10_late_answer_still_counts() -> None:
    command = sent()
    complete(command, NoAnswer("no answer"))
    following = command_send(charge_point=command.charge_point, request=RESET)
    assert len(claim()) == 1
    assert complete(command, ACCEPTED) == "accepted"
    assert command.answer == {"status": "Accepted"}
    last = command.events.last()
    assert last is not None
    assert last.reason.startswith("late answer.")
    assert state(following) == "sent"  # never matched to the next call


@pytest.mark.parametrize("answer", [NoAnswer("x"), NotSent("x")])
def test_late_nothing_changes_nothing(answer: Any) -> None:
    command = sent()
    complete(command, NoAnswer("first"))
    assert complete(command, answer) == "timed out"
    assert command.error == "first"


@pytest.mark.parametrize("final", [ACCEPTED, CallFailed("X", "y")])
def test_first_answer_counts(final: Any) -> None:
    command = sent()
    before = complete(command, final)
    assert complete(command, CallFailed("InternalError", "late")) == before
    assert complete(command, ACCEPTED) == before
    assert len(events(command)) == 3


def test_f17_not_sent_waits_for_the_next_contact(house: House) -> None:
    row = soap_charger(last_seen=house.now)
    command = factories.command(row, expires_at=house.now + timedelta(days=1))
    cp = house.charger(row)
    assert len(claim("soap", now=house.now)) == 1
    failed = house.later(seconds=2)
    assert complete(command, NotSent("connection refused"), failed) == "queued"
    assert (command.sent_at, command.error) == (None, "connection refused")
    assert (cp.row.callback_error, cp.row.callback_failed_at) == ("connection refused", failed)
    house.later(seconds=1)
    assert claim("soap", now=house.now) == []
    cp.send(core.Heartbeat())
    assert cp.row.last_seen == house.now  # at once, although it spoke three seconds ago
    assert len(claim("soap", now=house.now)) == 1
    assert complete(command, ACCEPTED, house.now) == "accepted"
    assert (cp.row.callback_error, cp.row.callback_failed_at) == ("", None)


def test_unknown_command_is_ignored() -> None:
    command_complete(command_id=4711, answer=ACCEPTED, now=now())


# --------------------------------------------------------------- cancelling and expiring


def test_cancel_before_it_is_sent() -> None:
    command = command_send(charge_point=json_charger(), request=RESET)
    assert command_cancel(command=command, by="bob")
    assert (state(command), events(command)) == ("cancelled", ["queued", "cancelled"])
    assert claim() == []
    assert not command_cancel(command=command)


def test_cancel_comes_too_late() -> None:
    command = sent()
    assert not command_cancel(command=command)
    assert state(command) == "sent"


def test_expiry() -> None:
    row = json_charger(connected=False)
    due = command_send(charge_point=row, request=RESET, expires_in=10)
    later = command_send(charge_point=row, request=RESET, expires_in=60)
    assert commands_expire(now=now() + timedelta(seconds=11)) == 1
    assert (state(due), state(later)) == ("expired", "queued")
    assert due.finished_at is not None
    assert "could not be reached" in due.error
    assert events(due) == ["queued", "expired"]


def test_f15_what_a_dead_process_left() -> None:
    """The outcome is unknown: it is not sent again, and the next may go."""
    command = sent()
    following = command_send(charge_point=command.charge_point, request=RESET)
    assert commands_expire(now=now()) == 0
    assert claim() == []
    assert commands_expire(now=now() + timedelta(seconds=91)) == 1
    assert state(command) == CommandState.TIMED_OUT
    assert [c.command_id for c in claim()] == [following.pk]
