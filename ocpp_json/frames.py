"""The frames of OCPP-J 1.6 (4.2) as values: text in, values out, and back.

::

    [2, "id", "Action", {payload}]                          CALL        → Call
    [3, "id", {payload}]                                    CALLRESULT  → CallResult
    [4, "id", "Code", "description", {details}]             CALLERROR   → CallError
    anything else                                           → Unreadable or Unknown

Nothing that arrives makes `parse` raise. No I/O, no clock.
"""

import json
import re
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, NamedTuple, NoReturn, TypeVar

import msgspec

from csms.ocpp import registry, tolerance
from csms.ocpp.base import Payload, Request, validated
from csms.ocpp.errors import (
    FormationViolation,
    ProtocolError,
    UnknownAction,
    UnsupportedAction,
)
from csms.ocpp.explain import explain
from csms.ocpp.hostile import check_plain, check_text
from csms.ocpp.tolerance import Note, Reading
from ocpp_json import errors

P = TypeVar("P", bound=Payload)

CALL, CALLRESULT, CALLERROR = 2, 3, 4

LONGEST_MESSAGE_ID = 36
"""4.1.4: a message id has "maximum of 36 characters, to allow for GUIDs"."""


MOST_OBJECTS = 12_288
"""Objects, and lists, of one message that holds more of them than one in BYTES_EACH: they are what
costs (measured: 175,000 empty ones in 512 KiB take 15 MB). A StopTransaction with the least
readings that there can be, six thousand of them, has as many."""
BYTES_EACH = 40
MOST_MEMBERS = 65_536
"""The same for all that commas part, one in eight bytes."""


class Call(NamedTuple):
    """A request of the charge point; `payload` is its JSON, not decoded yet."""

    message_id: str
    action: str
    payload: bytes
    raw: str
    numeric: bool = False
    """The message id was sent as a number."""

    @property
    def echo(self) -> str | int:
        """The message id as the answer has to carry it."""
        return int(self.message_id) if self.numeric else self.message_id

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is odd about the frame itself; it is answered all the same."""
        if self.numeric:
            return (Note("number_for_message_id", "", self.message_id),)
        if len(self.message_id) <= LONGEST_MESSAGE_ID:
            return ()
        return (Note("long_message_id", "", self.message_id[: tolerance.LONGEST_NOTE]),)


class CallResult(NamedTuple):
    """The answer to a call of ours; `payload` is its JSON, not decoded yet."""

    message_id: str
    payload: bytes
    raw: str


class CallError(NamedTuple):
    """The refusal of a call of ours; any code is taken."""

    message_id: str
    code: str
    description: str
    raw: str


class Unreadable(NamedTuple):
    """A frame that is none, or whose text is no JSON.

    `message_type` and `message_id` are what its beginning says, else 0 and "" (with `action`
    likewise): a CALL is then answered with `error`, a CALLRESULT or CALLERROR ends its call.
    """

    message_type: int
    message_id: str
    action: str
    error: ProtocolError
    raw: str

    @property
    def echo(self) -> str:
        """The message id as the answer has to carry it."""
        return self.message_id


class Unknown(NamedTuple):
    """4.1.3: "When a server receives a message with a Message Type Number not in this list, it
    SHALL ignore the message payload." """

    message_type: int
    raw: str


Frame = Call | CallResult | CallError | Unreadable | Unknown

_ELEMENTS = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
_TEXT = msgspec.json.Decoder(str)
_PLAIN = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_NUMBER = re.compile(rb"-?[0-9]{1,18}")
_STRING = r'"((?:[^"\\\x00-\x1f]|\\[^\x00-\x1f]){0,255})"'  # bounded: so is the time it takes
_BEGINNING = re.compile(rf"\ufeff?\s*\[\s*([234])\s*,\s*{_STRING}(?:\s*,\s*{_STRING})?")

DECODE_ERRORS = (msgspec.MsgspecError, RecursionError, UnicodeError)
"""The families of errors that decoding JSON raises."""


def parse(data: str | bytes, *, strict: bool = False) -> Frame:
    """The frame in the text of one WebSocket message; strictly, a message id is a text."""
    try:
        raw = data if isinstance(data, str) else data.decode()
        if _crowded(raw):
            return _unreadable(raw, FormationViolation("The message holds too many objects."))
        elements = _ELEMENTS.decode(raw)
    except UnicodeDecodeError as error:
        assert isinstance(data, bytes)
        return _unreadable(data.decode(errors="replace"), error)
    except UnicodeEncodeError as error:
        assert isinstance(data, str)
        return _unreadable(data.encode(errors="replace").decode(), error)
    except DECODE_ERRORS as error:
        return _unreadable(raw, error)
    try:
        return _frame(elements, raw, strict=strict)
    except (ProtocolError, *DECODE_ERRORS) as error:
        return _unreadable(raw, error)


def _crowded(raw: str) -> bool:
    """Whether reading it would cost more than a message may."""
    many = max(raw.count("{"), raw.count("["))
    members = raw.count(",")
    return (many > MOST_OBJECTS and many * BYTES_EACH > len(raw)) or (
        members > MOST_MEMBERS and members * 8 > len(raw)
    )


def _frame(elements: tuple[msgspec.Raw, ...], raw: str, *, strict: bool) -> Frame:
    if not elements:
        raise FormationViolation("The message is an empty list.")
    number = bytes(elements[0])
    if not _NUMBER.fullmatch(number):  # 2.0 and true are no message types
        return Unreadable(0, "", "", FormationViolation("The message type is no integer."), raw)
    message_type = int(number)
    if message_type == CALL:
        if len(elements) != 4:
            raise FormationViolation("A CALL has 4 elements.")
        action, payload = _text(elements[2]), _payload(elements[3])
        message_id = bytes(elements[1])
        if not strict and _NUMBER.fullmatch(message_id):
            return Call(message_id.decode(), action, payload, raw, numeric=True)
        return Call(_text(elements[1]), action, payload, raw)
    if message_type == CALLRESULT:
        if len(elements) != 3:
            raise FormationViolation("A CALLRESULT has 3 elements.")
        return CallResult(_text(elements[1]), _payload(elements[2]), raw)
    if message_type == CALLERROR:
        # The specification says 5; chargers leave out the last ones (Grizzl-E).
        if not 3 <= len(elements) <= 5:
            raise FormationViolation("A CALLERROR has 5 elements.")
        description = _loose_text(elements[3]) if len(elements) > 3 else ""
        return CallError(_text(elements[1]), _loose_text(elements[2]), description, raw)
    return Unknown(message_type, raw)


def _text(element: msgspec.Raw) -> str:
    text = _TEXT.decode(element)
    check_text(text, "")
    return text


def _loose_text(element: msgspec.Raw) -> str:
    """A text for people: whatever stands there."""
    try:
        return _text(element)
    except (ProtocolError, *DECODE_ERRORS):
        return bytes(element).decode(errors="replace").replace("\0", "�")


def _payload(element: msgspec.Raw) -> bytes:
    """4.2.1: "If there is no payload field […] null or {}": both mean the empty object."""
    payload = bytes(element)
    return b"{}" if payload == b"null" else payload


def _unreadable(raw: str, error: Exception) -> Unreadable:
    """What the beginning of a frame still tells of it."""
    said = explain(error)
    raw = raw.replace("\0", "\N{SYMBOL FOR NULL}")  # no database keeps a NUL
    beginning = _BEGINNING.match(raw)
    message_id = _inside(beginning[2]) if beginning is not None else None
    if beginning is None or message_id is None:
        return Unreadable(0, "", "", said, raw)
    message_type = int(beginning[1])
    action = _inside(beginning[3] or "") if message_type == CALL else ""
    return Unreadable(message_type, message_id, action or "", said, raw)


def _inside(quoted: str) -> str | None:
    """What stands between quotes, or None when it is no text."""
    try:
        return _text(msgspec.Raw(f'"{quoted}"'.encode()))
    except (ProtocolError, *DECODE_ERRORS):
        return None


@cache
def _decoder(declaration: type[P]) -> msgspec.json.Decoder[P]:
    return msgspec.json.Decoder(declaration)


def declaration(action: str) -> type[Request[Any]]:
    """What a charge point may send under this name; UnknownAction or UnsupportedAction if not."""
    declared = registry.from_charge_point(action)
    if declared is not None:
        return declared
    shown = action if len(action) <= 50 else action[:50] + "…"
    if action in registry.ACTIONS:
        raise UnsupportedAction(f"{shown} is sent by the central system only.")
    raise UnknownAction(f"{shown} is no action of OCPP 1.6.")


def read(
    declared: type[P], payload: bytes, *, strict: bool, received_at: datetime, zone: tzinfo
) -> Reading[P]:
    """A payload as an instance of its declaration: strictly first, then tolerantly.

    Raises a ProtocolError when it cannot be read, or when `strict` and it deviates.
    """
    try:
        instance = _decoder(declared).decode(payload)
        if b"\\u" in payload or b"\xef\xbf" in payload:
            # Only an escape can hold a control character; U+FFFE and U+FFFF begin with EF BF.
            check_plain(_plain(payload))
        return Reading(instance, ())
    except (ProtocolError, *DECODE_ERRORS) as error:
        if strict or not isinstance(error, msgspec.ValidationError):
            raise explain(error) from error
    try:
        plain = _plain(payload)
    except (ProtocolError, ValueError, RecursionError) as error:
        raise explain(error) from error
    return tolerance.read(declared, plain, received_at=received_at, zone=zone)


def _plain(payload: bytes) -> Any:
    """Dicts, lists, texts and numbers; an integer beyond 64 bits is cut (it is out of range
    for every field), everything that is no JSON raises."""
    try:
        return _PLAIN.decode(payload)
    except msgspec.ValidationError:  # "Integer value out of range", "Number out of range"
        return json.loads(payload, parse_int=_cut, parse_constant=_refuse)


def _cut(digits: str) -> int:
    return int(digits[:20])


def _refuse(name: str) -> NoReturn:
    raise FormationViolation(f"{name} is no number.")


def call(message_id: str, request: Request[Any]) -> str:
    """`[2,"id","Action",{…}]`; ProtocolError when the request breaks its own declaration."""
    parts = (CALL, message_id, type(request).__name__, validated(request))
    return _ENCODER.encode(parts).decode()


def answer(message_id: str | int, outcome: Payload | ProtocolError) -> str:
    """`[3,"id",{…}]` for a validated reply, `[4,"id","Code","description",{}]` for an error.

    The message id of a call that had a number is a number.
    """
    parts: tuple[Any, ...] = (CALLRESULT, message_id, outcome)
    if isinstance(outcome, ProtocolError):
        code, description = errors.code(outcome), errors.description(outcome)
        parts = (CALLERROR, message_id, code, description, {})
    return _ENCODER.encode(parts).decode()
