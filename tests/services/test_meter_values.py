"""MeterValues and transactionData: always answered, each reading once, with its transaction."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from csms.models import MeterValue, QuarantinedMessage, SecurityEvent, Transaction
from csms.ocpp import core
from tests.services.harness import Charger, House, known_tag, meter_value, sample

pytestmark = pytest.mark.django_db

ANSWER = core.MeterValuesResponse()


def readings(*values: dict, connector_id: int = 1, **fields: Any) -> dict[str, Any]:
    return {"connectorId": connector_id, "meterValue": list(values), **fields}


def send(cp: Charger, *values: dict, **fields: Any) -> None:
    assert cp.send_plain("MeterValues", readings(*values, **fields)) == ANSWER


def test_readings_of_a_transaction(house: House) -> None:
    cp = house.charger()
    transaction_id = cp.begin()
    at = house.later(minutes=1)
    send(
        cp,
        meter_value(at, sample(2500), sample(7, unit="kW", measurand="Power.Active.Import")),
        transactionId=transaction_id,
    )
    row = MeterValue.objects.get()
    assert (row.energy, row.power, row.soc, row.flags) == (2500, 7000, None, [])
    assert (row.bucket_at, row.received_at) == (at, at)
    assert row.transaction is not None
    assert row.transaction.transaction_id == transaction_id
    assert (row.transaction.last_meter, row.transaction.last_meter_at) == (2500, at)
    assert row.samples == [
        {"value": "2500"},
        {"value": "7", "unit": "kW", "measurand": "Power.Active.Import"},
    ]


def test_signed_data_is_kept_verbatim(house: House) -> None:
    cp = house.charger()
    text = 'OCMF|{"ü":1}|' + "A" * 3000
    send(cp, meter_value(house.now, sample(text, format="SignedData")))
    assert MeterValue.objects.get().samples == [{"value": text, "format": "SignedData"}]


def test_readings_and_start_in_one_batch(house: House) -> None:
    """The transaction has no key yet when its readings are decided."""
    cp = house.charger()
    house.replies(
        cp.message(cp.start()),
        cp.plain("MeterValues", readings(meter_value(house.now, sample(5)), transactionId=-1)),
    )
    assert MeterValue.objects.get().transaction == Transaction.objects.get()


@pytest.mark.parametrize("together", [True, False])
def test_a_retry_doubles_nothing(house: House, together: bool) -> None:
    cp = house.charger()
    payload = readings(meter_value(house.now, sample(5)), meter_value(house.now, sample(6)))
    messages = [cp.plain("MeterValues", payload) for _ in range(2)]
    if together:
        house.replies(*messages)
    else:
        house.replies(messages[0])
        house.replies(messages[1])
    assert MeterValue.objects.count() == 1  # of one moment: one row
    send(cp, meter_value(house.now, sample(5), sample(6), sample(7)))
    assert MeterValue.objects.count() == 2


@pytest.mark.parametrize("sent", [0, -1])
def test_n20_wrong_id_beside_one_running(house: House, sent: int) -> None:
    cp = house.charger()
    cp.begin(connector_id=1)
    cp.begin(connector_id=2)
    send(cp, meter_value(house.now, sample(5)), connector_id=2, transactionId=sent)
    row = MeterValue.objects.get()
    assert row.transaction is not None
    assert row.transaction.connector_id == 2


@pytest.mark.parametrize("sent", [0, -1, 4711])
def test_n19_unknown_transaction(house: House, sent: int) -> None:
    """A refused one would block the StopTransaction behind it."""
    cp = house.charger()
    send(cp, meter_value(house.now, sample(5)), transactionId=sent)
    assert MeterValue.objects.get().transaction is None


def test_f7_readings_for_another_chargers_transaction(house: House) -> None:
    victim = house.charger().begin()
    thief = house.charger()
    send(thief, meter_value(house.now, sample(99999)), transactionId=victim)
    assert Transaction.objects.get().last_meter is None
    row = MeterValue.objects.get()
    assert (row.transaction, row.charge_point_id) == (None, thief.pk)
    assert SecurityEvent.objects.get().kind == "ForeignTransaction"


def test_readings_after_the_stop(house: House) -> None:
    cp = house.charger()
    transaction_id = cp.begin()
    stopped = house.later(hours=1)
    cp.send(cp.stop(transaction_id))
    for seconds in (-30, 30, 90):
        moment = stopped + timedelta(seconds=seconds)
        send(cp, meter_value(moment, sample(5)), transactionId=transaction_id)
    rows = MeterValue.objects.order_by("id")
    assert [row.transaction is not None for row in rows] == [True, True, False]
    assert Transaction.objects.get().last_meter is None
    assert cp.row.deviations.get().name == "meter values of a stopped transaction"


def test_n33_connector_0_belongs_to_no_transaction(house: House) -> None:
    cp = house.charger()
    transaction_id = cp.begin()
    send(cp, meter_value(house.now, sample(5)), connector_id=0, transactionId=transaction_id)
    assert MeterValue.objects.get().transaction is None
    assert Transaction.objects.get().last_meter is None


@pytest.mark.parametrize("connector_id", [-1, 65])
def test_n19_impossible_connector(house: House, connector_id: int) -> None:
    cp = house.charger()
    send(cp, meter_value(house.now, sample(5)), connector_id=connector_id)
    assert not MeterValue.objects.exists()
    assert QuarantinedMessage.objects.get().action == "MeterValues"


@pytest.mark.parametrize("year", [1970, 2099])
def test_f16_clock_is_flagged(house: House, year: int) -> None:
    cp = house.charger()
    send(cp, meter_value(datetime(year, 5, 6, tzinfo=UTC), sample(5)))
    row = MeterValue.objects.get()
    assert row.flags == ["the clock is not believable"]
    assert row.bucket_at == house.now
    assert row.timestamp.startswith(str(year))


@pytest.mark.parametrize("sent", ["1970-01-01T00:00:05Z", "2022-02-29T07:02:33.000Z"])
@pytest.mark.parametrize("together", [True, False])
def test_f16_a_retry_without_a_clock_doubles_nothing(
    house: House, sent: str, together: bool
) -> None:
    """The time of receipt stands in, and is another with each retry."""
    cp = house.charger()
    texts = [sent] * 3 + ["1970-01-01T00:00:09Z"]
    messages = [
        cp.plain("MeterValues", readings(meter_value(text, sample(5))), at=house.later(minutes=1))
        for text in texts
    ]
    for batch in [messages] if together else [[message] for message in messages]:
        assert house.replies(*batch) == [ANSWER] * len(batch)
    assert MeterValue.objects.count() == 2
    send(cp, meter_value(sent, sample(6)))
    send(cp, meter_value(sent, sample(5)), connector_id=2)
    send(house.charger(), meter_value(sent, sample(5)))
    assert MeterValue.objects.count() == 5


@pytest.mark.parametrize(("year", "expected"), [(2026, 0), (1970, 1)])
def test_stored_readings_are_asked_for_once_and_only_without_a_clock(
    house: House, year: int, expected: int
) -> None:
    cp = house.charger()
    moments = [datetime(year, 3, 4, 11, minute, tzinfo=UTC) for minute in range(3)]
    messages = [
        cp.plain("MeterValues", readings(meter_value(moment, sample(5)))) for moment in moments
    ]
    with CaptureQueriesContext(connection) as queries:
        house.replies(*messages)
    assert sum("csms_metervalue AS old" in query["sql"] for query in queries) == expected


def test_equal_readings_without_a_time_are_all_kept(house: House) -> None:
    """Nothing tells a retry of them from the next reading."""
    cp = house.charger()
    for _ in range(2):
        house.later(minutes=1)
        send(cp, {"sampledValue": [sample(5)]})
    assert MeterValue.objects.count() == 2


def test_nothing_left_to_read(house: House) -> None:
    cp = house.charger()
    send(cp)
    assert cp.send_plain("MeterValues", {"connectorId": 1}) == ANSWER
    broken = {"timestamp": "2026-03-04T12:00:00Z", "sampledValue": [{"value": ""}]}
    send(cp, broken)
    assert not MeterValue.objects.exists()


def test_absurd_register_is_no_last_meter(house: House) -> None:
    cp = house.charger()
    transaction_id = cp.begin()
    send(cp, meter_value(house.now, sample(-7)), transactionId=transaction_id)
    assert MeterValue.objects.get().flags == ["energy -7 Wh is absurd"]
    assert Transaction.objects.get().last_meter is None


def test_older_reading_does_not_move_the_register_back(house: House) -> None:
    cp = house.charger()
    transaction_id = cp.begin()
    for minutes, value in ((10, 3000), (5, 2000)):
        at = house.now + timedelta(minutes=minutes)
        send(cp, meter_value(at, sample(value)), transactionId=transaction_id)
    assert Transaction.objects.get().last_meter == 3000


@pytest.mark.parametrize("message_id", ["same", ""])
def test_transaction_data_is_stored_once(house: House, message_id: str) -> None:
    known_tag()
    cp = house.charger()
    stop = {
        "transactionId": cp.begin(),
        "timestamp": "2026-03-04T13:00:00Z",
        "meterStop": 6000,
        "transactionData": [
            meter_value("2026-03-04T12:00:00Z", sample(1000, context="Transaction.Begin")),
            meter_value("2026-03-04T12:30:00Z", sample(3000)),
            meter_value("2026-03-04T13:00:00Z", sample(6000, context="Transaction.End")),
        ],
    }
    house.later(hours=1)
    for _ in range(3):
        cp.send_plain("StopTransaction", stop, message_id=message_id)
    rows = MeterValue.objects.order_by("bucket_at")
    assert [row.energy for row in rows] == [None, 3000, 6000]
    assert {row.transaction for row in rows} == {Transaction.objects.get()}


def test_400_kilobytes_of_transaction_data(house: House) -> None:
    """Eight hours at 60 s; refusing it would lose the sale."""
    cp = house.charger()
    transaction_id = cp.begin()
    begun = house.now
    end = house.later(hours=8)
    names = ("Voltage", "Current.Import", "Power.Active.Import", "Temperature", "SoC")
    data = [
        meter_value(
            begun + timedelta(minutes=n),
            sample(1000 + n, unit="Wh"),
            *(sample(1, measurand=name, context="Sample.Periodic") for name in names),
        )
        for n in range(480)
    ]
    stop = {
        "transactionId": transaction_id,
        "timestamp": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "meterStop": 6000,
        "transactionData": data,
    }
    assert cp.send_plain("StopTransaction", stop) == core.StopTransactionResponse()
    assert MeterValue.objects.filter(transaction__transaction_id=transaction_id).count() == 480
