"""What cannot be read: answered where it must be, kept as evidence, counted for its charger."""

import pytest

from csms.models import Deviation, Message, QuarantinedMessage
from csms.ocpp import core
from csms.ocpp.errors import (
    FormationViolation,
    OccurrenceConstraintViolation,
    ProtocolError,
)
from csms.services.messages import quarantine_resolve
from tests.services.harness import House

pytestmark = pytest.mark.django_db

BROKEN = {
    "StartTransaction": {"connectorId": True, "idTag": ["x"]},
    "StopTransaction": {"transactionId": 5, "meterStop": True},
    "MeterValues": {"connectorId": {}, "meterValue": []},
}


@pytest.mark.parametrize("name", BROKEN)
def test_n19_unreadable_transaction_messages_are_answered_and_kept(house: House, name: str) -> None:
    cp = house.charger()
    for _ in range(3):
        reply = cp.send_plain(name, BROKEN[name], message_id="the same")
        house.later(minutes=1)
    assert not isinstance(reply, ProtocolError)
    if name == "StartTransaction":
        assert reply.transaction_id > 0
        assert reply.id_tag_info.status == "Invalid"
    kept = QuarantinedMessage.objects.get()
    assert (kept.action, kept.charge_point_id, kept.resolved) == (name, cp.pk, False)
    assert kept.reason
    assert kept.raw.endswith("]")
    assert Message.objects.filter(action=name).exclude(error="").exists()


@pytest.mark.parametrize("together", [True, False])
def test_quarantine_counts_what_comes_again(house: House, together: bool) -> None:
    cp = house.charger()
    messages = [cp.message(cp.stop(77)) for _ in range(4)]
    if together:
        house.replies(*messages)
    else:
        for message in messages:
            house.replies(message)
    kept = QuarantinedMessage.objects.get()
    assert kept.count == 4
    quarantine_resolve(message=kept)
    kept.refresh_from_db()
    assert kept.resolved


def test_quarantine_tells_chargers_and_contents_apart(house: House) -> None:
    cp = house.charger()
    cp.send(cp.stop(77))
    cp.send(cp.stop(78))
    other = house.charger()
    other.send(other.stop(77))
    assert QuarantinedMessage.objects.count() == 3


def test_quarantine_tells_apart_what_is_repaired_to_the_same(house: House) -> None:
    cp = house.charger()
    stop = {"timestamp": "2026-03-04T12:00:00Z", "meterStop": 6000}
    for sent in (-1, 9223372036854775807):
        for _ in range(2):
            cp.send_plain("StopTransaction", stop | {"transactionId": sent})
    assert [kept.count for kept in QuarantinedMessage.objects.all()] == [2, 2]


@pytest.mark.parametrize("stamp", ["2022-02-29T07:02:33Z", "1970-01-01T00:00:05Z"])
def test_quarantine_counts_what_comes_again_later(house: House, stamp: str) -> None:
    """The time of receipt, which stands in for an impossible one, is no difference."""
    cp = house.charger()
    stop = {"transactionId": 77, "timestamp": stamp, "meterStop": 6000}
    for _ in range(2):
        house.later(minutes=1)
        cp.send_plain("StopTransaction", stop)
    assert QuarantinedMessage.objects.get().count == 2


@pytest.mark.parametrize("ids", [("a", "b"), ("2", "3"), ("StopTransaction", "5")])
@pytest.mark.parametrize(
    "raw",
    [
        '[2,"{}","StopTransaction",{{"transactionId":"5","meterStop":}}]',
        "<e><wsa:MessageID>{}</wsa:MessageID><b>5</b></e>",
        "<e><wsa:MessageID> {} </wsa:MessageID><b>5</b></e>",
    ],
)
def test_quarantine_counts_the_unreadable_under_a_new_message_id(
    house: House, raw: str, ids: tuple[str, str]
) -> None:
    cp = house.charger()
    for message_id in ids:
        message = cp.plain("StopTransaction", BROKEN["StopTransaction"], message_id=message_id)
        message.raw = raw.format(message_id)
        house.replies(message)
    assert QuarantinedMessage.objects.get().count == 2


@pytest.mark.parametrize("name", BROKEN)
def test_strict_chargers_get_the_error(house: House, name: str) -> None:
    cp = house.charger(strictness="strict")
    assert isinstance(cp.send_plain(name, BROKEN[name]), ProtocolError)
    assert not QuarantinedMessage.objects.exists()


def test_other_messages_get_the_error(house: House) -> None:
    cp = house.charger()
    assert isinstance(cp.send_plain("Authorize", {}), OccurrenceConstraintViolation)
    assert isinstance(cp.send_plain("Heartbeat", []), FormationViolation)
    assert not QuarantinedMessage.objects.exists()
    message = Message.objects.order_by("id")[0]
    assert message.error.startswith("OccurrenceConstraintViolation: ")
    assert message.answer.startswith("OccurrenceConstraintViolation: ")


def test_deviations_are_counted(house: House) -> None:
    cp, other = house.charger(), house.charger()
    long = {"idTag": "A" * 30}
    house.replies(*(cp.plain("Authorize", long) for _ in range(3)), other.plain("Authorize", long))
    first = house.now
    house.later(minutes=3)
    cp.send_plain("Authorize", {"idTag": "B" * 30, "connectorId": 1})
    card = {row.name: row for row in cp.row.deviations.all()}
    assert {name: row.count for name, row in card.items()} == {
        "over_long_text": 4,
        "additional_field": 1,
    }
    row = card["over_long_text"]
    assert (row.first_at, row.last_at) == (first, house.now)
    assert row.example == "idTag: " + "B" * 30
    assert Deviation.objects.get(charge_point=other.pk).count == 1
    noted = Message.objects.filter(charge_point=cp.pk).first()
    assert noted is not None
    assert len(noted.notes) == 2


def test_each_exchange_is_logged(house: House) -> None:
    cp = house.charger()
    cp.address = "192.0.2.1"
    cp.send(core.Heartbeat(), message_id="h1")
    row = Message.objects.get()
    assert (row.action, row.message_id, row.direction, row.error) == ("Heartbeat", "h1", "in", "")
    assert row.request == '[2, "h1", "Heartbeat", {}]'
    assert row.answer == '{"currentTime":"2026-03-04T12:00:00Z"}'
    assert (row.bucket_at, row.remote_address) == (house.now, "192.0.2.1")
    assert row.duration is not None
    assert (row.charge_point_id, row.identity) == (cp.pk, cp.row.identity)
