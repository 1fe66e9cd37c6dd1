"""What happens by itself, and how processes wake each other."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from csms.models import ChargePoint, Command, Message
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
def test_the_watcher_notices_commands_of_other_processes() -> None:
    """Other commits, which the inbox makes all the time, wake nobody."""
    charge_point = factories.charge_point()

    async def scenario() -> tuple[bool, bool]:
        subscription = bus.subscribe("commands")
        watcher = clock.Watcher()
        watcher.start()
        try:
            await asyncio.sleep(3 * clock.LOOK_EVERY)
            await in_thread(ChargePoint.objects.update, name="x")
            early = await subscription.wait(3 * clock.LOOK_EVERY)
            await in_thread(lambda: factories.command(charge_point))  # as a shell does
            return early, await subscription.wait(5)
        finally:
            await asyncio.to_thread(watcher.stop)
            bus.unsubscribe("commands", subscription)

    assert asyncio.run(scenario()) == (False, True)
