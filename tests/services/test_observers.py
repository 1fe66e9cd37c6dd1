"""Which start a RemoteStartTransaction caused, where clocks mislead; tests/operations shows the
rest over the wire."""

from datetime import timedelta
from typing import Any

import pytest

from csms.models import ChargePoint, Command
from csms.models.commands import CommandState, Effect
from csms.services import observers
from tests import factories

pytestmark = pytest.mark.django_db

SENT = factories.now() - timedelta(minutes=10)


def sent(charger: ChargePoint, action: str, **payload: Any) -> Command:
    return factories.command(
        charger,
        action=action,
        payload=payload,
        state=CommandState.ACCEPTED,
        answer={"status": "Accepted"},
        sent_at=SENT,
    )


def started(charger: ChargePoint, *, clock: timedelta) -> None:
    """A start that came a minute after the command, by a clock that is that much off."""
    at = SENT + timedelta(minutes=1)
    factories.transaction(
        charger, id_tag="CARD", state="open", started_at=at + clock, start_received_at=at
    )


def test_a_slow_clock_hides_no_start_of_who_was_connected() -> None:
    charger = factories.charge_point(connected_at=SENT - timedelta(hours=3))
    started(charger, clock=-timedelta(hours=2))
    verdict = observers.remote_start_transaction(
        sent(charger, "RemoteStartTransaction", idTag="CARD")
    )
    assert verdict is not None
    assert verdict.effect == Effect.SEEN


def test_what_was_kept_while_away_is_not_what_the_command_caused() -> None:
    charger = factories.charge_point(connected_at=SENT - timedelta(seconds=5))
    started(charger, clock=-timedelta(minutes=30))
    command = sent(charger, "RemoteStartTransaction", idTag="CARD")
    assert observers.remote_start_transaction(command) is None
