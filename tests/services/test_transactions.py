"""Transactions: one row for each sale, whatever the charger's clock, memory and network do."""

from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from csms.models import QuarantinedMessage, Transaction
from csms.models.transactions import TransactionState
from csms.ocpp import core
from tests import factories
from tests.services.harness import House, known_tag, meter_value, sample

pytestmark = pytest.mark.django_db

EPOCH = datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)


def only() -> Transaction:
    return Transaction.objects.get()


# ------------------------------------------------------------------------- F1, F2: one row


@pytest.mark.parametrize("message_id", ["same", ""], ids=["same id", "new id"])
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "later batch"])
def test_f2_repeated_start_has_one_row(house: House, message_id: str, together: bool) -> None:
    known_tag()
    cp = house.charger()
    messages = [cp.message(cp.start(), message_id=message_id) for _ in range(3)]
    if together:
        replies = house.replies(*messages)
    else:
        replies = [house.replies(message)[0] for message in messages]
    assert replies[0] == replies[1] == replies[2]
    assert replies[0].transaction_id == only().transaction_id > 0
    assert replies[0].id_tag_info.status == "Accepted"


def test_f1_retry_after_a_restart_of_ours(house: House) -> None:
    """Committed, killed before the answer left: another process knows no stored answers."""
    known_tag()
    cp = house.charger()
    first = cp.send(cp.start(), message_id="1")
    fresh = House()
    again = fresh.replies(cp.message(cp.start(), message_id="1"))[0]
    assert again == first
    assert Transaction.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"connector_id": 2},
        {"tag": "OTHER"},
        {"meter_start": 1001},
        {"timestamp": datetime(2026, 3, 4, 11, 0, tzinfo=UTC)},
    ],
)
def test_f1_any_other_natural_key_is_another_transaction(house: House, other: dict) -> None:
    cp = house.charger()
    assert cp.begin() != cp.begin(**other)
    assert Transaction.objects.count() == 2


def test_f2_repeat_keeps_status_although_the_tag_changed(house: House) -> None:
    tag = known_tag(max_transactions=1)
    cp = house.charger()
    first = cp.send(cp.start())
    tag.blocked = True
    tag.save()
    assert cp.send(cp.start()) == first


def test_f2_repeat_of_a_concurrent_start(house: House) -> None:
    known_tag(max_transactions=1)
    house.charger().begin()
    cp = house.charger()
    first, again = cp.send(cp.start()), cp.send(cp.start())
    assert first == again
    assert first.id_tag_info.status == "ConcurrentTx"


def test_f2_repeat_after_the_stop_changes_nothing(house: House) -> None:
    known_tag()
    cp = house.charger()
    start = cp.start()
    first = cp.send(start)
    cp.send(cp.stop(first.transaction_id))
    assert cp.send(start) == first
    assert only().state == TransactionState.STOPPED


def test_f2_longest_id_tag_grows_when_folded(house: House) -> None:
    """ß folds to two letters: the key is longer than the text."""
    cp = house.charger()
    payload = {
        "connectorId": 1,
        "idTag": "ß" * 200,
        "timestamp": "2026-03-04T12:00:00Z",
        "meterStart": 0,
    }
    first, again = (cp.send_plain("StartTransaction", payload) for _ in range(2))
    assert first == again
    assert only().transaction_id == first.transaction_id


def test_n39_ids_are_positive_and_unique(house: House) -> None:
    cp = house.charger()
    ids = {cp.begin(connector_id=n) for n in range(1, 60)}
    assert len(ids) == 59
    assert all(0 < number < 2**31 for number in ids)
    assert len({abs(a - b) for a in ids for b in ids}) > 1000  # they tell nothing of each other


# ------------------------------------------------------------ F8, F9: what happened offline


def test_f8_offline_sale_of_months_ago(house: House) -> None:
    known_tag(expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    cp = house.charger()
    began, ended = datetime(2025, 9, 1, 8, tzinfo=UTC), datetime(2025, 9, 1, 9, tzinfo=UTC)
    transaction_id = cp.begin(timestamp=began)
    cp.send(cp.stop(transaction_id, timestamp=ended))
    row = only()
    assert (row.started_at, row.stopped_at) == (began, ended)
    assert (row.start_received_at, row.stop_received_at) == (house.now, house.now)
    assert row.energy == 5000


def test_f8_transaction_messages_set_no_status(house: House) -> None:
    cp = house.charger()
    cp.send(cp.stop(cp.begin()))
    assert [c.status for c in cp.row.connectors.all()] == [""]


def test_f9_unknown_tag_leaves_evidence(house: House) -> None:
    cp = house.charger()
    reply = cp.send(cp.start("NOBODY"))
    assert reply.id_tag_info.status == "Invalid"
    assert reply.transaction_id > 0
    cp.send(cp.stop(reply.transaction_id))
    row = only()
    assert (row.id_tag, row.authorization, row.energy) == ("NOBODY", "Invalid", 5000)
    assert not row.billable


# -------------------------------------------------------------------------- F16, F22: clocks


@pytest.mark.parametrize("year", [1970, 2099])
def test_f16_unbelievable_clocks(house: House, year: int) -> None:
    known_tag()
    cp = house.charger()
    sent = datetime(year, 1, 1, tzinfo=UTC)
    transaction_id = cp.begin(timestamp=sent)
    received = house.now
    house.later(hours=1)
    cp.send(cp.stop(transaction_id, timestamp=sent))
    row = only()
    assert (row.started_at, row.stopped_at) == (received, house.now)
    assert row.start_timestamp.startswith(str(year))
    assert row.flags == [
        "the clock of the start is not believable",
        "the clock of the stop is not believable",
    ]
    assert row.energy == 5000


def test_f22_stuck_in_1970_each_session_is_a_sale(house: House) -> None:
    known_tag()
    cp = house.charger()
    start = cp.start(timestamp=EPOCH, meter_start=0)
    ids = []
    for _ in range(3):
        reply = cp.send(start)
        assert cp.send(start) == reply  # a retry while it runs
        ids.append(reply.transaction_id)
        house.later(hours=1)
        cp.send(cp.stop(ids[-1], timestamp=EPOCH, meter_stop=500))
    assert len(set(ids)) == 3
    assert list(Transaction.objects.values_list("energy", flat=True)) == [500] * 3


@pytest.mark.parametrize("stamp", ["", "2022-02-29T07:02:33.000Z", None, "0"])
def test_f22_a_clock_that_says_nothing_is_not_believed(house: House, stamp: object) -> None:
    """The time of receipt stands in, but the key holds what was sent: always the same."""
    known_tag()
    cp = house.charger()
    payload = {"connectorId": 1, "idTag": "TAG", "timestamp": stamp, "meterStart": 0}
    ids = []
    for _ in range(2):
        reply = cp.send_plain("StartTransaction", payload)
        house.later(minutes=1)
        assert cp.send_plain("StartTransaction", payload) == reply
        ids.append(reply.transaction_id)
        cp.send(cp.stop(ids[-1], meter_stop=500))
    assert len(set(ids)) == 2
    assert not QuarantinedMessage.objects.exists()


def test_f22_naive_time_is_in_the_chargers_zone(house: House) -> None:
    known_tag()
    cp = house.charger(time_zone="Europe/Vienna")
    payload = {
        "connectorId": 1,
        "idTag": "TAG",
        "timestamp": "2026-03-04T12:30:00",
        "meterStart": 0,
    }
    first = cp.send_plain("StartTransaction", payload)
    assert cp.send_plain("StartTransaction", payload) == first
    row = only()
    assert row.started_at == datetime(2026, 3, 4, 11, 30, tzinfo=UTC)
    assert row.start_timestamp == "2026-03-04T12:30:00"


# ---------------------------------------------------------------------------- F21: zombies


def test_f21_a_new_start_ends_the_zombie(house: House) -> None:
    known_tag()
    cp = house.charger()
    zombie = cp.begin()
    at = house.later(minutes=10)
    cp.send_plain(
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": zombie,
            "meterValue": [meter_value(at, sample(3500))],
        },
    )
    house.later(days=2)
    running = cp.begin(meter_start=4000)
    row = Transaction.objects.get(transaction_id=zombie)
    assert (row.state, row.energy, row.billable) == ("ended", 2500, False)
    assert row.stopped_at == at
    assert Transaction.objects.get(state="open").transaction_id == running

    cp.send(cp.stop(zombie, timestamp=at, meter_stop=3600))
    row.refresh_from_db()
    assert (row.state, row.energy, row.billable) == ("stopped", 2600, True)
    assert row.flags == []
    assert Transaction.objects.get(state="open").transaction_id == running


def test_f21_other_connectors_go_on(house: House) -> None:
    cp = house.charger()
    cp.begin(connector_id=1)
    cp.begin(connector_id=2)
    assert Transaction.objects.filter(state="open").count() == 2


def test_f21_boot_available_and_going_offline_close_nothing(house: House) -> None:
    cp = house.charger()
    cp.begin()
    cp.send(core.BootNotification(charge_point_vendor="V", charge_point_model="M"))
    cp.send_plain(
        "StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
    )
    assert only().is_open


def test_f21_several_starts_of_one_connector_in_one_batch(house: House) -> None:
    cp = house.charger()
    old = factories.transaction(cp.row, state="open", connector_id=1)
    house.replies(*(cp.message(cp.start(meter_start=n)) for n in range(3)))
    assert Transaction.objects.filter(state="ended").count() == 3
    assert only_open().meter_start == 2
    old.refresh_from_db()
    assert not old.billable


def only_open() -> Transaction:
    return Transaction.objects.get(state="open")


# ---------------------------------------------------------------------------- what is billed


@pytest.mark.parametrize(
    ("start", "stop", "energy"),
    [
        (1000, 900, None),
        (-5, 100, 105),
        (0, 5_000_001, None),
        (1000, -1, None),
        (0, 2**31 - 1, None),
    ],
)
def test_absurd_meters_are_flagged_and_never_billed(
    house: House, start: int, stop: int, energy: int | None
) -> None:
    known_tag()
    cp = house.charger()
    cp.send(cp.stop(cp.begin(meter_start=start), meter_stop=stop))
    row = only()
    assert row.state == TransactionState.STOPPED
    assert (row.billable, row.energy) == (False, energy)
    assert row.flags
    assert (row.meter_start, row.meter_stop) == (start, stop)


def test_an_ordinary_sale_is_billed_without_flags(house: House) -> None:
    known_tag()
    cp = house.charger()
    cp.send(cp.stop(cp.begin()))
    assert (only().billable, only().flags, only().stop_reason) == (True, [], "Local")


def test_n32_stop_without_tag_has_no_id_tag_info(house: House) -> None:
    cp = house.charger()
    assert cp.send(cp.stop(cp.begin())).id_tag_info is UNSET


def test_reasons_are_kept_as_sent(house: House) -> None:
    cp = house.charger()
    payload = {
        "transactionId": cp.begin(),
        "timestamp": "2026-03-04T12:30:00Z",
        "meterStop": 2000,
        "reason": "CableUnplugged",
    }
    cp.send_plain("StopTransaction", payload)
    assert only().stop_reason == "CableUnplugged"


@pytest.mark.parametrize("connector_id", [0, -1, 65, 1850027108])
def test_n19_impossible_connector_is_answered_and_kept(house: House, connector_id: int) -> None:
    cp = house.charger()
    reply = cp.send(cp.start(connector_id=connector_id))
    assert reply.transaction_id > 0
    assert reply.id_tag_info.status == "Invalid"
    assert not Transaction.objects.exists()
    assert not cp.row.connectors.exists()
    assert QuarantinedMessage.objects.get().action == "StartTransaction"
