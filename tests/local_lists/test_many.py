"""Updates of many lists: what they cost, in which portions, and two of them at the same time."""

import threading
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from csms.models import ChargePoint, Command, LocalList, LocalListContent
from csms.services import local_lists
from csms.services.local_list_states import State, charge_points_in
from csms.services.local_lists import Update, lists_update
from tests import factories
from tests.local_lists.rows import current, limits

if TYPE_CHECKING:
    from collections.abc import Callable


def fleet(number: int) -> list[ChargePoint]:
    """Charge points whose limits are known, the first of them with an idTag of its own."""
    rows = [factories.charge_point() for _ in range(number)]
    for row in rows:
        limits(row)
    factories.id_tag().charge_points.set(rows[:1])
    factories.id_tag()
    return rows


@pytest.mark.django_db
def test_the_same_queries_for_any_number() -> None:
    def queries(number: int) -> int:
        rows = fleet(number)
        with CaptureQueriesContext(connection) as captured:
            done = lists_update(charge_points=rows)
        assert sum(batch.commands.count() for batch in done.batches) == number
        return len(captured)

    few = queries(1)
    assert queries(30) == few


@pytest.mark.django_db
def test_many_are_begun_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a transaction of its own, so that the messages of charge points go between."""
    monkeypatch.setattr(local_lists, "PORTION", 4)
    rows = fleet(10)
    old = factories.charge_point(feature_profiles="Core")
    up_to_date = factories.charge_point()
    current(up_to_date)
    done = lists_update(charge_points=[*rows, old, up_to_date])
    assert [batch.commands.count() for batch in done.batches] == [4, 4, 2]
    assert (done.current, [who for who, _ in done.left]) == (1, [old.identity])
    assert set(charge_points_in([State.UPDATING])) == {row.pk for row in rows}
    assert LocalListContent.objects.filter(common=None).count() == 1
    again = lists_update(charge_points=ChargePoint.objects.order_by("identity"))
    assert (again.batches, again.current) == ([], 11)
    assert Command.objects.count() == 10


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_at_the_same_time_begin_each_list_once() -> None:
    """The second waits for the first, and finds that nothing is left to do."""
    rows = fleet(5)
    begun, done = threading.Event(), []

    def aside(work: "Callable[[], None]") -> threading.Thread:
        def run() -> None:
            try:
                work()
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def second() -> None:
        assert begun.wait(10)
        done.append(lists_update(charge_points=rows))

    with transaction.atomic():
        first = lists_update(charge_points=rows)
        thread = aside(second)
        begun.set()
        thread.join(1)
        waited = thread.is_alive()
    thread.join(10)
    assert waited
    other: Update = done[0]
    assert sum(batch.commands.count() for batch in first.batches) == 5
    assert (other.batches, other.current) == ([], 5)
    assert LocalList.objects.count() == Command.objects.count() == 5
