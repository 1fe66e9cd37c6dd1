"""The state of one connection, without I/O: frames in, events out.

4.1.1: "A Charge Point or Central System SHOULD NOT send a CALL message to the other party unless
all the CALL messages it sent before have been responded to or have timed out." So there is one
outstanding call for each direction; calls that cross are legal. Chargers that send several calls
at once are answered in order.
"""

from collections import deque
from typing import NamedTuple

from ocpp_json.frames import (
    CALL,
    CALLERROR,
    CALLRESULT,
    Call,
    CallError,
    CallResult,
    Frame,
    Unknown,
    Unreadable,
    parse,
)

Request = Call | Unreadable
Answer = CallResult | CallError | Unreadable


class Asked(NamedTuple):
    """The charge point wants an answer; decide it after all that were asked before."""

    request: Request


class Repeated(NamedTuple):
    """A call in flight came again; it is not executed twice, its answer is sent once more."""

    request: Request


class Answered(NamedTuple):
    """A call of ours was answered. `late`: not the outstanding one; it may have been given up, or
    made on an earlier connection, or never."""

    message_id: str
    answer: Answer
    late: bool


class Ignored(NamedTuple):
    """A frame that nobody waits for; to be logged."""

    frame: Frame
    why: str


Event = Asked | Repeated | Answered | Ignored


class Busy(Exception):
    """A call of ours is still outstanding on this connection."""


class _Asking:
    """A call of the charge point that was not answered yet."""

    __slots__ = ("answers", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answers = 1


class Session:
    """One connection's calls in both directions. Holds nothing while idle."""

    __slots__ = ("_asking", "_expected", "_strict", "closing")

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self.closing = False
        """No more calls are taken; the charge point asks them again on its next connection."""
        self._asking: deque[_Asking] | None = None
        self._expected: str | None = None

    # Calls of the charge point

    def receive(self, data: str | bytes) -> Event:
        """What one message means."""
        frame = parse(data, strict=self._strict)
        if isinstance(frame, Call):
            return self._asked(frame)
        if isinstance(frame, CallResult | CallError):
            return self._answered(frame)
        if isinstance(frame, Unknown):
            return Ignored(frame, f"Message type {frame.message_type} is not defined.")
        if frame.message_type == CALL:
            return self._asked(frame)
        if frame.message_type in (CALLRESULT, CALLERROR):
            return self._answered(frame)
        return Ignored(frame, frame.error.description)

    def _asked(self, request: Request) -> Asked | Repeated | Ignored:
        if self._asking is None:
            self._asking = deque()
        for asking in self._asking:
            if _same(asking.request, request):
                asking.answers += 1
                return Repeated(request)
        if self.closing:
            return Ignored(request, "The connection is being closed.")
        self._asking.append(_Asking(request))
        return Asked(request)

    @property
    def waiting(self) -> int:
        """How many calls of the charge point were not answered yet."""
        return len(self._asking) if self._asking is not None else 0

    @property
    def alone(self) -> bool:
        """One call waits, and it was asked once."""
        return self.waiting == 1 and self._asking is not None and self._asking[0].answers == 1

    @property
    def next(self) -> Request | None:
        """The call to be decided now."""
        return self._asking[0].request if self._asking else None

    def answered(self) -> int:
        """The call to be decided now has its answer: how often to send it, once for each time
        that it was asked."""
        assert self._asking
        times = self._asking.popleft().answers
        if not self._asking:
            self._asking = None
        return times

    # Calls of ours

    @property
    def expected(self) -> str | None:
        """The message id of our outstanding call."""
        return self._expected

    def expect(self, message_id: str) -> None:
        """A call of ours is about to be sent. Raises Busy while another is outstanding."""
        if self._expected is not None:
            raise Busy
        self._expected = message_id

    def give_up(self) -> None:
        """Our outstanding call has timed out; its answer may still come."""
        assert self._expected is not None
        self._expected = None

    def _answered(self, answer: Answer) -> Answered:
        late = answer.message_id != self._expected
        if not late:
            self._expected = None
        return Answered(answer.message_id, answer, late)


def _same(one: Request, other: Request) -> bool:
    """The same message id, action and payload."""
    if isinstance(one, Call) and isinstance(other, Call):
        return one[:3] == other[:3]
    return one.raw == other.raw
