"""What charge points say of their transactions, rightly and wrongly, at both edges: F5 to F9, F16,
F21, F22. Each test is told once and held over OCPP-J and over OCPP-S."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csms.models import (
    Command,
    Connector,
    MeterValue,
    QuarantinedMessage,
    SecurityEvent,
    Transaction,
)
from tests.faults.conftest import Connect
from tests.faults.edges import Answer, Call, Edge, ask, essence

TRANSPORTS = ("json", "soap")
NOW = datetime.now(UTC).replace(microsecond=0)
ACCEPTED = {"status": "Accepted"}
INVALID = {"status": "Invalid"}


def text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def ago(**amount: float) -> str:
    return text(NOW - timedelta(**amount))


def start(edge: Edge, message_id: str = "", **changes: Any) -> Answer:
    """TAG starts at connector 1, two hours ago, the meter at 1000 Wh."""
    usual = {"connectorId": 1, "idTag": "TAG", "timestamp": ago(hours=2), "meterStart": 1000}
    return ask(edge, "StartTransaction", message_id, **usual | changes)


def stop(edge: Edge, number: int, message_id: str = "", **changes: Any) -> Answer:
    """A stop one hour ago, the meter at 6000 Wh; without an idTag, as from the button."""
    usual = {"transactionId": number, "timestamp": ago(hours=1), "meterStop": 6000}
    return ask(edge, "StopTransaction", message_id, **usual | changes)


def meter(edge: Edge, number: int, value: object, at: str = "") -> Answer:
    reading = {"timestamp": at or ago(minutes=90), "sampledValue": [{"value": value}]}
    return ask(edge, "MeterValues", connectorId=1, transactionId=number, meterValue=[reading])


def status(edge: Edge, said: str, at: str) -> Connector:
    """The connector after a StatusNotification."""
    answer = ask(
        edge,
        "StatusNotification",
        connectorId=1,
        status=said,
        errorCode="NoError",
        timestamp=at,
    )
    assert answer.body == edge.reply("StatusNotification")
    return Connector.objects.get(charge_point=edge.row, connector_id=1)


def boot(edge: Edge) -> None:
    answer = ask(edge, "BootNotification", chargePointVendor="V", chargePointModel="M")
    assert answer.fields["status"] == "Accepted"


def row(number: int) -> Transaction:
    return Transaction.objects.get(transaction_id=number)


# --------------------------------------------------------------------------- F5: stop again


def test_f5_stop_again(edge: Edge) -> None:
    """Under the same message id the same bytes; under another one, and on a new connection, the
    same reply; one row, nothing in quarantine."""
    number = start(edge).transaction_id
    again = {"idTag": "TAG", "reason": "Remote"}
    first = stop(edge, number, "stop-1", **again)
    assert first.body == edge.reply("StopTransaction", idTagInfo=ACCEPTED)
    assert stop(edge, number, "stop-1", **again).raw == first.raw
    assert stop(edge, number, "stop-2", **again).body == first.body
    edge.reconnect()
    assert stop(edge, number, "stop-1", **again).raw == first.raw
    assert stop(edge, number, "stop-3", **again).body == first.body
    (known,) = Transaction.objects.all()
    assert (known.state, known.energy, known.billable) == ("stopped", 5000, True)
    assert (known.stop_reason, known.flags) == ("Remote", [])
    assert not QuarantinedMessage.objects.exists()


def test_f5_conflicting_stop(edge: Edge) -> None:
    """The same answer; the first one stays, the second is kept apart, and somebody is told."""
    number = start(edge).transaction_id
    first = stop(edge, number)
    assert first.body == edge.reply("StopTransaction")
    for _ in range(2):
        assert stop(edge, number, meterStop=9999).body == first.body
    assert (row(number).meter_stop, row(number).energy) == (6000, 5000)
    (kept,) = QuarantinedMessage.objects.all()
    said = {"transactionId": number, "timestamp": ago(hours=1), "meterStop": 9999}
    assert essence(kept.raw) == edge.written("StopTransaction", said)
    assert (kept.count, kept.charge_point) == (2, edge.row)
    events = SecurityEvent.objects.filter(kind="ConflictingStopTransaction", ours=True)
    assert {event.charge_point for event in events} == {edge.row}


def test_f5_stops_that_overtake_each_other(edge: Edge) -> None:
    """Three at once, one of which says otherwise: one counts, and each is answered."""
    number = start(edge).transaction_id
    usual = {"transactionId": number, "timestamp": ago(hours=1)}
    calls = [
        Call("StopTransaction", usual | {"meterStop": meter_stop})
        for meter_stop in (6000, 6000, 7000)
    ]
    assert {a.body for a in edge.exchange(calls)} == {edge.reply("StopTransaction")}
    counted = row(number).meter_stop
    assert counted in (6000, 7000)
    (kept,) = QuarantinedMessage.objects.all()
    assert essence(kept.raw) == edge.written(
        "StopTransaction", usual | {"meterStop": 13_000 - (counted or 0)}
    )


# -------------------------------------------------------------------- F6: whose stop is it?


@pytest.mark.parametrize("number", [0, -1, 77])
def test_f6_stop_of_nothing(edge: Edge, number: int) -> None:
    """Nothing fits: answered, and kept as it came."""
    answer = stop(edge, number, idTag="TAG")
    assert answer.body == edge.reply("StopTransaction", idTagInfo=ACCEPTED)
    assert not Transaction.objects.exists()
    (kept,) = QuarantinedMessage.objects.all()
    assert (kept.action, kept.charge_point) == ("StopTransaction", edge.row)
    assert kept.identity == edge.row.identity
    said = {"transactionId": number, "timestamp": ago(hours=1), "meterStop": 6000, "idTag": "TAG"}
    assert essence(kept.raw) == edge.written("StopTransaction", said)


@pytest.mark.parametrize("number", [0, -1, 77])
def test_f6_one_open_transaction_fits(edge: Edge, number: int) -> None:
    """Its start was never confirmed, so the charge point knows no id: paired, and noted."""
    began = start(edge).transaction_id
    assert stop(edge, number).body == edge.reply("StopTransaction")
    paired = row(began)
    assert (paired.state, paired.energy, paired.billable) == ("stopped", 5000, True)
    assert paired.flags == [f"stopped as transaction {number}"]
    assert not QuarantinedMessage.objects.exists()
    assert edge.row.deviations.filter(name="stop paired by guess").exists()


@pytest.mark.parametrize(
    "said",
    [{"meterStop": 999}, {"idTag": "OTHER"}, {"timestamp": ago(hours=5)}],
    ids=["meter", "idTag", "time"],
)
def test_f6_it_does_not_fit(edge: Edge, said: dict[str, Any]) -> None:
    """Meter, idTag and time must: the transaction goes on, the stop is kept."""
    began = start(edge).transaction_id
    stop(edge, -1, **said)
    assert row(began).is_open
    assert QuarantinedMessage.objects.get().charge_point == edge.row


def test_f6_two_fit(edge: Edge) -> None:
    """Nothing is guessed; another charge point's is no candidate."""
    numbers = [start(edge, connectorId=n).transaction_id for n in (1, 2)]
    stop(edge, -1)
    assert all(row(number).is_open for number in numbers)
    assert QuarantinedMessage.objects.count() == 1
    stop(edge, numbers[0])
    stop(edge, -1)
    assert row(numbers[1]).state == "stopped"


# --------------------------------------------------------------------- F7: another's transaction


@pytest.mark.parametrize("of", TRANSPORTS)
def test_f7_another_charge_points_transaction(connect: Connect, edge: Edge, of: str) -> None:
    """Answered like any other, without effect on anybody; a security event for each; whose it is
    can still stop it."""
    victim = connect(of)
    theirs = start(victim).transaction_id
    own = start(edge).transaction_id
    assert stop(edge, theirs, idTag="TAG").body == edge.reply("StopTransaction", idTagInfo=ACCEPTED)
    assert meter(edge, theirs, 5555).body == edge.reply("MeterValues")
    for number in (theirs, own):
        untouched = row(number)
        assert (untouched.state, untouched.meter_stop) == ("open", None)
        assert (untouched.last_meter, untouched.flags) == (None, [])
    events = SecurityEvent.objects.filter(kind="ForeignTransaction", ours=True)
    assert [event.charge_point for event in events] == [edge.row, edge.row]
    (kept,) = QuarantinedMessage.objects.all()
    assert (kept.action, kept.identity) == ("StopTransaction", edge.row.identity)
    (reading,) = MeterValue.objects.all()
    assert (reading.charge_point, reading.transaction) == (edge.row, None)
    stop(victim, theirs)
    assert (row(theirs).state, row(theirs).energy, row(theirs).billable) == ("stopped", 5000, True)
    assert row(own).is_open


# ----------------------------------------------------------- F8, F9: what happened offline


def test_f8_replay_of_months(edge: Edge) -> None:
    """Stored with the device's time and ours; no status changes by it, and nothing is done."""
    boot(edge)
    assert status(edge, "Preparing", text(NOW)).status == "Preparing"
    began, read, ended = (NOW - timedelta(days=120, hours=hours) for hours in (3, 2, 1))
    number = start(edge, timestamp=text(began)).transaction_id
    meter(edge, number, 3000, at=text(read))
    stop(edge, number, timestamp=text(ended))
    sold = row(number)
    assert (sold.started_at, sold.stopped_at) == (began, ended)
    assert sold.start_received_at >= NOW
    assert sold.stop_received_at is not None
    assert sold.stop_received_at >= sold.start_received_at
    assert (sold.energy, sold.billable, sold.flags) == (5000, True, [])
    reading = MeterValue.objects.get()
    assert (reading.bucket_at, reading.transaction, reading.energy) == (read, sold, 3000)
    assert reading.received_at >= NOW
    assert Connector.objects.get(connector_id=1).status == "Preparing"
    assert not Command.objects.exists()


def test_f8_status_in_the_order_of_arrival(edge: Edge) -> None:
    """Clocks of 1970 and 2099 decide nothing; a status from before the boot comes too late."""
    boot(edge)
    booted = datetime.now(UTC)
    first = status(edge, "Preparing", text(booted + timedelta(seconds=5)))
    assert first.status == "Preparing"
    assert status(edge, "Charging", "1970-01-01T00:00:05Z").status == "Charging"
    assert status(edge, "Finishing", "2099-01-01T00:00:00Z").status == "Finishing"
    last = status(edge, "Available", text(booted + timedelta(seconds=6)))
    assert last.status == "Available"
    assert status(edge, "Faulted", ago(hours=3)).status == "Available"
    assert edge.row.deviations.filter(name="status from before the last boot").exists()


def test_f9_unknown_tag(edge: Edge) -> None:
    """Invalid, but kept: it is evidence of energy sold, and not billed."""
    began = start(edge, idTag="NOBODY")
    number = began.transaction_id
    assert number > 0
    expected = edge.reply("StartTransaction", transactionId=number, idTagInfo=INVALID)
    assert began.body == expected
    stopped = stop(edge, number, idTag="NOBODY")
    assert stopped.body == edge.reply("StopTransaction", idTagInfo=INVALID)
    kept = row(number)
    assert (kept.id_tag, kept.authorization) == ("NOBODY", "Invalid")
    assert (kept.state, kept.energy, kept.billable) == ("stopped", 5000, False)


# ------------------------------------------------------------------------ F16, F22: clocks


@pytest.mark.parametrize("year", [1970, 2099])
def test_f16_clock_of_the_charge_point(edge: Edge, year: int) -> None:
    """Stored as sent, flagged, never refused; our time counts."""
    stamp = f"{year}-01-01T00:00:00Z"
    number = start(edge, timestamp=stamp).transaction_id
    stop(edge, number, timestamp=stamp)
    sold = row(number)
    assert sold.start_timestamp.startswith(str(year))
    assert sold.stopped_at is not None
    assert NOW <= sold.started_at <= sold.stopped_at
    assert sold.flags == [
        "the clock of the start is not believable",
        "the clock of the stop is not believable",
    ]
    assert (sold.energy, sold.billable) == (5000, True)


def test_f22_stuck_in_1970(edge: Edge) -> None:
    """Each session says the same of its start, and is a sale of its own; each retry of a running
    one is the same, also on a new connection."""
    said: dict[str, Any] = {"timestamp": "1970-01-01T00:00:07Z", "meterStart": 0}
    numbers = []
    for _ in range(3):
        first = start(edge, **said)
        edge.reconnect()
        assert start(edge, **said).body == first.body
        numbers.append(first.transaction_id)
        stop(edge, numbers[-1], timestamp="1970-01-01T01:00:07Z", meterStop=500)
    assert len(set(numbers)) == 3
    sold = Transaction.objects.values_list("energy", "billable", "state")
    assert list(sold) == [(500, True, "stopped")] * 3


def test_f22_natural_key(connect: Connect, edge: Edge) -> None:
    """A naive time is in the charge point's zone; its retry has the same answer, and any other
    connector, idTag, timestamp or meter is another transaction."""
    edge = connect(edge.row.transport, time_zone="Europe/Vienna")
    first = start(edge, timestamp="2026-03-04T12:30:00")
    assert start(edge, timestamp="2026-03-04T12:30:00").body == first.body
    naive = row(first.transaction_id)
    assert naive.started_at == datetime(2026, 3, 4, 11, 30, tzinfo=UTC)
    assert naive.start_timestamp == "2026-03-04T12:30:00"
    others: list[dict[str, Any]] = [
        {"connectorId": 2},
        {"idTag": "OTHER"},
        {"meterStart": 1001},
        {},
    ]
    numbers = {start(edge, **other).transaction_id for other in others}
    assert len(numbers | {first.transaction_id}) == 5
    assert Transaction.objects.count() == 5


# -------------------------------------------------------- F21: a transaction that never stops


def test_f21_another_start_ends_it(edge: Edge) -> None:
    """Ended without stop, by its last register, not billed; its late stop repairs it."""
    zombie = start(edge, timestamp=ago(days=2)).transaction_id
    at = NOW - timedelta(days=1)
    meter(edge, zombie, 3500, at=text(at))
    neighbour = start(edge, connectorId=2).transaction_id
    running = start(edge, meterStart=4000).transaction_id
    ended = row(zombie)
    assert (ended.state, ended.energy, ended.billable) == ("ended", 2500, False)
    assert ended.stopped_at == at
    late = stop(edge, zombie, timestamp=text(at), meterStop=3600)
    assert late.body == edge.reply("StopTransaction")
    repaired = row(zombie)
    assert (repaired.state, repaired.energy, repaired.billable) == ("stopped", 2600, True)
    assert repaired.flags == []
    assert row(running).is_open
    assert row(neighbour).is_open


def test_f21_nothing_else_ends_it(edge: Edge) -> None:
    """Neither a boot, nor Available, nor being offline; the stop may come after all of them."""
    number = start(edge).transaction_id
    edge.reconnect()
    boot(edge)
    assert status(edge, "Available", text(NOW)).status == "Available"
    assert row(number).is_open
    stop(edge, number, reason="PowerLoss")
    assert (row(number).energy, row(number).stop_reason) == (5000, "PowerLoss")
