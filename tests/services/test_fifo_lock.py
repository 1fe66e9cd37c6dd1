"""SQLite's writer lock: first come, first served; free again after every end of a transaction."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from csms.models import ChargePoint
from csms.sqlite.base import FifoLock, writer_lock
from tests import factories


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_order_of_arrival() -> None:
    lock, order, threads = FifoLock(), [], []
    lock.acquire()

    def take(number: int) -> None:
        lock.acquire()
        order.append(number)
        lock.release()

    for number in range(20):
        thread = threading.Thread(target=take, args=(number,))
        thread.start()
        threads.append(thread)
        wait_until(lambda: len(lock._waiting) == len(threads))
    lock.release()
    for thread in threads:
        thread.join()
    assert order == list(range(20))
    lock.acquire()  # free again
    lock.release()


def in_other_thread(function: Callable[[], None]) -> None:
    def run() -> None:
        try:
            function()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def commit() -> None:
    with transaction.atomic():
        factories.charge_point()
        with transaction.atomic():
            factories.charge_point()


def roll_back() -> None:
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        factories.charge_point()
        raise ZeroDivisionError


def close() -> None:
    transaction.atomic().__enter__()
    factories.charge_point()
    connection.close()
    connection.in_atomic_block = False


def autocommit() -> None:
    factories.charge_point()


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", [commit, roll_back, close, autocommit])
def test_lock_is_free_after_every_end(end: Callable[[], None]) -> None:
    in_other_thread(end)
    assert not writer_lock(str(connection.settings_dict["NAME"]))._held
    in_other_thread(commit)
    assert ChargePoint.objects.count() == {commit: 4, autocommit: 3}.get(end, 2)


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_writers_wait_for_each_other_without_an_error() -> None:
    """All at once, far more than the busy timeout's polling would serve fairly."""
    threads = [threading.Thread(target=in_other_thread, args=(commit,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ChargePoint.objects.count() == 24
