"""Charge points in any order, legal and illegal: what must hold after each batch, whatever came.

- every message has an answer; StartTransaction, StopTransaction and MeterValues a reply (N19)
- at most one open transaction of a connector (F21)
- each start and stop that was answered is a transaction, or is in quarantine (N27, F5, F6, F7, F9)
- there are no more transactions than starts, and no more readings than were sent (F1, F2)
- nobody stops a transaction of another charge point (F7)
- what is billed is meterStop less meterStart, of that charge point, never negative
- a repetition has the answer that the first had, and adds nothing (F2, F5, N17)

`Orders` speaks to the services (`test_state_machine.py`); over the wire it is a subclass
(`test_state_machine_wire.py`) that opens, exchanges and reconnects in another way.
"""

import itertools
import json
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from msgspec import UNSET

from csms.models import ChargePoint, MeterValue, QuarantinedMessage, Transaction
from csms.ocpp.errors import InternalFailure, ProtocolError
from csms.services.inbox import Inbox
from csms.services.transactions import MAX_ENERGY
from tests.faults.draws import (
    BACK,
    BROKEN,
    CHARGERS,
    CLOCKS,
    CONNECTORS,
    METERS,
    OFFSETS,
    ORDINARY,
    READINGS,
    TAGS,
    TOGETHER,
    UNBELIEVED,
    WHICH,
    Sent,
    Waiting,
)
from tests.faults.edges import essence
from tests.services.harness import House, answer_of, known_tag

ALWAYS_ANSWERED = frozenset({"StartTransaction", "StopTransaction", "MeterValues"})


class Orders(RuleBasedStateMachine):
    """Two charge points, an inbox that may be restarted, and a ledger of all that was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.numbers = itertools.count(1)
        self.opened = ExitStack()
        self.pks: list[int] = []
        """Of the two charge points."""
        self.waiting: list[Waiting] = []
        self.sent: list[Sent] = []

    # --- how it is said; another machine may say it otherwise -----------------------------------

    def open(self) -> None:
        """What an example writes is undone at its end."""
        self.opened.enter_context(transaction.atomic())
        self.opened.callback(transaction.set_rollback, True)
        know_tags()
        self.chargers = [self.house.charger(ever_accepted=True) for _ in range(2)]
        self.pks = [charger.pk for charger in self.chargers]

    def exchange(self, messages: list[Waiting]) -> list[Any]:
        """The reply or ProtocolError of each message; they come as one batch."""
        batch = [
            self.chargers[message.charger].plain(
                message.action, message.payload, message_id=message.message_id
            )
            for message in messages
        ]
        return [answer_of(outcome) for outcome in self.house.batch(*batch)]

    def begin_anew(self, charger: int) -> None:
        """A new process: it remembers what is in the database."""
        self.house.inbox = Inbox(self.house.config)

    def written(self, charger: int, action: str, payload: Any) -> str:
        """A payload as `essence` finds it in quarantine."""
        return json.dumps(payload, sort_keys=True)

    # --- the beginning and the end --------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.open()

    def teardown(self) -> None:
        self.opened.close()

    # --- what is sent ------------------------------------------------------------------------

    def give(self, charger: int, action: str, payload: Any, together: bool) -> None:
        """Send a message, with the next ones or at once."""
        self.waiting.append(Waiting(charger, action, payload, self.new_id()))
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
        payload = {"connectorId": connector, "idTag": tag}
        payload |= {**self.stamp(offset, clock), "meterStart": meter}
        self.give(charger, "StartTransaction", payload, together)

    @rule(
        charger=CHARGERS, which=WHICH, meter=METERS, offset=OFFSETS, clock=CLOCKS,
        tag=st.sampled_from([None, *TAGS]), together=TOGETHER,
    )  # fmt: skip
    def stop(
        self, charger: int, which: int, meter: int, offset: int, clock: str, tag: str | None,
        together: bool,
    ) -> None:  # fmt: skip
        number = self.transaction_id(charger, which)
        payload: dict[str, Any] = {"transactionId": number}
        if tag is not None:
            payload["idTag"] = tag
        payload |= {**self.stamp(offset, clock), "meterStop": meter}
        self.give(charger, "StopTransaction", payload, together)

    @rule(
        charger=CHARGERS, connector=CONNECTORS, which=WHICH, offset=OFFSETS, values=READINGS,
        together=TOGETHER,
    )  # fmt: skip
    def meter(
        self, charger: int, connector: int, which: int, offset: int, values: list[str],
        together: bool,
    ) -> None:  # fmt: skip
        samples = [{"value": value} for value in values]
        payload: dict[str, Any] = {"connectorId": connector}
        if which != -3:
            payload["transactionId"] = self.transaction_id(charger, which)
        payload["meterValue"] = [{**self.stamp(offset, "device"), "sampledValue": samples}]
        self.give(charger, "MeterValues", payload, together)

    @rule(
        charger=CHARGERS, connector=st.integers(1, 2), used=METERS, reading=READINGS,
        by_another=TOGETHER,
    )  # fmt: skip
    def session(
        self, charger: int, connector: int, used: int, reading: list[str], by_another: bool
    ) -> None:
        """A whole sale, as it should be but for the meters, and for who stops it (F7)."""
        self.house.later(seconds=1)
        now = self.stamp(0, "device")
        begin = {"connectorId": connector, "idTag": "TAG", **now, "meterStart": 1000}
        self.give(charger, "StartTransaction", begin, False)
        number = self.transaction_id(charger, 0)
        value = {**now, "sampledValue": [{"value": value} for value in reading]}
        meter = {"connectorId": connector, "transactionId": number, "meterValue": [value]}
        self.give(charger, "MeterValues", meter, True)
        stop = {"transactionId": number, **now, "meterStop": used}
        self.give(1 - charger if by_another else charger, "StopTransaction", stop, False)

    @precondition(lambda self: self.waiting)
    @rule(index=st.integers(0, 30), same_id=st.booleans())
    def say_twice_in_a_batch(self, index: int, same_id: bool) -> None:
        again = self.waiting[index % len(self.waiting)]
        self.waiting.append(again if same_id else again._replace(message_id=self.new_id()))

    def new_id(self) -> str:
        return f"id-{next(self.numbers)}"

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
        stamps = {"device": f"{at:%Y-%m-%dT%H:%M:%SZ}", **UNBELIEVED}
        return {"timestamp": stamps[clock]} if clock in stamps else {}

    # --- what else happens -------------------------------------------------------------------

    @rule(
        charger=CHARGERS,
        what=st.sampled_from(["second", "hour", "restart", "Accepted", "Pending", "Rejected"]),
    )
    def meanwhile(self, charger: int, what: str) -> None:
        """Time goes by; a process or a connection begins anew; N26: transaction messages of a
        charge point that was accepted once are always kept."""
        if what in ("second", "hour"):
            self.house.later(seconds=1 if what == "second" else 3600)
        elif what == "restart":
            self.begin_anew(charger)
        else:
            ChargePoint.objects.filter(pk=self.pks[charger]).update(registration=what)

    @precondition(lambda self: self.waiting)
    @rule()
    def commit(self) -> None:
        """What waits comes as one batch."""
        waiting, self.waiting = self.waiting, []
        for message, reply in zip(waiting, self.exchange(waiting), strict=True):
            assert not isinstance(reply, InternalFailure), message
            if isinstance(reply, ProtocolError):
                assert message.action not in ALWAYS_ANSWERED, (message, reply)
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
        message_id = again.message_id if same_id else self.new_id()
        self.waiting = [Waiting(again.charger, again.action, again.payload, message_id)]
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
            self.ours(Transaction).count(),
            self.ours(MeterValue).count(),
            self.ours(QuarantinedMessage).count(),
        )

    def ours(self, model: Any) -> Any:
        """The rows of the two charge points."""
        return model.objects.filter(charge_point__in=self.pks)

    @invariant()
    def one_open_transaction_of_a_connector(self) -> None:
        places = (
            self.ours(Transaction)
            .filter(state="open")
            .values_list("charge_point_id", "connector_id")
        )
        assert len(places) == len(set(places))

    @invariant()
    def every_start_is_kept(self) -> None:
        rows = self.ours(Transaction).in_bulk(field_name="transaction_id")
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
                assert self.kept_as(sent) in kept, sent
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
            for row in self.ours(Transaction).filter(state="stopped")
        }
        kept = self.quarantined("StopTransaction")
        for sent in self.sent:
            if sent.action != "StopTransaction":
                continue
            told = isinstance(sent.payload, dict) and (
                (self.pk(sent), sent.payload.get("meterStop")) in stopped
            )
            assert told or self.kept_as(sent) in kept, sent

    @invariant()
    def nobody_stops_anothers_transaction(self) -> None:
        """F7: what a transaction ended with, its own charge point said."""
        said = {
            (self.pk(sent), sent.payload.get("meterStop"))
            for sent in self.sent
            if sent.action == "StopTransaction" and isinstance(sent.payload, dict)
        }
        for row in self.ours(Transaction).filter(state="stopped"):
            assert (row.charge_point_id, row.meter_stop) in said

    @invariant()
    def what_is_billed_is_right(self) -> None:
        for row in self.ours(Transaction).filter(billable=True, state="stopped"):
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
        assert self.ours(MeterValue).count() <= len(sent)

    def pk(self, sent: Sent) -> int:
        return self.pks[sent.charger]

    def kept_as(self, sent: Sent) -> tuple[int, str]:
        """What `quarantined` says of a message that is there."""
        return self.pk(sent), self.written(sent.charger, sent.action, sent.payload)

    def quarantined(self, action: str) -> set[tuple[int, str]]:
        """Charge points and payloads in quarantine."""
        rows = self.ours(QuarantinedMessage).filter(action=action)
        return {(row.charge_point_id, essence(row.raw)) for row in rows}


def know_tags() -> None:
    """The idTags that are known; NOBODY and the empty one are not."""
    known_tag("TAG")
    known_tag("CHILD", parent_id_tag="FAMILY")
    known_tag("BLOCKED", blocked=True)


def _canonical(payload: Any) -> str:
    return json.dumps(payload, sort_keys=True)
