"""Two that write at the same time: a flag is lost to nobody."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from csms.models import Transaction
from csms.services.effects import effects_check
from csms.services.flush import flush
from csms.services.world import Needs, load

if TYPE_CHECKING:
    from tests.reservations.desk import Desk

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

DOUBT = "the clock of the stop is not believable"


def aside(work: Callable[[], object]) -> threading.Thread:
    """Work in a thread with a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("named", [True, False])
def test_a_flag_survives_a_stop_at_the_same_time(desk: "Desk", named: bool) -> None:
    """A StopTransaction adds a flag of its own to those that it has read, while somebody looks."""
    row = desk.made()
    number = row.reservation_id if named else None
    started = desk.start("OTHER", **({"reservation_id": number} if number else {}))
    read, looking = threading.Event(), threading.Event()

    def stop() -> None:
        """What the inbox does with a batch; it takes its time before it writes."""
        with transaction.atomic():
            world = load([(desk.cp.pk, Needs(transaction_ids=(started.transaction_id,)))])
            known = world.transactions[started.transaction_id]
            world.set(known, flags=[*known.flags, DOUBT])
            read.set()
            assert looking.wait(10)
            looker.join(2)
            flush(world)

    stopper = aside(stop)
    assert read.wait(10)
    looker = aside(lambda: effects_check(now=desk.house.now))
    looking.set()
    stopper.join(10)
    looker.join(10)
    against = (
        f"reservationId {row.reservation_id} is that of another idTag"
        if named
        else f"connector 1 was reserved for another idTag (reservationId {row.reservation_id})"
    )
    assert set(Transaction.objects.get(pk=started.pk).flags) == {DOUBT, against}
