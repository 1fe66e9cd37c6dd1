"""Rows that stay in memory between batches are forgotten as soon as they may be wrong."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, models, transaction

from csms.models import ChargePoint, IdTag
from csms.ocpp import core
from csms.ocpp.errors import SecurityViolation
from csms.services import flush
from csms.services.kept import MOST, Kept
from csms.services.world import Needs, World, load
from tests import factories
from tests.services.harness import House

pytestmark = [pytest.mark.django_db(transaction=True)]


def boot(vendor: str) -> core.BootNotification:
    return core.BootNotification(charge_point_vendor=vendor, charge_point_model="M")


def elsewhere(**columns: Any) -> None:
    """Change all charge points over another connection."""

    def write() -> None:
        ChargePoint.objects.update(**columns)
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


def still_there(kept: Kept, *rows: ChargePoint) -> int:
    """One batch over some rows; how many of those of the last one were still there."""
    with transaction.atomic():
        kept.begin()
        count = len(kept.charge_points)
    kept.keep(World(charge_points={row.pk: row for row in rows}))
    return count


@pytest.mark.sqlite
def test_own_commits_forget_nothing_those_of_others_everything() -> None:
    kept, row = Kept(), factories.charge_point()
    assert still_there(kept, row) == 0
    ChargePoint.objects.update(vendor="ours")
    assert still_there(kept, row) == 1
    elsewhere(vendor="theirs")
    assert still_there(kept, row) == 0


def test_a_batch_that_failed_and_other_writes_forget() -> None:
    kept, row = Kept(), factories.charge_point()
    still_there(kept, row)
    with transaction.atomic():
        kept.begin()  # and no keep
    assert still_there(kept, row) == 0
    kept.forget()
    assert still_there(kept, row) == 0


def test_no_more_than_so_many_rows_are_kept() -> None:
    kept, row = Kept(), factories.charge_point()
    still_there(kept, row)
    kept.keep(World(charge_points=dict.fromkeys(range(-MOST, 0), row)))
    assert still_there(kept, row) == 0


def test_the_worker_sees_what_others_write() -> None:
    house = House()
    cp = house.charger()
    one, other = cp.message(core.Heartbeat()), cp.message(core.Heartbeat())

    async def scenario() -> tuple[Any, Any]:
        house.inbox.start()
        before = await house.inbox.submit(one)
        await asyncio.to_thread(elsewhere, registration="Rejected")
        after = await house.inbox.submit(other)
        await house.inbox.stop()
        return before, after

    before, after = asyncio.run(scenario())
    assert isinstance(before.reply, core.HeartbeatResponse)
    assert isinstance(after.error, SecurityViolation)


def test_the_worker_sees_what_becomes_of_an_id_tag() -> None:
    """Blocked in the admin, then held to another charge point: the next Authorize says so."""
    house = House()
    cp, other = house.charger(), house.charger()
    tag = factories.id_tag("CARD")
    asked = [cp.message(core.Authorize(id_tag="card")) for _ in range(3)]

    async def scenario() -> list[Any]:
        house.inbox.start()
        answers = [await house.inbox.submit(asked[0])]
        await asyncio.to_thread(_in_thread, lambda: IdTag.objects.update(blocked=True))
        answers.append(await house.inbox.submit(asked[1]))

        def hold() -> None:
            IdTag.objects.update(blocked=False)
            tag.charge_points.add(other.row)

        await asyncio.to_thread(_in_thread, hold)
        answers.append(await house.inbox.submit(asked[2]))
        await house.inbox.stop()
        return answers

    answers = asyncio.run(scenario())
    assert [answer.reply.id_tag_info.status for answer in answers] == [
        "Accepted",
        "Blocked",
        "Invalid",
    ]


def _in_thread(write: Callable[[], object]) -> None:
    write()
    connection.close()


def test_what_a_failed_batch_changed_is_not_taken_for_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    cp = house.charger()
    first, lost, again = (cp.message(boot(vendor)) for vendor in ("A", "B", "B"))

    def fail(world: object) -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        house.inbox.start()
        await house.inbox.submit(first)
        with monkeypatch.context() as patch:
            patch.setattr(flush, "flush", fail)
            await house.inbox.submit(lost)
        house.inbox.workers[0].apart.clear()
        await house.inbox.submit(again)
        await house.inbox.stop()

    asyncio.run(scenario())
    assert cp.row.vendor == "B"


@pytest.mark.parametrize("changed", ["charge point", "connector", "transaction"])
def test_a_row_is_kept_until_another_connection_writes_it(changed: str) -> None:
    """Also one that this connection wrote, and on PostgreSQL only that row is read again."""
    kept, row = Kept(), factories.charge_point()
    connector = factories.connector(row)
    running = factories.transaction(row, connector_id=1)
    needs = (row.pk, Needs(connectors=(1,), transaction_ids=(running.transaction_id,)))

    def batch(register: float) -> World:
        with transaction.atomic():
            kept.begin()
            world = load([needs], kept)
            world.set(world.transactions[running.transaction_id], last_meter=register)
            flush.flush(world)
        kept.keep(world)
        return world

    def rows(world: World) -> dict[str, models.Model]:
        return {
            "charge point": world.charge_points[row.pk],
            "connector": world.connectors[row.pk, 1],
            "transaction": world.transactions[running.transaction_id],
        }

    first = rows(batch(1.0))
    second = rows(batch(2.0))
    assert all(second[name] is first[name] for name in first)
    written: dict[str, models.Model] = {
        "charge point": row,
        "connector": connector,
        "transaction": running,
    }
    other = {"charge point": "vendor", "connector": "vendor_error_code", "transaction": "id_tag"}
    setattr(written[changed], other[changed], "theirs")
    thread = threading.Thread(
        target=_in_thread,
        args=(lambda: written[changed].save(update_fields=[other[changed]]),),
    )
    thread.start()
    thread.join()
    third = rows(batch(3.0))
    assert getattr(third[changed], other[changed]) == "theirs"
    if connection.vendor == "postgresql":
        assert {name for name in first if third[name] is not first[name]} == {changed}
    running.refresh_from_db()
    assert running.last_meter == 3.0


@pytest.mark.postgres
def test_a_charge_point_that_is_written_while_its_lock_is_awaited_is_read_again() -> None:
    """F14: a new connection's epoch commits just before; the old one's batch must see it."""
    kept, row = Kept(), factories.charge_point()
    needs = (row.pk, Needs())

    def batch() -> World:
        with transaction.atomic():
            kept.begin()
            world = load([needs], kept)
        kept.keep(world)
        return world

    assert batch().charge_points[row.pk].epoch == row.epoch
    locked, waiting = threading.Event(), threading.Event()

    def connect() -> None:
        with transaction.atomic():
            ChargePoint.objects.filter(pk=row.pk).update(epoch=row.epoch + 1)
            locked.set()
            waiting.wait(10)
            time.sleep(0.5)

    thread = threading.Thread(target=_in_thread, args=(connect,))
    thread.start()
    assert locked.wait(10)
    waiting.set()
    assert batch().charge_points[row.pk].epoch == row.epoch + 1
    thread.join()
