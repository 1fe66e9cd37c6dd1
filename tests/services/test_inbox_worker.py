"""The inbox as the edges use it: from an event loop, with its worker."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from csms.models import Message
from csms.ocpp import core
from csms.ocpp.errors import InternalFailure, Unavailable
from csms.services.inbox import Outcome
from tests.services.harness import House

pytestmark = pytest.mark.django_db(transaction=True)


def run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(scenario())  # type: ignore[arg-type]


def test_500_at_once_in_the_order_of_each_charger() -> None:
    house = House(CSMS_INBOX_BATCH="64")
    chargers = [house.charger() for _ in range(10)]
    messages = [
        cp.message(core.Heartbeat(), message_id=f"{number:03}")
        for number in range(50)
        for cp in chargers
    ]

    async def scenario() -> list[Outcome]:
        house.inbox.start()
        outcomes = await asyncio.gather(*(house.inbox.submit(message) for message in messages))
        await house.inbox.stop()
        return outcomes

    assert all(outcome.reply is not None for outcome in run(scenario))
    expected = [f"{number:03}" for number in range(50)]
    for cp in chargers:
        logged = Message.objects.filter(charge_point=cp.pk).order_by("id")
        assert list(logged.values_list("message_id", flat=True)) == expected
    assert sum(worker.messages for worker in house.inbox.workers) == 500
    assert sum(worker.batches for worker in house.inbox.workers) < 100


def test_stop_drains() -> None:
    house = House()
    cp = house.charger()
    messages = [cp.message(core.Heartbeat()) for _ in range(100)]

    async def scenario() -> list[Outcome]:
        waiting = [asyncio.ensure_future(house.inbox.submit(message)) for message in messages]
        await asyncio.sleep(0)
        assert house.inbox.waiting == 100
        house.inbox.start()
        await house.inbox.stop()
        with pytest.raises(Unavailable):
            await house.inbox.submit(messages[0])
        return await asyncio.gather(*waiting)

    assert len(run(scenario)) == 100
    assert Message.objects.count() == 100


def test_f4_the_queue_is_bounded() -> None:
    house = House(CSMS_INBOX_SIZE="4")
    cp = house.charger()
    messages = [cp.message(core.Heartbeat()) for _ in range(5)]

    async def scenario() -> None:
        waiting = []
        fullness = []
        for message in messages[:4]:
            fullness.append(house.inbox.full)
            waiting.append(asyncio.ensure_future(house.inbox.submit(message)))
            await asyncio.sleep(0)
        assert fullness == [False, False, True, True]
        with pytest.raises(Unavailable):
            await house.inbox.submit(messages[4])
        house.inbox.start()
        for outcome in await asyncio.gather(*waiting):
            assert outcome.reply is not None
        assert not house.inbox.full
        assert (await house.inbox.submit(messages[4])).reply is not None
        await house.inbox.stop()

    run(scenario)


def test_who_stops_waiting_loses_no_message() -> None:
    house = House()
    cp = house.charger()
    messages = [cp.message(core.Heartbeat(), message_id=str(n)) for n in range(3)]

    async def scenario() -> None:
        waiting = [asyncio.ensure_future(house.inbox.submit(message)) for message in messages]
        await asyncio.sleep(0)
        waiting[1].cancel()
        house.inbox.start()
        await waiting[0]
        await waiting[2]
        await house.inbox.stop()

    run(scenario)
    assert set(Message.objects.values_list("message_id", flat=True)) == {"0", "1", "2"}


def test_the_worker_survives_what_it_cannot_handle() -> None:
    house = House()
    cp = house.charger()
    broken, fine = cp.message(core.Heartbeat()), cp.message(core.Heartbeat())
    broken.received_at = None  # type: ignore[assignment]

    async def scenario() -> None:
        house.inbox.start()
        assert isinstance((await house.inbox.submit(broken)).error, InternalFailure)
        assert (await house.inbox.submit(fine)).reply is not None
        await house.inbox.stop()

    run(scenario)
