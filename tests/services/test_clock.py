"""What happens by itself, and how processes wake each other."""

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from csms.models import Command, Message
from csms.services import bus, clock
from csms.services.threads import in_thread
from tests import factories


def test_wake_up_from_any_thread() -> None:
    async def scenario() -> None:
        subscription = bus.subscribe("topic")
        assert not await subscription.wait(0.01)
        threading.Timer(0.05, bus.publish, ("topic",)).start()
        assert await subscription.wait(10)
        bus.publish("another")
        assert not await subscription.wait(0.01)
        bus.publish("topic")
        bus.publish("topic")
        assert await subscription.wait(10)
        assert not await subscription.wait(0.01)
        bus.unsubscribe("topic", subscription)
        bus.publish("topic")
        assert not await subscription.wait(0.01)

    asyncio.run(scenario())


def test_wake_up_after_the_loop_has_ended() -> None:
    async def scenario() -> None:
        bus.subscribe("left")

    asyncio.run(scenario())
    bus.publish("left")


@pytest.mark.django_db(transaction=True)
def test_the_clock_expires_and_trims() -> None:
    due = factories.command(factories.charge_point(), expires_at=datetime.now(UTC))
    Message.objects.create(
        bucket_at=datetime.now(UTC) - timedelta(days=60), identity="X", request=""
    )

    async def scenario() -> None:
        task = asyncio.ensure_future(clock.run())
        for _ in range(200):
            await asyncio.sleep(0.05)
            if not await in_thread(Message.objects.exists):
                break
        task.cancel()

    asyncio.run(scenario())
    assert Command.objects.get(pk=due.pk).state == "expired"
    assert not Message.objects.exists()


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_the_watcher_notices_other_processes() -> None:
    other = sqlite3.connect(str(connection.settings_dict["NAME"]))

    async def scenario() -> bool:
        subscription = bus.subscribe("commands")
        watcher = clock.Watcher()
        watcher.start()
        try:
            await asyncio.sleep(3 * clock.LOOK_EVERY)
            assert not await subscription.wait(0.01)
            other.execute("UPDATE csms_chargepoint SET name = 'x'")
            other.execute("CREATE TABLE written_by_another (id int)")
            other.commit()
            return await subscription.wait(5)
        finally:
            await asyncio.to_thread(watcher.stop)
            bus.unsubscribe("commands", subscription)

    try:
        assert asyncio.run(scenario())
    finally:
        other.execute("DROP TABLE IF EXISTS written_by_another")
        other.commit()
        other.close()
