"""Compares what chargers were told with what the database holds."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.faults import audit, ledger
from tests.faults.ledger import TRANSACTION_ACTIONS, Ledger, Sent
from tests.faults.site import Site

Start = tuple[str, int, str, datetime, int]
"""Identity, connectorId, idTag, the charge point's time, meterStart (Wh)."""

Reading = tuple[str, int, datetime, float]
"""Identity, connectorId, time, register (Wh)."""

_TRANSACTIONS = """
SELECT t.transaction_id, c.identity, t.connector_id, t.id_tag, t.start_timestamp, t.meter_start,
       t.started_at, t.flags, t.state, t.meter_stop, t.energy
FROM csms_transaction t JOIN csms_chargepoint c ON c.id = t.charge_point_id
"""
_READINGS = """
SELECT c.identity, m.connector_id, m.timestamp, m.energy, t.transaction_id
FROM csms_metervalue m JOIN csms_chargepoint c ON c.id = m.charge_point_id
LEFT JOIN csms_transaction t ON t.id = m.transaction_id
"""


@dataclass
class Verdict:
    """What came of it: counts, and each violation in words. Energy in Wh."""

    messages: int = 0
    """Transaction messages that were sent, each counted once however often it was repeated."""
    attempts: int = 0
    acknowledged: int = 0
    transactions: int = 0
    energy_told: int = 0
    energy_stored: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    misapplied: list[str] = field(default_factory=list)
    """Stored for another charger, another transaction, or without having been sent."""
    refused: list[str] = field(default_factory=list)
    """Answered with an error, which uses up the charger's attempts (F3)."""
    disputed: list[str] = field(default_factory=list)
    undelivered: int = 0
    """Messages that no charger got rid of in the end."""

    @property
    def problems(self) -> list[str]:
        found = [*self.lost, *self.duplicated, *self.misapplied, *self.refused, *self.disputed]
        if self.energy_told != self.energy_stored:
            found.append(f"{self.energy_told} Wh were told, {self.energy_stored} Wh are stored")
        if self.undelivered:
            found.append(f"{self.undelivered} messages were not delivered in the end")
        return found


class _Transaction:
    """A row."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.id, self.identity, connector_id, id_tag, sent, self.meter_start = row[:6]
        started_at, flags, self.state, self.meter_stop, self.energy = row[6:]
        at = _moment(sent)
        self.start: Start = (self.identity, connector_id, id_tag, at, self.meter_start)
        self.is_at_its_time = _moment(started_at) == at or "not believable" in str(flags)
        """Or ours counts, because our clock and the charge point's were too far apart."""


def check(site: Site, journal: Ledger) -> Verdict:
    """Judge a run whose chargers have delivered what they could."""
    sent, errors = ledger.read(journal.path)
    sent = [message for message in sent if message.action in TRANSACTION_ACTIONS]
    stored = [_Transaction(row) for row in site.rows(_TRANSACTIONS)]
    verdict = Verdict(
        attempts=len(sent),
        acknowledged=sum(message.reply is not None for message in sent),
        transactions=len(stored),
        refused=[error for error in errors if error.startswith(TRANSACTION_ACTIONS)],
        disputed=audit.disputes(site),
    )
    rows = {row.id: row for row in stored}
    _check_starts(verdict, [m for m in sent if m.action == "StartTransaction"], stored, rows)
    _check_stops(verdict, [m for m in sent if m.action == "StopTransaction"], rows)
    _check_readings(verdict, [m for m in sent if m.action == "MeterValues"], site)
    quarantined = site.rows("SELECT identity, action, reason FROM csms_quarantinedmessage")
    verdict.misapplied += [f"in quarantine: {row}" for row in quarantined]
    return verdict


def _check_starts(
    verdict: Verdict, sent: list[Sent], stored: list[_Transaction], rows: dict[int, _Transaction]
) -> None:
    told: dict[Start, set[int]] = defaultdict(set)
    for message in sent:
        payload = message.payload
        key = (
            message.identity,
            payload["connectorId"],
            payload["idTag"],
            _moment(payload["timestamp"]),
            payload["meterStart"],
        )
        told[key].update([message.reply["transactionId"]] if message.reply else [])
    verdict.messages += len(told)
    for key, ids in told.items():
        if len(ids) > 1:
            verdict.duplicated.append(f"start {key} was given the ids {sorted(ids)}")
        for number in ids:
            row = rows.get(number)
            if row is None:
                verdict.lost.append(f"start {key}, acknowledged as {number}")
            elif row.start != key:
                verdict.misapplied.append(f"start {key} is stored as {row.start}")
            elif not row.is_at_its_time:
                verdict.misapplied.append(f"start {key} counts as of another time")
    for key, count in Counter(row.start for row in stored).items():
        if count > 1:
            verdict.duplicated.append(f"start {key} is stored {count} times")
        if key not in told:
            verdict.misapplied.append(f"start {key} was never sent")


def _check_stops(verdict: Verdict, sent: list[Sent], rows: dict[int, _Transaction]) -> None:
    told: dict[tuple[str, int], set[int]] = defaultdict(set)
    attempted = set()
    for message in sent:
        key = (message.identity, message.payload["transactionId"])
        attempted.add(key)
        if message.reply is not None:
            told[key].add(message.payload["meterStop"])
    verdict.messages += len(attempted)
    for (identity, number), meters in told.items():
        row = rows.get(number)
        what = f"stop of {number} by {identity} at {sorted(meters)}"
        if row is None or row.state != "stopped" or row.meter_stop not in meters:
            verdict.lost.append(what)
        elif row.identity != identity:
            verdict.misapplied.append(f"{what} is stored for {row.identity}")
        else:
            verdict.energy_told += min(meters) - row.meter_start
    for row in rows.values():
        if row.state == "stopped" and (row.identity, row.id) not in attempted:
            verdict.misapplied.append(f"{row.id} of {row.identity} was stopped by nobody")
        verdict.energy_stored += row.energy or 0


def _check_readings(verdict: Verdict, sent: list[Sent], site: Site) -> None:
    told: dict[Reading, int | None] = {}
    acknowledged = set()
    for message in sent:
        for key in _readings(message):
            told[key] = message.payload.get("transactionId")
            if message.reply is not None:
                acknowledged.add(key)
    verdict.messages += len(told)
    stored: Counter[Reading] = Counter()
    for identity, connector_id, timestamp, energy, number in site.rows(_READINGS):
        key = (identity, connector_id, _moment(timestamp), energy)
        stored[key] += 1
        if key not in told:
            verdict.misapplied.append(f"reading {key} was never sent")
        elif told[key] != number:
            verdict.misapplied.append(f"reading {key} of {told[key]} is stored for {number}")
    verdict.duplicated += [f"reading {key} is stored twice" for key, n in stored.items() if n > 1]
    verdict.lost += [f"reading {key}" for key in acknowledged if key not in stored]


def _readings(message: Sent) -> Iterator[Reading]:
    for value in message.payload["meterValue"]:
        register = float(value["sampledValue"][0]["value"])
        moment = _moment(value["timestamp"])
        yield message.identity, message.payload["connectorId"], moment, register


def _moment(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
