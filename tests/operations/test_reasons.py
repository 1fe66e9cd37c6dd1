"""What is said of a command that could not be sent: to whom, why, and for how long."""

from datetime import timedelta

import pytest

from csms.ocpp.core import GetConfiguration
from csms.services.commands import CommandRefused, PayloadRefused, batch_send, command_send
from csms.services.outbox import NotSent, commands_expire
from csms.services.secrets import MASK
from tests import factories
from tests.operations.examples import request
from tests.services.edge import (
    ACCEPTED,
    RESET,
    claim,
    complete,
    events,
    json_charger,
    now,
    soap_charger,
)

pytestmark = pytest.mark.django_db


def test_what_expired_says_why_it_could_not_be_sent() -> None:
    """F17: the page of a dead callback address still names it afterwards."""
    command = command_send(charge_point=soap_charger(), request=RESET, expires_in=60)
    assert len(claim("soap")) == 1
    assert complete(command, NotSent("It refused the connection.")) == "queued"
    assert commands_expire(now=now() + timedelta(seconds=61)) == 1
    command.refresh_from_db()
    expected = "The charge point could not be reached in time. It refused the connection."
    assert (command.state, command.error) == ("expired", expected)
    last = command.events.last()
    assert last is not None
    assert last.reason == expected


def test_what_is_on_its_way_does_not_expire() -> None:
    """Its time ran out while the charge point thought about it; the answer counts."""
    command, other = (
        command_send(charge_point=json_charger(), request=RESET, expires_in=1) for _ in range(2)
    )
    assert len(claim()) == 2
    late = now() + timedelta(seconds=30)
    assert commands_expire(now=late) == 0
    assert complete(command, ACCEPTED, late) == "accepted"
    assert complete(other, NotSent("The connection is closed."), late) == "queued"
    assert claim(now=late) == [], "nobody is sent what has expired"
    assert commands_expire(now=late) == 1
    assert events(other) == ["queued", "sent", "queued", "expired"]


def test_why_an_earlier_try_failed_is_not_said_of_the_next() -> None:
    row = json_charger()
    command = command_send(charge_point=row, request=RESET)
    claim()
    complete(command, NotSent("The connection is closed."))
    claim()
    command.refresh_from_db()
    assert (command.state, command.error) == ("sent", "")


def test_n36_who_cannot_tell_all_keys_is_not_asked_for_them() -> None:
    """Some charge points die of it."""
    row = json_charger(configuration_by_name=True)
    for asked in (GetConfiguration(), GetConfiguration(key=())):
        with pytest.raises(CommandRefused, match="cannot tell all keys at once"):
            command_send(charge_point=row, request=asked)
    batch = batch_send(charge_points=[row, json_charger()], request=GetConfiguration())
    assert [identity for identity, _ in batch.refused] == [row.identity]
    assert batch.commands.count() == 1
    named = command_send(charge_point=row, request=GetConfiguration(key=("HeartbeatInterval",)))
    assert named.state == "queued"


def test_a_mask_that_was_copied_is_named() -> None:
    row = factories.charge_point()
    with pytest.raises(PayloadRefused, match="write the secret itself") as refused:
        command_send(
            charge_point=row, request=request("GetDiagnostics", location=f"ftp://a:{MASK}@host/")
        )
    assert refused.value.path == "location"
