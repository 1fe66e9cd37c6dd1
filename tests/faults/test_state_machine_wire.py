"""The invariants of `orders.py` over the wire: one charge point on a WebSocket, one over HTTP, at
the real edges of a running system; bytes in, bytes out.

Beside the orders of messages that the services see there are those that only a connection has: the
next call before the last one was answered, connections that end before the answer, and calls of
the central system in between, answered rightly, wrongly, late or twice.

With `CSMS_TEST_EXAMPLES=200` in the environment it looks longer.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from csms.models import ChargePoint, Command
from csms.ocpp import core, registry
from csms.ocpp.base import reply_type
from csms.ocpp.errors import InternalFailure, ProtocolError
from csms.services.commands import command_send
from tests import factories
from tests.faults.draws import CHARGERS, UNBELIEVED, Waiting
from tests.faults.edges import EDGES, Answer, Call, Edge, JsonEdge, ask
from tests.faults.orders import Orders, know_tags
from tests.operations.scripted import ended, fault, replied

if TYPE_CHECKING:
    from tests.running import Callback, System

EXAMPLES = int(os.environ.get("CSMS_TEST_EXAMPLES", "8"))

ENDS = {
    "Accepted": {"accepted"},
    "twice": {"accepted"},
    "Rejected": {"rejected"},
    "error": {"error"},
    "gone": {"timed out", "error"},
}
"""How a call of the central system is answered, and what the command's end is then."""


class WireOrders(Orders):
    """The first charge point speaks OCPP-J, the second one OCPP-S."""

    system: "System"
    callback: "Callback"

    def open(self) -> None:
        self.house.now = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
        self.edges: list[Edge] = []
        for transport, url in (("json", ""), ("soap", self.callback.url)):
            row = factories.charge_point(
                transport=transport, callback_url=url, callback_pinned=True, ever_accepted=True
            )
            edge = EDGES[transport](self.system, row)
            self.opened.callback(edge.close)
            self.edges.append(edge)
        self.pks = [edge.row.pk for edge in self.edges]

    def exchange(self, messages: list[Waiting]) -> list[Any]:
        """Each charge point sends all that it has before it reads an answer."""
        speaking = {
            self.edges[index]: calls for index, calls in enumerate(self.calls(messages)) if calls
        }
        with ThreadPoolExecutor(len(speaking)) as pool:
            said = pool.map(lambda edge: iter(edge.exchange(speaking[edge])), speaking)
            answers = dict(zip(speaking, said, strict=True))
        return [_reply(message, next(answers[self.edges[message.charger]])) for message in messages]

    def calls(self, messages: list[Waiting]) -> list[list[Call]]:
        """What each of the two has to say."""
        return [
            [Call(m.action, m.payload, m.message_id) for m in messages if m.charger == index]
            for index in range(len(self.edges))
        ]

    def begin_anew(self, charger: int) -> None:
        self.edges[charger].reconnect()

    def written(self, charger: int, action: str, payload: Any) -> str:
        return self.edges[charger].written(action, payload)

    @precondition(lambda self: self.waiting)
    @rule(same_id=st.booleans())
    def say_again_what_was_not_answered(self, same_id: bool) -> None:
        """F2: sent, the connection ends before an answer is read; then all of it once more. (A
        start without a clock may then be another session, of which nobody was told.)"""
        stamps = [m.payload.get("timestamp") for m in self.waiting if m.action.startswith("Start")]
        if any(stamp is None or stamp in UNBELIEVED.values() for stamp in stamps):
            return
        for edge, calls in zip(self.edges, self.calls(self.waiting), strict=True):
            if calls:
                edge.lose(calls)
        if not same_id:
            self.waiting = [m._replace(message_id=self.new_id()) for m in self.waiting]
        self.commit()

    @precondition(lambda self: not self.waiting)
    @rule(charger=CHARGERS, how=st.sampled_from(sorted(ENDS)))
    def ask_the_charge_point(self, charger: int, how: str) -> None:
        """A call of ours is on its way while the charge point asks something itself; how it
        answers ends no connection, and no other call has that answer (F10)."""
        row = ChargePoint.objects.get(pk=self.pks[charger])
        if row.registration != "Accepted":
            return
        edge = self.edges[charger]
        if isinstance(edge, JsonEdge):
            command = command_send(charge_point=row, request=core.ClearCache())
            self.answer_json(edge, how)
        else:
            self.callback.answer = lambda text: _answer_soap(edge, text, how)
            command = command_send(charge_point=row, request=core.ClearCache())
        assert ended(command).state in ENDS[how], command.error
        assert "currentTime" in ask(edge, "Heartbeat").fields

    @staticmethod
    def answer_json(edge: JsonEdge, how: str) -> None:
        kind, message_id, action, _ = edge.charger.receive()
        assert (kind, action) == (2, "ClearCache")
        assert "currentTime" in ask(edge, "Heartbeat").fields
        status = "Rejected" if how == "Rejected" else "Accepted"
        answer = json.dumps([3, message_id, {"status": status}])
        if how == "gone":
            edge.reconnect()
        elif how == "error":
            answer = json.dumps([4, message_id, "InternalError", "", {}])
        edge.charger.send(answer)
        if how == "twice":
            edge.charger.send(answer)

    @invariant()
    def one_call_at_a_time(self) -> None:
        sent = Command.objects.filter(charge_point__in=self.pks, state="sent")
        places = sent.values_list("charge_point_id", flat=True)
        assert len(places) == len(set(places))


def _reply(message: Waiting, answer: Answer) -> Any:
    """The reply that an answer holds, read by the declaration, or the ProtocolError."""
    if answer.error:
        kind = InternalFailure if answer.error == "InternalError" else ProtocolError
        return kind(answer.raw)
    declaration = registry.from_charge_point(message.action)
    assert declaration is not None, answer
    return msgspec.convert(answer.fields, reply_type(declaration), strict=False)


def _answer_soap(edge: Edge, text: str, how: str) -> str:
    assert "currentTime" in ask(edge, "Heartbeat").fields
    if how == "gone":
        return ""
    if how == "error":
        return fault(text, "InternalError")
    return replied(text, {"status": "Rejected" if how == "Rejected" else "Accepted"})


@pytest.mark.timeout(300 + 8 * EXAMPLES)
def test_any_order_over_the_wire(system: "System") -> None:
    """So many examples of up to 30 steps; the same ones in every short run."""
    system.deliver()
    know_tags()
    callback = system.callback(lambda _: "")
    machine = type("Machine", (WireOrders,), {"system": system, "callback": callback})
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        derandomize=EXAMPLES <= 8,
        phases=(Phase.explicit, Phase.generate),  # the steps are told as they were found
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=how)
