"""One connection's calls, without I/O."""

import pytest

from ocpp_json.frames import CallError, CallResult, Unreadable
from ocpp_json.session import Answered, Asked, Busy, Ignored, Repeated, Session

HEARTBEAT = '[2,"1","Heartbeat",{}]'


def test_a_call_is_asked_and_answered() -> None:
    session = Session()
    assert isinstance(session.receive(HEARTBEAT), Asked)
    assert session.next is not None
    assert session.next.message_id == "1"
    assert session.answered() == 1
    assert session.waiting == 0


def test_calls_are_answered_in_order() -> None:
    session = Session()
    for number in "123":
        session.receive(f'[2,"{number}","Heartbeat",{{}}]')
    order = []
    while (request := session.next) is not None:
        order.append(request.message_id)
        session.answered()
    assert order == ["1", "2", "3"]


def test_n17_a_repeat_in_flight_is_one_execution_and_two_answers() -> None:
    session = Session()
    session.receive(HEARTBEAT)
    assert isinstance(session.receive('[2, "1", "Heartbeat", {}]'), Repeated)
    assert session.waiting == 1
    assert session.answered() == 2


def test_n17_the_same_id_with_another_payload_is_another_call() -> None:
    session = Session()
    session.receive('[2,"1","Authorize",{"idTag":"A"}]')
    assert isinstance(session.receive('[2,"1","Authorize",{"idTag":"B"}]'), Asked)
    assert session.waiting == 2


def test_n17_after_its_answer_the_same_call_is_asked_again() -> None:
    session = Session()
    session.receive(HEARTBEAT)
    session.answered()
    assert isinstance(session.receive(HEARTBEAT), Asked)


def test_n15_one_outstanding_call_of_ours() -> None:
    session = Session()
    session.expect("a")
    with pytest.raises(Busy):
        session.expect("b")
    session.receive('[3,"a",{}]')
    session.expect("b")


def test_n15_calls_may_cross() -> None:
    session = Session()
    session.expect("a")
    assert isinstance(session.receive('[2,"a","Heartbeat",{}]'), Asked)  # the same id, even
    event = session.receive('[3,"a",{}]')
    assert isinstance(event, Answered)
    assert not event.late
    assert session.waiting == 1


def test_f10_a_late_answer_never_matches_the_next_call() -> None:
    session = Session()
    session.expect("a")
    session.give_up()
    session.expect("b")
    event = session.receive('[3,"a",{"status":"Accepted"}]')
    assert isinstance(event, Answered)
    assert event.late
    assert event.message_id == "a"
    assert session.expected == "b"


@pytest.mark.parametrize("text", ['[3,"x",{}]', '[4,"x","GenericError","",{}]', '[3,"x",{'])
def test_f10_an_answer_to_another_call_than_the_outstanding_one_is_late(text: str) -> None:
    """It may be that of a call on an earlier connection: the command's row knows."""
    session = Session()
    session.expect("a")
    event = session.receive(text)
    assert isinstance(event, Answered)
    assert (event.message_id, event.late, session.expected) == ("x", True, "a")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('[3,"a",{}]', CallResult),
        ('[4,"a","NotSupported"]', CallError),
        ('[3,"a",{"configurationKey":[]', Unreadable),
        ('[3,"a",{},{}]', Unreadable),
        ('[4,"a"]', Unreadable),
    ],
)
def test_an_answer_of_any_shape_ends_its_call(text: str, kind: type) -> None:
    session = Session()
    session.expect("a")
    event = session.receive(text)
    assert isinstance(event, Answered)
    assert isinstance(event.answer, kind)
    assert session.expected is None


@pytest.mark.parametrize(
    "text",
    [
        '[5,"x",{}]',
        "garbage",
        "",
        '[2.0,"x","Heartbeat",{}]',
        '[true,"x","Heartbeat",{}]',
    ],
)
def test_what_nobody_waits_for_is_ignored(text: str) -> None:
    session = Session()
    session.expect("a")
    event = session.receive(text)
    assert isinstance(event, Ignored)
    assert event.why
    assert session.expected == "a"
    assert session.waiting == 0


def test_an_unreadable_call_is_asked() -> None:
    session = Session()
    event = session.receive('[2,"1","MeterValues",{"transactionId":,}]')
    assert isinstance(event, Asked)
    assert isinstance(event.request, Unreadable)


def test_f19_a_closing_session_takes_no_calls_but_answers() -> None:
    session = Session()
    session.expect("a")
    session.closing = True
    assert isinstance(session.receive(HEARTBEAT), Ignored)
    assert isinstance(session.receive('[3,"a",{}]'), Answered)
