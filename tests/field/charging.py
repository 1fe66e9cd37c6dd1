"""Frames that charge points sent over JSON: transactions and meter values."""

import json
from datetime import UTC, datetime

from csms.models import QuarantinedMessage, Transaction
from tests import factories
from tests.field.bench import (
    Field,
    deviations,
    frame,
    logged,
    noted,
    readings,
    start,
    transactions,
)

# ------------------------------------------------------------------------ meter values


@frame(3)
def one_element_for_each_measurand(field: Field) -> None:
    """Celcius is read without a note, as Celsius is; the three elements are one reading; 344
    degrees are flagged, and nothing else follows from them."""
    for spelling in ("Celcius", "Celsius"):
        charger = field.charger()
        spelt = json.loads(field.raw(3).replace("Celcius", spelling))[3]
        assert field.say(charger, 3, **spelt) == {}
        (reading,) = readings(charger.row)
        assert len(reading.samples) == 3
        assert reading.energy == 0
        assert reading.flags == ["temperature 344 is absurd"]
        assert deviations(charger.row) == {"meter values of an unknown transaction"}


@frame(5)
def export_that_is_an_import(field: Field) -> None:
    """Kept as sent; the energy comes from meterStart and meterStop alone."""
    factories.id_tag("TAG")
    charger = field.charger()
    transaction_id = start(charger, meterStart=1000)
    assert field.say(charger, 5, transactionId=transaction_id) == {}
    (reading,) = readings(charger.row)
    assert reading.samples == [{"value": "23.35", "measurand": "Current.Export", "unit": "A"}]
    assert (reading.energy, reading.power) == (None, None)
    charger.call(
        "StopTransaction",
        transactionId=transaction_id,
        meterStop=1500,
        timestamp="2024-01-01T01:00:00Z",
    )
    (transaction,) = transactions(charger.row)
    assert (transaction.energy, transaction.billable) == (500, True)


@frame(19)
def an_object_for_a_list(field: Field) -> None:
    """One object is a list of one; kWh become Wh (Transaction.Begin itself is no current value)."""
    charger = field.charger()
    assert field.say(charger, 19) == {}
    now = field.raw(19).replace("Transaction.Begin", "Sample.Periodic").replace("0.00", "1.50")
    field.say(charger, 19, **json.loads(now)[3])
    first, second = readings(charger.row)
    assert (first.energy, second.energy) == (None, 1500)
    assert "one_for_list" in deviations(charger.row)


@frame(21)
def numbers_for_texts(field: Field) -> None:
    """Numbers are read as texts, and noted."""
    charger = field.charger()
    assert field.say(charger, 21) == {}
    (reading,) = readings(charger.row)
    assert [sample["value"] for sample in reading.samples] == ["0.0"] * 3
    assert {sample["location"] for sample in reading.samples} == {"Body"}
    assert "scalar_for_text" in deviations(charger.row)


@frame(73)
def reading_of_an_old_transaction(field: Field) -> None:
    """Kept; attached to a transaction only when it is this charge point's and runs."""
    factories.id_tag("TAG")
    charger, other = field.charger(), field.charger()
    assert field.say(charger, 73) == {}
    assert field.say(charger, 73, transactionId=start(other)) == {}
    field.say(charger, 73, transactionId=start(charger), connectorId=1)
    # The samples are the same, and so is the row: only what was new is attached.
    assert [reading.transaction for reading in readings(charger.row)] == [None]
    transaction = Transaction.objects.get(charge_point=charger.row)
    assert transaction.last_meter == 95
    assert Transaction.objects.get(charge_point=other.row).last_meter is None


@frame(85)
def inlet_only(field: Field) -> None:
    """Inlet counts where there is no Outlet; where there is one, Outlet does."""
    charger = field.charger()
    assert field.say(charger, 85) == {}
    (sample,) = json.loads(field.raw(85))[3]["meterValue"]
    outlet = {"value": "7", "measurand": "Energy.Active.Import.Register", "location": "Outlet"}
    both = {**sample, "sampledValue": [*sample["sampledValue"], outlet]}
    field.say(charger, 85, meterValue=[both])
    assert [reading.energy for reading in readings(charger.row)] == [553_810, 7]


# ------------------------------------------------------------------------ transactions


@frame(35)
def local_time_without_a_zone(field: Field) -> None:
    """Read in the charge point's zone (UTC unless set) and noted; reservationId 0 is none; a
    repetition gets the same transactionId."""
    expected = {"UTC": 15, "Europe/Vienna": 13}
    for zone, hour in expected.items():
        charger = field.charger(time_zone=zone)
        answer = field.say(charger, 35)
        assert answer["transactionId"] > 0
        (transaction,) = transactions(charger.row)
        assert transaction.started_at == datetime(2023, 10, 19, hour, 28, 7, tzinfo=UTC)
        assert transaction.reservation_id is None
        assert "zoneless_time" in deviations(charger.row)
        raw = json.dumps([2, "another", *json.loads(field.raw(35))[2:]])
        assert charger.ask(raw)[2]["transactionId"] == answer["transactionId"]


@frame(41)
def start_from_before_its_authorize(field: Field) -> None:
    """Always a new positive transactionId, whatever the idTag; the stop with -1 is accepted."""
    charger = field.charger()
    answer = field.say(charger, 41)
    assert answer["idTagInfo"]["status"] == "Invalid"
    assert answer["transactionId"] > 0
    charger.call(
        "StopTransaction",
        transactionId=-1,
        meterStop=51880,
        timestamp="2024-05-15T14:30:00Z",
        idTag="ABCD1234",
    )
    (transaction,) = transactions(charger.row)
    assert (transaction.state, transaction.energy) == ("stopped", 0)


@frame(49)
def the_same_start_four_times_at_once(field: Field) -> None:
    """Four answers, one transactionId, one transaction."""
    charger = field.charger()
    for _ in range(4):
        charger.send(field.raw(49))
    answers = [charger.receive() for _ in range(4)]
    assert answers == [answers[0]] * 4
    (transaction,) = transactions(charger.row)
    assert answers[0][2]["transactionId"] == transaction.transaction_id


@frame(53)
def the_same_start_with_another_id(field: Field) -> None:
    """Connector, idTag, timestamp and meterStart tell that it is the same: the same answer."""
    factories.id_tag("0000000000000001", max_transactions=1)
    charger = field.charger()
    first = charger.ask(field.raw(53).replace("1000006", "1000005"))[2]
    assert field.say(charger, 53) == first
    assert first["idTagInfo"]["status"] == "Accepted"
    assert len(transactions(charger.row)) == 1


@frame(55)
def id_tag_with_blanks(field: Field) -> None:
    """The raw idTag is kept; it is compared trimmed and without regard to case."""
    factories.id_tag("f0 ca 0c c0")
    charger = field.charger()
    assert field.say(charger, 55)["idTagInfo"]["status"] == "Accepted"
    (transaction,) = transactions(charger.row)
    assert transaction.id_tag == " F0 CA 0C C0"


@frame(10)
def stop_of_what_never_started(field: Field) -> None:
    """Answered; no transaction is made or ended, no reading; the raw frame is in quarantine."""
    charger = field.charger()
    field.say(charger, 10)
    assert not transactions(charger.row)
    assert not readings(charger.row)
    kept = QuarantinedMessage.objects.get(charge_point=charger.row)
    assert kept.raw == field.raw(10)


@frame(51)
def stop_repeated_as_unknown(field: Field) -> None:
    """Answered again; the transaction that stopped stays as it is, the orphan is kept."""
    factories.id_tag("TAG")
    charger = field.charger()
    transaction_id = start(charger, timestamp="2022-02-24T10:01:39.000Z")
    assert field.say(charger, 51, transactionId=transaction_id) == {}
    assert field.say(charger, 51) == {}
    (transaction,) = transactions(charger.row)
    assert (transaction.state, transaction.energy) == ("stopped", 2)
    assert QuarantinedMessage.objects.get(charge_point=charger.row).raw == field.raw(51)


@frame(79)
def plain_stop(field: Field) -> None:
    """Closed and answered with idTagInfo."""
    factories.id_tag("00A0A00AAA0000")
    charger = field.charger()
    transaction_id = start(charger, idTag="00A0A00AAA0000", meterStart=2_030_000)
    answer = field.say(charger, 79, transactionId=transaction_id)
    assert answer == {"idTagInfo": {"status": "Accepted"}}
    (transaction,) = transactions(charger.row)
    assert (transaction.state, transaction.energy) == ("stopped", 4_698)
    assert (transaction.stop_reason, transaction.billable) == ("EVDisconnected", True)


@frame(83)
def energy_after_the_stop(field: Field) -> None:
    """Closed with meterStop; what flows between two transactions is kept and blamed on none."""
    factories.id_tag("XXXXXX")
    charger = field.charger()
    transaction_id = start(charger, idTag="XXXXXX", meterStart=2_250_000)
    field.say(charger, 83, transactionId=transaction_id)
    sample = {"value": "2259992.1", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    value = {"timestamp": "2024-01-30T14:30:16Z", "sampledValue": [sample]}
    charger.call("MeterValues", connectorId=1, meterValue=[value])
    start(charger, idTag="XXXXXX", meterStart=2_259_995, timestamp="2024-01-30T15:00:00Z")
    first, second = transactions(charger.row)
    assert (first.energy, first.billable, first.flags) == (9_988, True, [])
    assert (second.billable, second.flags) == (True, [])
    (reading,) = readings(charger.row)
    assert (reading.transaction, reading.energy, reading.flags) == (None, 2_259_992.1, [])


@frame(93)
def burst_after_an_offline_phase(field: Field) -> None:
    """The stop with -1 is paired with the open transaction that was started offline."""
    factories.id_tag("TAG")
    charger = field.charger()
    assert field.say(charger, 93) == {}
    start(charger, timestamp="2024-02-26T09:12:55Z", meterStart=100)
    answer = charger.call(
        "StopTransaction", transactionId=-1, meterStop=180, timestamp="2024-02-26T09:14:00Z"
    )
    assert answer == {}
    (transaction,) = transactions(charger.row)
    assert (transaction.state, transaction.energy) == ("stopped", 80)
    assert not QuarantinedMessage.objects.exists()
    assert noted(logged(charger.row, "StopTransaction")) == {"stop paired by guess"}
