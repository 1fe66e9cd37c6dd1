"""What is told: kept in the transaction of what it tells, once, in order; without a subscription
nothing is done."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from csms.models import (
    ChargePoint,
    Command,
    QuarantinedMessage,
    SecurityEvent,
    WebhookEvent,
    WebhookSubscription,
)
from csms.models.webhooks import WebhookKind
from csms.services import admission, gateways, security_events, webhooks
from csms.services.commands import command_cancel
from csms.services.online import charge_points_disconnect, soap_presence_check
from csms.services.outbox import Unsendable, command_complete, commands_expire
from csms.services.webhook_events import note_command, note_effect, note_security_events
from tests import factories
from tests.services.harness import House, known_tag, meter_value, sample
from tests.webhooks.receiver import subscribed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("allowed")]

URL = "http://127.0.0.1:8000/"


@pytest.fixture
def house() -> House:
    return House()


def told() -> list[dict[str, Any]]:
    return [json.loads(row.body) for row in WebhookEvent.objects.order_by("id")]


def kinds() -> list[str]:
    return [event["kind"] for event in told()]


def everything(url: str = URL, **how: Any) -> WebhookSubscription:
    row, _ = subscribed(url, **how)
    webhooks.forget()  # in a test's transaction nothing is ever committed
    return row


def register(wh: int) -> dict[str, str]:
    return sample(wh, measurand="Energy.Active.Import.Register")


def test_one_batch_is_told_in_the_order_of_arrival(house: House) -> None:
    """A start, its reading, its stop; the start that overtakes a transaction ends it before."""
    everything()
    known_tag()
    cp = house.charger()
    first = cp.message(cp.start())
    house.later(seconds=1)
    second = cp.message(cp.start(meter_start=1500))
    house.batch(first, second)
    number = told()[-1]["data"]["transaction_id"]
    at = house.later(seconds=1)
    reading = {
        "connectorId": 1,
        "transactionId": number,
        "meterValue": [meter_value(at, register(1600))],
    }
    updated = cp.plain("MeterValues", reading)
    house.later(seconds=1)
    stop = cp.message(cp.stop(number))
    house.batch(updated, stop)
    assert kinds() == [
        "transaction.started",
        "transaction.stopped",
        "transaction.started",
        "transaction.updated",
        "transaction.stopped",
    ]
    overtaken, stopped = told()[1]["data"], told()[4]["data"]
    assert (overtaken["state"], overtaken["meter_stop"]) == ("ended", None)
    assert (stopped["state"], stopped["energy"], stopped["billable"]) == ("stopped", 4500, True)
    assert told()[3]["data"]["energy_so_far"] == 100


def test_a_transaction_that_begins_and_ends_in_one_batch_is_told_as_both(house: House) -> None:
    """Three starts at once: the first two are overtaken within the batch."""
    everything()
    known_tag()
    cp = house.charger()
    messages = []
    for number in range(3):
        messages.append(cp.message(cp.start(meter_start=number)))
        house.later(seconds=1)
    house.batch(*messages)
    meters = [(event["kind"].split(".")[1], event["data"]["meter_start"]) for event in told()]
    assert meters == [
        ("started", 0),
        ("stopped", 0),
        ("started", 1),
        ("stopped", 1),
        ("started", 2),
    ]


def test_a_stop_that_comes_after_all_is_told_again(house: House) -> None:
    """F21: the repair of a transaction that was ended without stop."""
    known_tag()
    cp = house.charger()
    number = cp.begin()
    house.later(minutes=1)
    cp.begin(meter_start=2000)
    everything()
    house.later(minutes=1)
    cp.send(cp.stop(number))
    (event,) = told()
    assert (event["data"]["state"], event["data"]["transaction_id"]) == ("stopped", number)


def test_each_meter_values_message_is_one_update(house: House) -> None:
    """Several readings in one message; two messages in one batch; readings outside of transactions
    and those of the stop are none."""
    everything()
    known_tag()
    cp = house.charger()
    number = cp.begin()
    messages = []
    for _ in range(2):
        at = house.later(minutes=1)
        values = [
            meter_value(at, register(1100)),
            meter_value(at + timedelta(seconds=1), register(1200)),
        ]
        payload = {"connectorId": 1, "transactionId": number, "meterValue": values}
        messages.append(cp.plain("MeterValues", payload))
    messages.append(cp.plain("MeterValues", {"connectorId": 2, "meterValue": values}))
    house.batch(*messages)
    at = house.later(minutes=1)
    stop = {"transactionId": number, "meterStop": 2000, "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    cp.send_plain("StopTransaction", stop | {"transactionData": [meter_value(at, register(2000))]})
    assert kinds().count("transaction.updated") == 2
    assert told()[1]["data"]["meter"] == 1200


def test_nothing_is_told_of_what_was_rolled_back(house: House) -> None:
    everything()
    known_tag()
    cp = house.charger()
    with transaction.atomic():
        cp.begin()
        assert kinds() == ["transaction.started"]
        transaction.set_rollback(True)
    assert kinds() == []


def test_a_poisoned_message_takes_no_event_of_others_along(house: House) -> None:
    """F5: the batch is taken apart; what is told is what was kept."""
    everything()
    known_tag()
    good, bad = house.charger(), house.charger()
    messages = [good.message(good.start()), bad.message(bad.start())]
    messages[1].encode = lambda payload: "\0"  # cannot be stored on PostgreSQL, nor asked for here
    house.batch(*messages)
    assert set(kinds()) <= {"transaction.started"}
    identities = {event["charge_point"]["identity"] for event in told()}
    assert good.row.identity in identities


def test_without_a_subscription_a_batch_asks_nothing_more(house: House) -> None:
    """With one it costs one statement more, however many messages it has."""

    def queries(count: int) -> int:
        chargers = [house.charger() for _ in range(count)]
        webhooks.wanted_kinds()  # read once in a while
        asked: list[str] = []

        def count_it(execute: Any, sql: str, *rest: Any) -> Any:
            asked.append(sql)
            return execute(sql, *rest)

        status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        messages = [cp.plain("StatusNotification", status) for cp in chargers]
        with connection.execute_wrapper(count_it):
            house.batch(*messages)
        return len(asked)

    without = queries(3)
    assert told() == []
    everything()
    assert queries(3) == queries(9) == without + 1
    assert len(told()) == 12
    WebhookSubscription.objects.update(kinds=["command.finished"])
    webhooks.forget()
    assert queries(3) == without


def test_only_a_change_of_status_is_told(house: House) -> None:
    everything()
    cp = house.charger()
    for status in ("Available", "Available", "Charging"):
        house.later(seconds=1)
        cp.send_plain(
            "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status}
        )
    assert [event["data"]["status"] for event in told()] == ["Available", "Charging"]


def test_commands_are_told_when_they_end(house: House) -> None:
    """Cancelled, expired, failed; a late answer ends one again (F10)."""
    everything()
    cp = factories.charge_point()
    now = factories.now()
    command_cancel(command=factories.command(cp), by="ann")
    factories.command(cp, expires_at=now)
    commands_expire(now=now)
    sent = factories.command(cp, state="sent", sent_at=now)
    command_complete(command_id=sent.pk, answer=Unsendable("too long"), now=now)
    assert [event["data"]["state"] for event in told()] == ["cancelled", "expired", "error"]
    assert told()[2]["data"]["error"] == "too long"


def test_a_command_is_told_again_with_its_effect(house: House) -> None:
    """With the transaction that it started."""
    everything()
    cp = factories.charge_point()
    now = factories.now()
    command = factories.command(cp, action="RemoteStartTransaction", state="sent", sent_at=now)
    Command.objects.filter(pk=command.pk).update(state="accepted", effect="waiting")
    command.refresh_from_db()
    note_command(command)
    run = factories.transaction(cp)
    Command.objects.filter(pk=command.pk).update(
        effect="seen", effect_text="It began.", effect_at=now, transaction=run
    )
    note_effect(command_id=command.pk, at=now)
    waits, seen = (event["data"] for event in told())
    assert (waits["effect"], waits["transaction_id"]) == ("waiting", None)
    assert (seen["effect"], seen["effect_text"]) == ("seen", "It began.")
    assert (seen["transaction_id"], seen["command_id"]) == (run.transaction_id, command.pk)
    WebhookSubscription.objects.update(kinds=["status.changed"])
    webhooks.forget()
    note_effect(command_id=command.pk, at=now)
    assert len(told()) == 2


def test_security_events_of_ours_are_told() -> None:
    everything()
    security_events.forget()
    security_events.event_keep(
        identity="stranger",
        kind="TooManyAttempts",
        info="wrong passwords",
        remote_address="192.0.2.9",
        now=factories.now(),
    )
    assert SecurityEvent.objects.count() == 1
    (event,) = told()
    assert event["charge_point"] == {"identity": "stranger", "site": ""}
    assert event["data"]["ours"] is True


def test_a_security_event_of_a_charge_point_that_is_being_deleted_is_told() -> None:
    """PostgreSQL finds the missing charge point at the commit only: until then nobody may fail."""
    everything()
    row = factories.charge_point(identity="CP-1", site="Garage")
    for _ in range(2):
        event = SecurityEvent(
            charge_point_id=row.pk,
            identity="CP-1",
            kind="InvalidCredentials",
            ours=True,
            happened_at=factories.now(),
            received_at=factories.now(),
        )
        note_security_events([event])
        ChargePoint.objects.filter(pk=row.pk).delete()
    assert [event["charge_point"]["site"] for event in told()] == ["Garage", ""]


def test_a_replaced_connection_is_no_coming_or_going() -> None:
    """F11: only the first of them came, only the last of them goes."""
    everything()
    row, now = factories.charge_point(), factories.now()
    first, second = (
        admission.charge_point_connect(pk=row.pk, gateway="g", remote_address="192.0.2.9", now=now)
        for _ in range(2)
    )
    admission.charge_point_disconnect(pk=row.pk, epoch=first)
    assert [kind for kind in kinds() if kind != "security.event"] == ["charge_point.online"]
    admission.charge_point_disconnect(pk=row.pk, epoch=second)
    admission.charge_point_disconnect(pk=row.pk, epoch=second)
    assert kinds()[-1] == "charge_point.offline"
    assert kinds().count("charge_point.offline") == 1


def test_the_charge_points_of_a_gateway_that_is_gone_are_told_as_offline() -> None:
    """F13."""
    everything()
    now = factories.now()
    gateways.gateway_begin(name="gone", now=now - timedelta(minutes=5))
    factories.charge_point(identity="CP-1", connected=True, owner="gone")
    factories.charge_point(identity="CP-2", connected=True, owner="gone")
    assert gateways.gateways_reap(gone=gateways.gateways_leases()) == 1
    assert kinds() == ["charge_point.offline"] * 2
    assert not ChargePoint.objects.filter(connected=True).exists()


def test_presence_is_kept_without_a_subscription_too() -> None:
    """So that a first subscription is not told of the whole fleet."""
    row = factories.charge_point(transport="soap")
    assert soap_presence_check(now=factories.now()) == 1
    everything()
    assert soap_presence_check(now=factories.now()) == 0
    row.transport = "json"
    row.save()
    assert soap_presence_check(now=factories.now()) == 1
    assert kinds() == []  # it speaks by a socket now
    charge_points_disconnect(ChargePoint.objects.filter(pk=row.pk))
    assert kinds() == []  # it was not connected


def test_a_subscription_that_was_deleted_meanwhile_spoils_no_batch(house: House) -> None:
    """Another process may still believe in it: the message is kept and answered."""
    row = everything()
    webhooks.wanted_kinds()
    WebhookSubscription.objects.filter(pk=row.pk).delete()
    known_tag()
    assert house.charger().begin() > 0
    assert WebhookEvent.objects.count() == 1


def test_f16_a_clock_that_was_set_back_spoils_no_batch(house: House) -> None:
    """A transaction is overtaken by one that was received before it, as it seems."""
    everything()
    known_tag()
    cp = house.charger()
    cp.begin()
    house.later(hours=-1)
    assert house.replies(cp.message(cp.start(meter_start=1500)))[0].transaction_id > 0
    assert not QuarantinedMessage.objects.exists()
    assert sorted(kinds()) == [
        "transaction.started",
        "transaction.started",
        "transaction.stopped",
    ]


def test_who_is_told_of_chosen_charge_points_is_told_of_no_others_when_they_are_deleted(
    house: House,
) -> None:
    chosen, other = house.charger(), house.charger()
    row = everything(charge_points=[chosen.row])
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    for cp in (chosen, other):
        cp.send_plain("StatusNotification", status)
    assert len(told()) == 1
    ChargePoint.objects.filter(pk=chosen.row.pk).delete()
    webhooks.forget()
    other.send_plain("StatusNotification", status | {"status": "Charging"})
    assert len(told()) == 1
    webhooks.subscription_change(subscription=row, name="renamed")
    webhooks.forget()
    other.send_plain("StatusNotification", status | {"status": "Finishing"})
    assert len(told()) == 1
    webhooks.subscription_change(subscription=row, charge_points=[])
    webhooks.forget()
    other.send_plain("StatusNotification", status | {"status": "Available"})
    assert len(told()) == 2


def test_f3_an_outage_while_subscriptions_are_read_hides_none_of_them(house: House) -> None:
    """They are read within a batch, which is tried again: then nobody must seem to want nothing."""
    assert webhooks.wanted_kinds() == frozenset()
    everything()

    def gone(*_: Any) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(gone), pytest.raises(OperationalError):
        webhooks.wanted_kinds()
    assert WebhookKind.STATUS_CHANGED in webhooks.wanted_kinds()


def test_a_change_while_subscriptions_are_read_is_seen_by_the_next_look() -> None:
    row = everything()

    def meanwhile(execute: Any, *asked: Any) -> Any:
        found = execute(*asked)
        webhooks.forget()  # what was just read is old already
        return found

    with connection.execute_wrapper(meanwhile):
        webhooks.wanted_kinds()
    WebhookSubscription.objects.filter(pk=row.pk).update(kinds=["security.event"])
    assert webhooks.wanted_kinds() == {"security.event"}
