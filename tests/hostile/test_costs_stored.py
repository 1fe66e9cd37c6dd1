"""What one hostile message costs with all that it makes the database do, up to the commit: the
edges, the inbox with its worker and a database, on SQLite in this process.

As in test_costs.py: the longest messages that are taken, at most 50 ms of CPU time and 10 MiB.
Each comes from a charge point that has sent nothing before: what is known is not stored again.

Readings that are as they should be are work and no attack: each may cost EACH. Those of a
StopTransaction of eight hours stay within the 50 ms.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from csms.models import ChargePoint, Message, MeterValue, Transaction
from csms.services.facts import ChargerFacts
from csms.services.inbox import Inbox
from ocpp_soap.asgi import SoapApplication
from tests import factories
from tests.fuzz import doors, properties
from tests.fuzz.properties import MOST_MEMORY, MOST_SECONDS, memory, seconds
from tests.hostile.test_costs import GREAT, GREAT_JSON, JSON, REPAIRED, XML, T
from tests.ocpp_soap.house import message

pytestmark = pytest.mark.django_db(transaction=True)

EACH = 40e-6
"""CPU seconds of a reading, from the wire to its row (measured: 17 µs over JSON, 30 over SOAP)."""

MOST_STORED = 24 * 1024 * 1024
"""Bytes of Python's memory for as many readings as there may be, some 6,000."""

MOST_OF_LONGEST = 12 * 1024 * 1024
"""The same for the longest envelope on PostgreSQL, whose statement is one more copy of it."""

RUNNING = 4711
"""The transaction of whoever sends."""


class House:
    """An inbox that stores, and a charge point that is another one each time."""

    def __init__(self) -> None:
        self.inbox = Inbox(doors.SETTINGS)
        self.inbox.start()
        self._soap = SoapApplication(self.inbox, admit=self._admit, config=doors.SETTINGS)
        self.row: ChargePoint

    def stop(self) -> None:
        doors.LOOP.run_until_complete(self.inbox.stop())

    def renew(self, transport: str) -> None:
        """Somebody else comes, in the middle of a transaction."""
        Transaction.objects.filter(transaction_id=RUNNING).delete()
        self.row = factories.charge_point(transport=transport)
        factories.transaction(self.row, state="open", transaction_id=RUNNING)

    @property
    def facts(self) -> ChargerFacts:
        return ChargerFacts(
            pk=self.row.pk,
            identity=self.row.identity,
            transport=self.row.transport,
            strict=False,
            time_zone="UTC",
            authenticated=False,
        )

    async def _admit(self, **_: Any) -> ChargerFacts:
        return self.facts

    def json(self, text: str) -> None:
        """Received, stored, answered."""
        doors.live([text], self.facts, self.inbox)

    def soap(self, body: bytes) -> None:
        doors.exchange(self._soap, "/ocpp/soap/CP1", {}, body)


@pytest.fixture(autouse=True)
def alarm() -> None:
    properties.install_alarm()
    properties.ALARM.said.clear()


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.stop()


def many(before: str, unit: Callable[[int], str], after: str, size: int, by: str = "") -> str:
    """As many different units as fit into so many characters; each is as long as the first."""
    times = (size - len(before) - len(after)) // len(unit(0) + by)
    return before + by.join(unit(number) for number in range(times)) + after


def at(number: int) -> str:
    """A moment of its own: readings of one moment are one."""
    minutes, seconds = divmod(number, 60)
    return f"2026-01-02T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}Z"


def sample_json(number: int) -> str:
    return f'{{"timestamp":"{at(number)}","sampledValue":[{{"value":"{number:07}.123456"}}]}}'


def sample_soap(tag: str) -> Callable[[int], str]:
    return lambda number: (
        f"<{tag}><timestamp>{at(number)}</timestamp><sampledValue><value>{number:07}.{'1' * 90}"
        f"</value></sampledValue></{tag}>"
    )


STOP = f'[2,"m","StopTransaction",{{"transactionId":{RUNNING},"meterStop":2000,"timestamp":"{T}"'
METER = f'[2,"m","MeterValues",{{"connectorId":1,"transactionId":{RUNNING}'
OF_RUNNING_JSON: dict[str, Callable[[int], str]] = {
    "readings of a stop": lambda size: many(
        f'{STOP},"transactionData":[', sample_json, "]}]", size, ","
    ),
    "readings": lambda size: many(f'{METER},"meterValue":[', sample_json, "]}]", size, ","),
}
OF_RUNNING_SOAP: dict[str, Callable[[int], str]] = {
    "readings of a stop": lambda size: message(
        "StopTransaction",
        many(
            f"<transactionId>{RUNNING}</transactionId><timestamp>{T}</timestamp>"
            "<meterStop>2000</meterStop>",
            sample_soap("transactionData"),
            "",
            size - 1000,
        ),
    ),
    "readings": lambda size: message(
        "MeterValues",
        many(
            f"<connectorId>1</connectorId><transactionId>{RUNNING}</transactionId>",
            sample_soap("meterValue"),
            "",
            size - 1000,
        ),
    ),
}


def eight_hours_json() -> str:
    """One reading a minute of nine samples each, 400 KB."""
    sample = '{"value":"1234567.123","measurand":"Current.Import","phase":"L1","unit":"A"}'
    samples = ",".join([sample] * 11)
    return many(
        f'{STOP},"transactionData":[',
        lambda number: f'{{"timestamp":"{at(60 * number)}","sampledValue":[{samples}]}}',
        "]}]",
        480 * (50 + len(samples)),
        ",",
    )


def hold(
    house: House,
    transport: str,
    work: Callable[[], object],
    *,
    readings: int = 0,
    times: float = 1.0,
) -> None:
    """Hold a message to what it may cost, or some times that; `readings`: as many of it are to be
    stored, and each may cost EACH."""
    most = readings * EACH if readings else MOST_SECONDS * times
    house.renew(transport)
    work()  # what is made at the first use costs no message anything
    stored = MeterValue.objects.filter(charge_point=house.row).count()
    assert stored == readings or not readings
    spent = seconds(work, below=most, before=lambda: house.renew(transport))
    house.renew(transport)
    grown = memory(work)
    assert spent <= most
    longest = MOST_OF_LONGEST if connection.vendor == "postgresql" else MOST_MEMORY
    assert grown <= (MOST_STORED if readings else longest)
    properties.ALARM.check()
    house.stop()
    assert Message.objects.filter(charge_point=house.row).count() <= 1
    house.inbox.start()


@pytest.mark.parametrize("kind", JSON)
def test_json(house: House, kind: str) -> None:
    text = JSON[kind](GREAT_JSON)
    hold(house, "json", lambda: house.json(text), times=REPAIRED.get(kind, 1.0))


@pytest.mark.parametrize("kind", XML)
def test_soap(house: House, kind: str) -> None:
    body = XML[kind](GREAT).encode()
    hold(house, "soap", lambda: house.soap(body))


def test_a_stop_of_eight_hours(house: House) -> None:
    text = eight_hours_json()
    assert 400_000 < len(text) < GREAT_JSON
    hold(house, "json", lambda: house.json(text))
    assert MeterValue.objects.filter(charge_point=house.row).count() >= 475


@pytest.mark.parametrize("kind", OF_RUNNING_JSON)
def test_as_many_readings_as_there_may_be(house: House, kind: str) -> None:
    text = OF_RUNNING_JSON[kind](GREAT_JSON)
    hold(house, "json", lambda: house.json(text), readings=text.count("sampledValue"))


@pytest.mark.parametrize("kind", OF_RUNNING_SOAP)
def test_as_many_readings_as_there_may_be_over_soap(house: House, kind: str) -> None:
    body = OF_RUNNING_SOAP[kind](GREAT).encode()
    hold(house, "soap", lambda: house.soap(body), readings=body.count(b"<sampledValue>"))
