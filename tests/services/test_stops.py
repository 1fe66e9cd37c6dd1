"""StopTransaction: it cannot be refused, and often does not say what it stops (F5, F6, F7, N20)."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.models import QuarantinedMessage, SecurityEvent, Transaction
from csms.models.transactions import TransactionState
from csms.ocpp import core
from csms.ocpp.types import Reason
from tests.services.harness import House, known_tag, meter_value, sample

pytestmark = pytest.mark.django_db


def only() -> Transaction:
    return Transaction.objects.get()


# ---------------------------------------------------------------------------- F5: stop again


def test_f5_repeated_stop_gets_the_same_answer(house: House) -> None:
    known_tag()
    cp = house.charger()
    stop = cp.stop(cp.begin(), id_tag="TAG", reason=Reason.REMOTE)
    first, again = cp.send(stop), cp.send(stop)
    assert first == again
    assert first.id_tag_info.status == "Accepted"
    row = only()
    assert (row.energy, row.billable, row.stop_reason) == (5000, True, "Remote")
    assert not QuarantinedMessage.objects.exists()


def test_f5_conflicting_stop_keeps_the_first(house: House) -> None:
    known_tag()
    cp = house.charger()
    transaction_id = cp.begin()
    cp.send(cp.stop(transaction_id))
    for _ in range(2):
        assert cp.send(cp.stop(transaction_id, meter_stop=9999)) == core.StopTransactionResponse()
    assert only().meter_stop == 6000
    kept = QuarantinedMessage.objects.get()
    assert kept.count == 2
    assert "9999" in kept.reason
    assert "6000" in kept.reason
    assert SecurityEvent.objects.filter(kind="ConflictingStopTransaction").exists()


def test_f5_both_stops_in_one_batch(house: House) -> None:
    cp = house.charger()
    transaction_id = cp.begin()
    house.replies(
        cp.message(cp.stop(transaction_id)), cp.message(cp.stop(transaction_id, meter_stop=7))
    )
    assert only().meter_stop == 6000
    assert QuarantinedMessage.objects.count() == 1


def test_start_and_stop_in_one_batch(house: House) -> None:
    """An id that was never told to the charger: paired."""
    known_tag()
    cp = house.charger()
    house.replies(cp.message(cp.start()), cp.message(cp.stop(-1)))
    assert only().state == TransactionState.STOPPED


def test_n27_a_stop_is_kept_whatever_becomes_of_it(house: House) -> None:
    """StopTransaction.conf has no way to refuse: recorded, or kept as evidence."""
    cp = house.charger()
    transaction_id = cp.begin()
    for stop in (
        cp.stop(transaction_id, id_tag="BLOCKED", meter_stop=500),
        cp.stop(transaction_id),
        cp.stop(77),
    ):
        assert isinstance(cp.send(stop), core.StopTransactionResponse)
    assert cp.send_plain("StopTransaction", {}) == core.StopTransactionResponse()
    assert (only().state, only().meter_stop) == (TransactionState.STOPPED, 500)
    assert QuarantinedMessage.objects.count() == 3


# --------------------------------------------------------------------- what it says is doubted


def test_a_stop_before_its_start_is_flagged(house: House) -> None:
    known_tag()
    cp = house.charger()
    transaction_id = cp.begin()
    cp.send(cp.stop(transaction_id, timestamp=house.now - timedelta(minutes=1)))
    row = only()
    assert row.flags == ["the stop is earlier than the start"]
    assert (row.stopped_at, row.billable) == (row.started_at, True)


def test_a_stop_before_a_start_without_a_clock_says_nothing_of_the_order(house: House) -> None:
    known_tag()
    cp = house.charger()
    transaction_id = cp.begin(timestamp=datetime(1970, 1, 1, tzinfo=UTC))
    cp.send(cp.stop(transaction_id, timestamp=house.now - timedelta(minutes=1)))
    assert only().flags == ["the clock of the start is not believable"]


@pytest.mark.parametrize(
    ("last", "below"), [("6000.9", False), ("6000", False), ("6001", True), ("700", False)]
)
def test_meter_stop_below_the_last_reading_is_not_billed(
    house: House, last: str, below: bool
) -> None:
    """700 Wh is below meterStart: some meters count each transaction from 0 in its readings."""
    known_tag()
    cp = house.charger()
    transaction_id = cp.begin()
    values = [meter_value(house.later(minutes=1), sample(last))]
    cp.send_plain(
        "MeterValues", {"connectorId": 1, "transactionId": transaction_id, "meterValue": values}
    )
    cp.send(cp.stop(transaction_id))
    row = only()
    assert (row.energy, row.billable) == (5000, not below)
    assert row.flags == (
        ["meterStop 6000 Wh is below the last reading of 6001 Wh"] if below else []
    )


# ------------------------------------------------------------------------------ F6: pairing


@pytest.mark.parametrize("sent", [0, -1, 77, 2**31 - 1])
def test_f6_one_open_transaction_fits(house: House, sent: int) -> None:
    known_tag()
    cp = house.charger()
    cp.begin()
    house.later(minutes=30)
    assert cp.send(cp.stop(sent)) == core.StopTransactionResponse()
    row = only()
    assert (row.state, row.energy) == (TransactionState.STOPPED, 5000)
    assert f"stopped as transaction {sent}" in row.flags
    assert not QuarantinedMessage.objects.exists()
    assert cp.row.deviations.get().name == "stop paired by guess"


@pytest.mark.parametrize("sent", [0, -1, 77])
def test_n20_unknown_stop_is_answered_and_kept(house: House, sent: int) -> None:
    """N27: there is no way to refuse; N20: -1 is answered as if valid."""
    known_tag()
    cp = house.charger()
    reply = cp.send(cp.stop(sent, id_tag="TAG"))
    assert reply.id_tag_info.status == "Accepted"
    kept = QuarantinedMessage.objects.get()
    assert (kept.action, kept.charge_point_id) == ("StopTransaction", cp.pk)
    assert str(sent) in kept.raw


def test_f6_two_that_fit_are_not_guessed(house: House) -> None:
    cp = house.charger()
    cp.begin(connector_id=1)
    cp.begin(connector_id=2)
    cp.send(cp.stop(-1))
    assert Transaction.objects.filter(state="open").count() == 2
    assert QuarantinedMessage.objects.count() == 1


@pytest.mark.parametrize(
    "stop",
    [
        {"meter_stop": 999},
        {"id_tag": "OTHER"},
        {"timestamp": datetime(2026, 3, 4, 11, 0, tzinfo=UTC)},
    ],
    ids=["meter", "idTag", "time"],
)
def test_f6_conditions(house: House, stop: dict) -> None:
    cp = house.charger()
    cp.begin()
    cp.send(cp.stop(-1, **stop))
    assert only().is_open
    assert QuarantinedMessage.objects.count() == 1


def test_f6_conditions_leave_one_of_two(house: House) -> None:
    cp = house.charger()
    cp.begin("A", connector_id=1)
    other = cp.begin("B", connector_id=2)
    cp.send(cp.stop(-1, id_tag="b"))
    assert Transaction.objects.get(state="stopped").transaction_id == other


def test_f6_a_tag_of_the_same_group_may_have_stopped(house: House) -> None:
    """Two cards of one parentIdTag stop each other's transactions."""
    known_tag("A", parent_id_tag="FAMILY")
    known_tag("B", parent_id_tag="family")
    known_tag("C", parent_id_tag="OTHERS")
    cp = house.charger()
    cp.begin("A")
    cp.send(cp.stop(-1, id_tag="C"))
    assert only().is_open
    cp.send(cp.stop(-1, id_tag="B"))
    assert only().state == TransactionState.STOPPED


def test_n32_a_parent_is_not_a_presented_tag(house: House) -> None:
    known_tag("A", parent_id_tag="FAMILY")
    known_tag("FAMILY")
    cp = house.charger()
    cp.begin("A")
    cp.send(cp.stop(-1, id_tag="FAMILY"))
    assert only().is_open


def test_f6_other_chargers_transactions_are_no_candidates(house: House) -> None:
    house.charger().begin()
    cp = house.charger()
    cp.send(cp.stop(-1))
    assert only().is_open


@pytest.mark.parametrize("sent", [9223372036854775807, None, "x", 1.5])
def test_f6_unreadable_transaction_id(house: House, sent: object) -> None:
    """Such a stop is taken as transactionId -1."""
    cp = house.charger()
    cp.begin()
    payload = {"timestamp": "2026-03-04T12:30:00Z", "meterStop": 2000, "transactionId": sent}
    assert cp.send_plain("StopTransaction", payload) == core.StopTransactionResponse()
    assert only().energy == 1000


# ------------------------------------------------------------------- F7: somebody else's


def test_f7_stop_of_another_chargers_transaction(house: House) -> None:
    known_tag()
    transaction_id = house.charger().begin()
    thief = house.charger()
    thief.begin()
    reply = thief.send(thief.stop(transaction_id, id_tag="TAG"))
    assert reply.id_tag_info.status == "Accepted"
    assert Transaction.objects.filter(state="open").count() == 2
    event = SecurityEvent.objects.get()
    assert (event.kind, event.charge_point_id, event.ours) == ("ForeignTransaction", thief.pk, True)
    assert QuarantinedMessage.objects.get().identity == thief.row.identity
