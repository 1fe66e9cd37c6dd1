"""Charge points in any order, legal and illegal: what must hold after each batch, whatever came.

- every message has an answer; StartTransaction, StopTransaction and MeterValues a reply (N19)
- at most one open transaction of a connector (F21)
- each start and stop that was answered is a transaction, or is in quarantine (N27, F5, F6, F7, F9)
- there are no more transactions than starts, and no more readings than were sent (F1, F2)
- what is billed is meterStop less meterStart, of that charge point, never negative
- a repetition has the answer that the first had, and adds nothing (F2, F5, N17)

With `CSMS_TEST_EXAMPLES=2000` in the environment it looks longer.
"""

import itertools
import json
import os
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import UNSET

from csms.models import ChargePoint, MeterValue, QuarantinedMessage, Transaction
from csms.ocpp.errors import InternalFailure, ProtocolError
from csms.services.inbox import Inbox
from csms.services.transactions import MAX_ENERGY
from tests.services.harness import Charger, House, answer_of, known_tag

EXAMPLES = int(os.environ.get("CSMS_TEST_EXAMPLES", "25"))
ALWAYS_ANSWERED = frozenset({"StartTransaction", "StopTransaction", "MeterValues"})

TAGS = ("TAG", "tag", "CHILD", "BLOCKED", "NOBODY", "")
CHARGERS = st.integers(0, 1)
CONNECTORS = st.sampled_from([1] * 8 + [2] * 3 + [0, -1, 10**6])
METERS = st.sampled_from([1000] * 3 + [5000] * 3 + [0, 6000, -1, 10**9])
TOGETHER = st.sampled_from([False, False, True])
"""Whether the next message comes in the same batch."""
WHICH = st.sampled_from([0] * 8 + [1, 1, 2, 3, 5, -1, -2, -3, -4])
"""Which of its transactions a charge point means: the newest, those before it; -1, 0, one that
nobody has, the newest of the other charge point."""
OFFSETS = st.sampled_from([0, 0, 0, -60, -3600, -90 * 86400, 240])
CLOCKS = st.sampled_from(["device", "device", "device", "1970", "2099", "none", "impossible"])
BACK = st.sampled_from([0, 0, 0, 1, 2, 4])
"""How many messages ago."""
READINGS = st.lists(st.sampled_from(["1000", "2000.5", "-1", "x", ""]), min_size=0, max_size=3)
BROKEN = st.sampled_from(
    [
        ("StartTransaction", {"connectorId": True, "idTag": ["x"]}),
        ("StartTransaction", {}),
        ("StopTransaction", {"transactionId": 5, "meterStop": True}),
        ("StopTransaction", []),
        ("MeterValues", {"connectorId": {}, "meterValue": []}),
        ("Authorize", {"idTag": None}),
        ("StatusNotification", {"connectorId": 1}),
        ("Nonsense", {}),
        ("Reset", {"type": "Hard"}),
    ]
)
ORDINARY = st.sampled_from(
    [
        ("Heartbeat", {}),
        ("Authorize", {"idTag": "TAG"}),
        ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}),
        ("StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": "Faulted"}),
        ("DataTransfer", {"vendorId": "V", "data": "x"}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
    ]
)


class Sent(NamedTuple):
    """A message that was answered."""

    charger: int
    action: str
    payload: Any
    message_id: str
    reply: Any


class Orders(RuleBasedStateMachine):
    """Two charge points, an inbox that may be restarted, and a ledger of all that was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.numbers = itertools.count(1)
        self.undone = ExitStack()
        self.chargers: list[Charger] = []
        self.waiting: list[tuple[int, str, Any, str]] = []
        self.sent: list[Sent] = []

    @initialize()
    def begin(self) -> None:
        """What a run writes is undone at its end."""
        self.undone.enter_context(transaction.atomic())
        self.undone.callback(transaction.set_rollback, True)
        self.chargers = [self.house.charger(ever_accepted=True) for _ in range(2)]
        known_tag("TAG")
        known_tag("CHILD", parent_id_tag="FAMILY")
        known_tag("BLOCKED", blocked=True)

    def teardown(self) -> None:
        self.undone.close()

    # --- what is sent ------------------------------------------------------------------------

    def give(self, charger: int, action: str, payload: Any, together: bool) -> None:
        """Send a message, with the next ones or at once."""
        self.waiting.append((charger, action, payload, f"id-{next(self.numbers)}"))
        if not together:
            self.commit()

    @rule(charger=CHARGERS, what=ORDINARY | BROKEN, together=TOGETHER)
    def say(self, charger: int, what: tuple[str, Any], together: bool) -> None:
        self.give(charger, *what, together)

    @rule(
        charger=CHARGERS, connector=CONNECTORS, tag=st.sampled_from(TAGS), meter=METERS,
        offset=OFFSETS, clock=CLOCKS, together=TOGETHER,
    )  # fmt: skip
    def start(
        self, charger: int, connector: int, tag: str, meter: int, offset: int, clock: str,
        together: bool,
    ) -> None:  # fmt: skip
        payload = {"connectorId": connector, "idTag": tag, "meterStart": meter}
        self.give(charger, "StartTransaction", payload | self.stamp(offset, clock), together)

    @rule(
        charger=CHARGERS, which=WHICH, meter=METERS, offset=OFFSETS, clock=CLOCKS,
        tag=st.sampled_from([None, *TAGS]), together=TOGETHER,
    )  # fmt: skip
    def stop(
        self, charger: int, which: int, meter: int, offset: int, clock: str, tag: str | None,
        together: bool,
    ) -> None:  # fmt: skip
        number = self.transaction_id(charger, which)
        payload: dict[str, Any] = {"transactionId": number, "meterStop": meter}
        if tag is not None:
            payload["idTag"] = tag
        self.give(charger, "StopTransaction", payload | self.stamp(offset, clock), together)

    @rule(
        charger=CHARGERS, connector=CONNECTORS, which=WHICH, offset=OFFSETS, values=READINGS,
        together=TOGETHER,
    )  # fmt: skip
    def meter(
        self, charger: int, connector: int, which: int, offset: int, values: list[str],
        together: bool,
    ) -> None:  # fmt: skip
        samples = [{"value": value} for value in values]
        reading = {"sampledValue": samples, **self.stamp(offset, "device")}
        payload: dict[str, Any] = {"connectorId": connector, "meterValue": [reading]}
        if which != -3:
            payload["transactionId"] = self.transaction_id(charger, which)
        self.give(charger, "MeterValues", payload, together)

    @rule(charger=CHARGERS, connector=st.integers(1, 2), used=METERS, reading=READINGS)
    def session(self, charger: int, connector: int, used: int, reading: list[str]) -> None:
        """A whole sale, as it should be but for the meters."""
        self.house.later(seconds=1)
        now = self.stamp(0, "device")
        begin = {"connectorId": connector, "idTag": "TAG", "meterStart": 1000, **now}
        self.give(charger, "StartTransaction", begin, False)
        number = self.transaction_id(charger, 0)
        value = {"sampledValue": [{"value": value} for value in reading], **now}
        meter = {"connectorId": connector, "transactionId": number, "meterValue": [value]}
        self.give(charger, "MeterValues", meter, True)
        stop = {"transactionId": number, "meterStop": used, **now}
        self.give(charger, "StopTransaction", stop, False)

    @precondition(lambda self: self.waiting)
    @rule(index=st.integers(0, 30), same_id=st.booleans())
    def say_twice_in_a_batch(self, index: int, same_id: bool) -> None:
        charger, action, payload, message_id = self.waiting[index % len(self.waiting)]
        if not same_id:
            message_id = f"id-{next(self.numbers)}"
        self.waiting.append((charger, action, payload, message_id))

    def transaction_id(self, charger: int, which: int) -> int:
        """The transactionId that WHICH means."""
        whose = charger if which >= 0 else 1 - charger
        given = [
            s.reply.transaction_id
            for s in self.sent
            if s.action == "StartTransaction" and s.charger == whose
        ]
        if which in (-1, -2, -3) or not given:
            return {-1: -1, -2: 0}.get(which, 123_456_789)
        return int(given[-1 - max(which, 0) % len(given)])

    def stamp(self, offset: int, clock: str) -> dict[str, str]:
        at = self.house.now + timedelta(seconds=offset)
        stamps = {
            "device": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "1970": "1970-01-01T00:00:05Z",
            "2099": "2099-01-01T00:00:00Z",
            "impossible": "2026-02-30T25:00:00Z",
        }
        return {"timestamp": stamps[clock]} if clock in stamps else {}

    # --- what else happens -------------------------------------------------------------------

    @rule(
        charger=CHARGERS,
        what=st.sampled_from(["second", "hour", "restart", "Accepted", "Pending", "Rejected"]),
    )
    def meanwhile(self, charger: int, what: str) -> None:
        """Time goes by; a new process remembers what is in the database; N26: transaction
        messages of a charge point that was accepted once are always kept."""
        if what in ("second", "hour"):
            self.house.later(seconds=1 if what == "second" else 3600)
        elif what == "restart":
            self.house.inbox = Inbox(self.house.config)
        else:
            row = ChargePoint.objects.filter(pk=self.chargers[charger].pk)
            row.update(registration=what)

    @precondition(lambda self: self.waiting)
    @rule()
    def commit(self) -> None:
        """What waits comes as one batch."""
        waiting, self.waiting = self.waiting, []
        batch = [
            self.chargers[charger].plain(action, payload, message_id=message_id)
            for charger, action, payload, message_id in waiting
        ]
        for message, outcome in zip(waiting, self.house.batch(*batch), strict=True):
            reply = answer_of(outcome)
            assert not isinstance(reply, InternalFailure), message
            if isinstance(reply, ProtocolError):
                assert message[1] not in ALWAYS_ANSWERED, (message, reply)
            else:
                self.sent.append(Sent(*message, reply))

    @precondition(lambda self: not self.waiting)
    @rule(index=BACK, same_id=st.booleans())
    def repeat_a_start(self, index: int, same_id: bool) -> None:
        """F1, F2: the same transaction; N17: under its message id, or another."""
        again = self.sent_before("StartTransaction", index)
        if again is None:
            return
        before = self.counts()
        reply = self.send_again(again, same_id)
        if not self.may_be_another(again):
            assert reply.transaction_id == again.reply.transaction_id
            assert reply.id_tag_info.status == again.reply.id_tag_info.status
            assert self.counts() == before

    @precondition(lambda self: not self.waiting)
    @rule(index=BACK, same_id=st.booleans())
    def repeat_a_stop(self, index: int, same_id: bool) -> None:
        """F5: the same answer, nothing new. A guess (F6) may find another now."""
        again = self.sent_before("StopTransaction", index)
        if again is None:
            return
        before = self.counts()
        known = self.transaction_of(again)
        reply = self.send_again(again, same_id)
        if known is not None or same_id:
            assert (reply.id_tag_info is UNSET) == ("idTag" not in again.payload)
            assert self.counts() == before

    def sent_before(self, action: str, index: int) -> Sent | None:
        found = [sent for sent in self.sent if sent.action == action]
        return found[-1 - index % len(found)] if found else None

    def send_again(self, again: Sent, same_id: bool) -> Any:
        message_id = again.message_id if same_id else f"id-{next(self.numbers)}"
        self.waiting = [(again.charger, again.action, again.payload, message_id)]
        self.commit()
        return self.sent[-1].reply

    @staticmethod
    def transaction_of(stop: Sent) -> Transaction | None:
        number = stop.payload.get("transactionId") if isinstance(stop.payload, dict) else None
        return Transaction.objects.filter(transaction_id=number or 0).first()

    @staticmethod
    def may_be_another(again: Sent) -> bool:
        """Whether a start with these figures may be a session of its own: its clock says nothing
        and the first is over; or it is in quarantine, where no id binds it."""
        first = Transaction.objects.filter(transaction_id=again.reply.transaction_id).first()
        if first is None:
            return True
        believed = "the clock of the start is not believable" not in first.flags
        return not believed and first.state != "open"

    # --- what must hold ----------------------------------------------------------------------

    def counts(self) -> tuple[int, int, int]:
        return (
            Transaction.objects.count(),
            MeterValue.objects.count(),
            QuarantinedMessage.objects.count(),
        )

    @invariant()
    def one_open_transaction_of_a_connector(self) -> None:
        places = Transaction.objects.filter(state="open").values_list(
            "charge_point_id", "connector_id"
        )
        assert len(places) == len(set(places))

    @invariant()
    def every_start_is_kept(self) -> None:
        rows = Transaction.objects.in_bulk(field_name="transaction_id")
        kept = self.quarantined("StartTransaction")
        given = set()
        for sent in self.sent:
            if sent.action != "StartTransaction":
                continue
            assert sent.reply.transaction_id > 0
            row = rows.get(sent.reply.transaction_id)
            if row is None:
                readable = isinstance(sent.payload.get("idTag"), str)
                assert not readable or sent.payload["connectorId"] not in (1, 2), sent
                assert (self.pk(sent), _canonical(sent.payload)) in kept, sent
                continue
            given.add(row.transaction_id)
            assert row.charge_point_id == self.pk(sent)
            assert row.connector_id == sent.payload["connectorId"]
            assert row.meter_start == sent.payload["meterStart"]
            assert row.id_tag.lower() == sent.payload["idTag"].lower()
        assert set(rows) == given

    @invariant()
    def every_stop_is_kept(self) -> None:
        stopped = {
            (row.charge_point_id, row.meter_stop)
            for row in Transaction.objects.filter(state="stopped")
        }
        kept = self.quarantined("StopTransaction")
        for sent in self.sent:
            if sent.action != "StopTransaction":
                continue
            told = isinstance(sent.payload, dict) and (
                (self.pk(sent), sent.payload.get("meterStop")) in stopped
            )
            assert told or (self.pk(sent), _canonical(sent.payload)) in kept, sent

    @invariant()
    def what_is_billed_is_right(self) -> None:
        for row in Transaction.objects.filter(billable=True, state="stopped"):
            assert row.meter_stop is not None
            assert row.energy == row.meter_stop - row.meter_start, row.flags
            assert 0 <= row.energy <= MAX_ENERGY
            assert row.stopped_at is not None
            assert row.stopped_at >= row.started_at

    @invariant()
    def no_reading_is_doubled(self) -> None:
        sent = {
            (self.pk(message), message.payload["connectorId"], value.get("timestamp"),
             _canonical(value["sampledValue"]))
            for message in self.sent
            if message.action == "MeterValues" and isinstance(message.payload["connectorId"], int)
            for value in message.payload["meterValue"]
        }  # fmt: skip
        assert MeterValue.objects.count() <= len(sent)

    def pk(self, sent: Sent) -> int:
        return self.chargers[sent.charger].pk

    @staticmethod
    def quarantined(action: str) -> set[tuple[int | None, str]]:
        """Charge points and payloads in quarantine."""
        rows = QuarantinedMessage.objects.filter(action=action)
        return {(row.charge_point_id, _canonical(json.loads(row.raw)[3])) for row in rows}


def _canonical(payload: Any) -> str:
    return json.dumps(payload, sort_keys=True)


@pytest.mark.django_db
def test_any_order() -> None:
    """So many examples of up to 40 steps; the same ones in every short run."""
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        deadline=None,
        derandomize=EXAMPLES <= 25,
        phases=(Phase.explicit, Phase.generate),  # the steps are told as they were found
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Orders, settings=how)
