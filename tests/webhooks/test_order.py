"""In order for one charge point: also while one event of it is tried again, and whoever sends."""

import asyncio
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction

from csms.models import WebhookEvent
from csms.models.webhooks import WebhookKind
from csms.services import webhook_queue, webhooks
from csms.services.webhook_delivery import Delivery
from csms.services.webhook_events import Told, note
from tests import factories
from tests.running import wait_for
from tests.webhooks.receiver import Receiver, subscribed

if TYPE_CHECKING:
    from tests.running import System

pytestmark = pytest.mark.django_db(transaction=True)

CHARGERS = [f"CP-{number}" for number in range(5)]
EVENTS = 24
"""Of each charge point."""
DELIVERERS = 4


@pytest.fixture
def delivering(system: "System", monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several deliverers at once, which wait a moment only after failures."""
    for name in ("LANE_PAUSE", "LANE_PAUSE_MOST", "PAUSE", "PAUSE_MOST"):
        monkeypatch.setattr(webhook_queue, name, 0.01)
    monkeypatch.setattr(webhook_queue, "CHUNK", 5)

    async def start() -> list["asyncio.Task[None]"]:
        return [asyncio.create_task(Delivery().run()) for _ in range(DELIVERERS)]

    tasks = system.run(start())
    yield

    async def stop() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    system.run(stop())


@pytest.mark.usefixtures("delivering")
def test_each_charge_points_events_come_in_order(receiver: Receiver) -> None:
    """A third of all attempts fail, and more happens meanwhile."""
    chance, guard = random.Random(16), threading.Lock()
    taken: dict[str, list[int]] = defaultdict(list)
    failures: list[int] = []

    def answer(event: dict[str, Any]) -> int:
        with guard:
            identity, number = event["charge_point"]["identity"], event["data"]["number"]
            if chance.random() < 1 / 3:
                failures.append(number)
                return 503
            taken[identity].append(number)
            return 200

    receiver.answer = answer
    subscribed(receiver.url)
    webhooks.wanted_kinds()
    for number in range(EVENTS):
        with transaction.atomic():
            note(
                Told(WebhookKind.STATUS_CHANGED, factories.now(), one, "", {"number": number})
                for one in CHARGERS
            )
    wait_for(lambda: not WebhookEvent.objects.filter(state="waiting").exists(), 60)
    assert len(failures) > EVENTS
    assert dict(taken) == {one: list(range(EVENTS)) for one in CHARGERS}
    assert WebhookEvent.objects.filter(state="delivered").count() == EVENTS * len(CHARGERS)
