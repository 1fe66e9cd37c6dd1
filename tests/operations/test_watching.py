"""Effects that never come are declared missing, however busy the rest of the fleet is."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from csms.models import ChargePoint, Command
from csms.models.commands import CommandState, Effect
from csms.services import clock, effects
from csms.services.threads import in_thread
from tests import factories


def overdue(charge_point: ChargePoint, action: str = "Reset") -> Command:
    now = datetime.now(UTC)
    return Command.objects.create(
        charge_point=charge_point,
        action=action,
        payload={"type": "Soft"},
        state=CommandState.ACCEPTED,
        sent_at=now,
        expires_at=now,
        effect=Effect.WAITING,
        effect_until=now - timedelta(seconds=1),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.anyio
async def test_a_silent_charge_point_is_looked_at_beside_a_talkative_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock, "EFFECTS_EVERY", 0.5)
    monkeypatch.setattr(clock, "EFFECTS_PAUSE", 0.01)
    silent = await in_thread(lambda: overdue(factories.charge_point()))
    watching = asyncio.create_task(clock.watch_effects())
    for _ in range(100):
        effects.touch([silent.charge_point_id + 1])  # another one, all the time
        await asyncio.sleep(0.05)
        await in_thread(silent.refresh_from_db)
        if silent.effect == Effect.MISSING:
            break
    watching.cancel()
    assert silent.effect == Effect.MISSING


@pytest.mark.django_db
def test_what_waits_long_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "PAGE", 3)
    charge_point = factories.charge_point()
    now = datetime.now(UTC)
    for _ in range(7):
        row = overdue(charge_point)
        row.effect_until = now + timedelta(days=1)
        row.save()
    late = overdue(charge_point)
    assert effects.effects_check(now=now) == 1
    late.refresh_from_db()
    assert late.effect == Effect.MISSING


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("request_text", "effect"),
    [
        ('[2,"1","StatusNotification",{"connectorId": 1,"status":"Available"}]', "waiting"),
        ('[2,"1","StatusNotification",{"connectorId": 2,"status":"Available"}]', "seen"),
        ('[2,"1","StatusNotification",{"connectorId": "2","status":"Available"}]', "seen"),
        ('[2,"1","StatusNotification",{"connectorId": 20,"status":"Available"}]', "waiting"),
        ("<cs:connectorId>2</cs:connectorId><cs:status>Available</cs:status>", "seen"),
        ('<connectorId x:type="y:int"> 2 </connectorId>', "seen"),
        ("<connectorId>22</connectorId>", "waiting"),
    ],
)
def test_a_triggered_message_is_one_of_the_connector_that_was_asked(
    request_text: str, effect: str
) -> None:
    charge_point = factories.charge_point()
    command = overdue(charge_point, "TriggerMessage")
    command.payload = {"requestedMessage": "StatusNotification", "connectorId": 2}
    command.effect_until = datetime.now(UTC) + timedelta(hours=1)
    command.save()
    now = datetime.now(UTC)
    factories.message(
        charge_point, action="StatusNotification", request=request_text, bucket_at=now
    )
    effects.effects_check(now=now)
    command.refresh_from_db()
    assert command.effect == effect
