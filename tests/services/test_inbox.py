"""The inbox: one commit for many messages, and whom a failure is blamed on."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from csms.models import (
    Message,
    MeterValue,
    QuarantinedMessage,
    SecurityEvent,
    Transaction,
)
from csms.ocpp import core, security
from csms.ocpp.base import Request
from csms.ocpp.errors import InternalFailure, Unavailable
from csms.services import dispatch, inbox_worker
from csms.services.dispatch import Context, Handler
from csms.services.inbox import Inbox, Incoming, LogEntry
from csms.services.webhooks import wanted_kinds
from tests import factories
from tests.services.harness import Charger, House, answer_of, known_tag, meter_value, sample

BOOT = core.BootNotification(charge_point_vendor="V", charge_point_model="M")
STATUS = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}


def fleet(house: House, size: int) -> list[Incoming]:
    """Ten kinds of messages of each of `size` chargers."""
    messages = []
    for _ in range(size):
        cp = house.charger()
        tag = known_tag(f"TAG{cp.pk}", max_transactions=1, parent_id_tag=f"P{cp.pk}").id_tag
        running = factories.transaction(cp.row, state="open", connector_id=2, id_tag=tag)
        meter = [meter_value(house.now, sample(5))]
        messages += [
            cp.message(BOOT),
            cp.message(core.Heartbeat()),
            cp.plain("StatusNotification", STATUS),
            cp.message(core.Authorize(id_tag=tag)),
            cp.message(cp.start(tag)),
            cp.plain(
                "MeterValues",
                {"connectorId": 2, "transactionId": running.transaction_id, "meterValue": meter},
            ),
            cp.message(cp.stop(running.transaction_id, id_tag=tag)),
            cp.message(cp.stop(-1, id_tag="OTHER")),
            cp.plain("Authorize", {"idTag": "x" * 30}),
            cp.message(security.SecurityEventNotification(type="t", timestamp=house.now)),
        ]
    return messages


def queries(house: House, messages: list[Incoming]) -> int:
    wanted_kinds()  # asked once in a while, not with each batch
    with CaptureQueriesContext(connection) as captured:
        for outcome in house.batch(*messages):
            answer_of(outcome)
    return len(captured)


@pytest.mark.django_db
def test_queries_of_a_batch_do_not_grow_with_it(house: House) -> None:
    few, many = fleet(house, 1), fleet(house, 20)
    assert (len(few), len(many)) == (10, 200)
    at_first = queries(house, few)
    assert at_first <= 30
    pieces = len(many) // 25 if connection.vendor == "sqlite" else 0  # rows go in pieces there
    assert at_first <= queries(house, many) <= at_first + pieces


@pytest.mark.django_db
@pytest.mark.parametrize("kind", range(10))
def test_queries_of_one_kind_do_not_grow(house: House, kind: int) -> None:
    few, many = fleet(house, 2)[kind::10], fleet(house, 30)[kind::10]
    assert queries(house, many) == queries(house, few)


# ------------------------------------------------------------------ a failing handler


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Request[Any]]], None]:
    """Makes a handler raise after it has done its work."""

    def fail(kind: type[Request[Any]]) -> None:
        real = dispatch.handlers[kind]

        def decide(request: Any, context: Context) -> Any:
            real.decide(request, context)
            raise ZeroDivisionError("secret detail")

        monkeypatch.setitem(dispatch.handlers, kind, Handler(decide, real.needs))

    return fail


def neighbours(house: House, poisoned: Incoming) -> list[Any]:
    """Outcomes of a batch of three, the poisoned message between two others."""
    before, after = house.charger(), house.charger()
    outcomes = house.batch(before.message(before.start()), poisoned, after.message(after.start()))
    for outcome, cp in ((outcomes[0], before), (outcomes[2], after)):
        row = Transaction.objects.get(charge_point=cp.pk)
        assert answer_of(outcome).transaction_id == row.transaction_id
    return [outcomes[1]]


@pytest.mark.django_db
def test_a_failing_handler_fails_only_its_message(house: House, failing: Any) -> None:
    failing(security.SecurityEventNotification)
    cp = house.charger()
    event = security.SecurityEventNotification(type="t", timestamp=house.now)
    (outcome,) = neighbours(house, cp.message(event))
    error = answer_of(outcome)
    assert isinstance(error, InternalFailure)
    assert "secret" not in outcome.text
    assert not SecurityEvent.objects.exists()
    logged = Message.objects.get(charge_point=cp.pk)
    assert "secret" not in logged.error


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["StartTransaction", "StopTransaction", "MeterValues"])
def test_n19_transaction_messages_are_answered_all_the_same(
    house: House, failing: Any, name: str
) -> None:
    cp = house.charger()
    running = cp.begin(connector_id=2)
    failing(getattr(core, name))
    meter = {"connectorId": 2, "transactionId": running}
    meter["meterValue"] = [meter_value(house.now, sample(5))]  # type: ignore[assignment]
    poisoned = {
        "StartTransaction": cp.message(cp.start()),
        "StopTransaction": cp.plain(
            "StopTransaction",
            {
                "transactionId": running,
                "timestamp": "2026-03-04T12:00:00Z",
                "meterStop": 2000,
                "transactionData": meter["meterValue"],
            },
        ),
        "MeterValues": cp.plain("MeterValues", meter),
    }[name]
    reply = answer_of(house.batch(poisoned)[0])
    assert not isinstance(reply, Exception)
    row = Transaction.objects.get()
    assert (row.state, row.meter_stop, row.last_meter) == ("open", None, None)
    assert not MeterValue.objects.exists()  # nothing of it was written
    assert QuarantinedMessage.objects.get().raw == poisoned.raw


# --------------------------------------------------------------- a row that cannot be stored


@pytest.mark.django_db
def test_a_row_that_the_database_refuses_fails_alone(house: House) -> None:
    cp = house.charger()
    poisoned = cp.message(security.SecurityEventNotification(type="t", timestamp=house.now))
    poisoned.request = security.SecurityEventNotification(type="\ud800", timestamp=house.now)
    (outcome,) = neighbours(house, poisoned)
    assert isinstance(answer_of(outcome), InternalFailure)
    assert not SecurityEvent.objects.exists()
    kept = QuarantinedMessage.objects.get()
    assert (kept.raw, kept.charge_point_id) == (poisoned.raw, cp.pk)
    assert Message.objects.get(charge_point=cp.pk).error

    # The charger runs apart for a while: others keep their common commit.
    other = house.charger()
    replies = house.replies(cp.message(core.Heartbeat()), other.message(core.Heartbeat()))
    assert [reply.current_time for reply in replies] == [house.now] * 2


@pytest.mark.django_db
def test_a_start_that_the_database_refuses_is_answered_and_kept(house: House) -> None:
    cp = house.charger()
    poisoned = cp.message(cp.start())
    poisoned.request = cp.start("\ud800")
    (outcome,) = neighbours(house, poisoned)
    assert answer_of(outcome).id_tag_info.status == "Invalid"
    assert QuarantinedMessage.objects.get().action == "StartTransaction"
    assert not Transaction.objects.filter(charge_point=cp.pk).exists()


@pytest.mark.django_db
def test_a_text_that_fits_nowhere_fails_alone(house: House) -> None:
    cp = house.charger()
    poisoned = cp.message(core.Heartbeat())
    poisoned.raw = "\ud800"
    (outcome,) = neighbours(house, poisoned)
    assert isinstance(answer_of(outcome), InternalFailure)


@pytest.mark.django_db
def test_an_answer_that_cannot_be_written_fails_alone(house: House) -> None:
    def encode(_: Any) -> str:
        raise ValueError("no text for this")

    poisoned = house.charger().message(core.Heartbeat())
    poisoned.encode = encode
    (outcome,) = neighbours(house, poisoned)
    assert isinstance(outcome, Unavailable)
    assert QuarantinedMessage.objects.count() == 0


@pytest.mark.django_db
def test_log_rows_that_nobody_waits_for(house: House) -> None:
    for number in range(3):
        house.inbox.record(
            LogEntry(
                None, "X", "json", "out", "Reset", f"m{number}", "[2]", "[3]", 4.5, at=house.now
            )
        )
    house.batch()
    assert list(Message.objects.order_by("id").values_list("message_id", flat=True)) == [
        "m0",
        "m1",
        "m2",
    ]


@pytest.mark.django_db
def test_log_rows_that_cannot_be_written_harm_no_message(house: House) -> None:
    house.inbox.record(LogEntry(None, "X", "json", "in", "", "", "\ud800", at=house.now))
    cp = house.charger()
    assert cp.begin() == Transaction.objects.get().transaction_id
    assert Message.objects.get().charge_point_id == cp.pk


# -------------------------------------------------------------------- two writers at once


def in_thread(function: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            function()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_f1_key_taken_by_another_connection_before_our_commit(house: House) -> None:
    known_tag()
    cp = house.charger()
    row = cp.row
    message = cp.message(cp.start())
    written = threading.Event()

    def other() -> None:
        with transaction.atomic():
            factories.transaction(
                row,
                transaction_id=4711,
                state="open",
                id_tag="TAG",
                start_timestamp=house.now.isoformat(),
                occurrence=0,
            )
            written.set()
            time.sleep(0.4)  # our insert waits for this transaction meanwhile

    thread = in_thread(other)
    assert written.wait(10)
    assert house.replies(message)[0].transaction_id == 4711
    thread.join()
    assert Transaction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_f2_the_same_starts_in_two_inboxes_at_once() -> None:
    """Retries that reach another process, in another order: deadlocks are tried again."""
    houses = House(), House()
    chargers = [houses[0].charger() for _ in range(12)]
    batches = [[Charger(house, cp.row).message(cp.start()) for cp in chargers] for house in houses]
    batches[1].reverse()
    outcomes: dict[int, list[Any]] = {}

    def handle(index: int) -> None:
        outcomes[index] = houses[index].batch(*batches[index])

    for thread in [in_thread(partial(handle, index)) for index in (0, 1)]:
        thread.join()
    ids = [[answer_of(outcome).transaction_id for outcome in outcomes[n]] for n in (0, 1)]
    assert ids[0] == ids[1][::-1]
    assert Transaction.objects.count() == 12


# ------------------------------------------------------------------------- F3, F18: no database


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_f18_locked_database_acknowledges_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_worker, "PATIENCE", 0.04)
    cp = house.charger()
    messages = [cp.message(cp.start()), cp.message(core.Heartbeat())]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    blocker = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    outcomes = house.batch(*messages)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 2
    blocker.execute("ROLLBACK")
    blocker.close()
    assert not Transaction.objects.exists()
    assert not QuarantinedMessage.objects.exists()  # never blamed on a message
    assert answer_of(house.batch(*messages)[0]).transaction_id > 0


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_f18_a_lock_within_patience_costs_only_time(house: House) -> None:
    cp = house.charger()
    message = cp.message(cp.start())
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    blocker = sqlite3.connect(
        str(connection.settings_dict["NAME"]), isolation_level=None, check_same_thread=False
    )
    blocker.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.4, lambda: blocker.execute("ROLLBACK"))
    timer.start()
    assert house.replies(message)[0].transaction_id > 0
    timer.join()
    blocker.close()


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_f18_who_waits_in_a_queue_waits_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Patience begins when a message comes, not when those before it were given up."""
    monkeypatch.setattr(inbox_worker, "PATIENCE", 1.0)
    house = House(CSMS_INBOX_BATCH="1")
    cp = house.charger()
    messages = [cp.message(cp.start(meter_start=meter)) for meter in range(6)]
    blocker = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.8)

    async def scene() -> float:
        waiting = Inbox(house.config)
        waiting.start()
        blocker.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        asking = [waiting.submit(message) for message in messages]
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        took = time.monotonic() - began
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * len(messages)
        blocker.execute("ROLLBACK")
        await waiting.stop()
        return took

    try:
        assert asyncio.run(scene()) < 4  # not one second for each
    finally:
        blocker.close()


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_f18_read_only_database_acknowledges_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_worker, "PATIENCE", 0.04)
    cp = house.charger()
    message = cp.message(cp.start())
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = 1")
    assert isinstance(house.batch(message)[0], Unavailable)
    assert house.replies(message)[0].transaction_id > 0
