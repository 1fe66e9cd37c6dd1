"""One function for each kind of input: bytes in, Broken (or any exception) when a property fails.

json       one message on a WebSocket, up to the answer
reply      the answer of a charge point to a call of ours, over both transports
body       one element of a SOAP body, read by each declaration that it may be
envelope   what stands before the body: bytes, encodings, headers
request    a whole HTTP request to the SOAP endpoint: `POST /path`, headers, a blank line, body
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from lxml import etree

from csms.ocpp.base import Payload, reply_type
from csms.ocpp.errors import ProtocolError
from csms.ocpp.registry import ACTIONS, from_charge_point
from ocpp_json import errors, frames
from ocpp_json.session import Answered, Asked, Ignored, Session
from ocpp_soap import addressing, codec, guard
from ocpp_soap.asgi import PREFIX
from ocpp_soap.namespaces import CP, CS, SOAP
from tests.fuzz import doors
from tests.fuzz.properties import ALARM, Broken, check_storable
from tests.ocpp_soap.examples import messages

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LIMIT = 1024 * 1024
_CODES = {*errors.CODES.values(), "GenericError"} - {"InternalError"}
_READABLE = {tag: (service.value, declared) for service, tag, declared in messages()}


def require(condition: object, what: str) -> None:
    if not condition:
        raise Broken(what)


def json_message(data: bytes) -> None:
    """A message is answered once, with an answer of its protocol, or it is logged once."""
    frames.parse(data)
    try:
        text = data.decode()
    except UnicodeDecodeError:  # websockets closes with 1007
        return
    for strict in (False, True):
        socket, inbox = doors.receive(text, strict=strict, at_once=not strict)
        require(not socket.closed, f"The connection was closed: {socket.closed}")
        event = Session(strict=strict).receive(text)
        if isinstance(event, Asked):
            require(len(socket.sent) == 1, "There is not one answer.")
            _check_answer(socket.sent[0], event.request)
            require(not inbox.entries, "It was answered and logged apart.")
        else:
            stray = isinstance(event, Answered) and event.late
            require(stray or isinstance(event, Ignored), f"Nobody asked for {event!r}.")
            require(not socket.sent, "What is ignored was answered.")
            require(len(inbox.entries) == 1, "What is ignored is not logged once.")
    ALARM.check()


def _check_answer(text: str, request: frames.Call | frames.Unreadable) -> None:
    answer = json.loads(text)
    require(answer[1] == request.echo, "The answer has another message id.")
    if answer[0] == 3:
        declared = ACTIONS[request.action]
        frames.read(
            reply_type(declared),
            json.dumps(answer[2]).encode(),
            strict=True,
            received_at=NOW,
            zone=UTC,
        )
        require(from_charge_point(request.action), "An action of ours was answered.")
        return
    require(answer[0] == 4 and len(answer) == 5, "It is neither result nor error.")
    require(answer[2] in _CODES, f"{answer[2]} is no code for what a charger sent.")
    require(len(answer[3]) <= 255, "The description is too long.")
    require(answer[4] == {}, "The details are not empty.")


def reply(data: bytes) -> None:
    """Whatever answers a call of ours ends it: read, or unreadable with a reason."""
    text = data.decode(errors="replace")
    frame = frames.parse(text)
    if isinstance(frame, frames.CallResult | frames.CallError | frames.Unreadable):
        session = Session()
        if frame.message_id:
            session.expect(frame.message_id)
        event = session.receive(text)
        if isinstance(event, Answered):
            require(session.expected is None, "The call is still outstanding.")
    check_storable(frame)
    if isinstance(frame, frames.CallResult):
        declared = ACTIONS.get(frame.message_id, ACTIONS["GetConfiguration"])
        for strict in (False, True):
            try:
                reading = frames.read(
                    reply_type(declared), frame.payload, strict=strict, received_at=NOW, zone=UTC
                )
            except ProtocolError:
                continue
            check_storable(reading)


def soap_body(data: bytes) -> None:
    """A body is read, or refused with a ProtocolError; what was read can be stored."""
    try:
        element = guard.parse(guard.decode(data, ""))
    except ProtocolError:
        return
    name = etree.QName(element).localname
    _read_body(element, *_READABLE.get(name, _READABLE["startTransactionRequest"]))


def _read_body(element: etree._Element, namespace: str, declared: type[Payload]) -> None:
    for strict in (False, True):
        try:
            reading = codec.read(
                declared, element, namespace=namespace, strict=strict, received_at=NOW, zone=UTC
            )
        except ProtocolError:
            continue
        check_storable(reading)


def envelope(data: bytes) -> None:
    """An envelope is read, whatever is in it; only the guard refuses."""
    try:
        text = guard.decode(guard.unfold(data, "identity", LIMIT), "")
        root = guard.parse(text)
    except ProtocolError:
        check_storable(guard.salvage(data.decode(errors="replace")))
        return
    for service in (CS, CP):
        found = addressing.read_envelope(root, service)
        addressing.check_request(found)
        addressing.check_strictly(found)
        check_storable(
            found.identity, found.action, found.message_id, found.sender, found.to,
            found.relates_to, found.reply_to, found.notes, found.body_name, found.body_action,
        )  # fmt: skip


def soap_request(data: bytes) -> None:
    """A request is answered with an envelope, with a Fault where it is not 200, and seen inside
    exactly once: by the inbox or by the log."""
    path, headers, body = _parted(data)
    status, answer, inbox = doors.post(path, headers, body)
    ALARM.check()
    require(status in (200, 400, 401, 403, 404, 408, 413, 415, 500), f"{status} was answered.")
    require(len(inbox.taken) + len(inbox.entries) == 1, "It was not seen once.")
    root = etree.fromstring(answer)
    require(root.tag == f"{{{SOAP}}}Envelope", "The answer is no envelope.")
    (element,) = root[-1]
    fault = element.tag == f"{{{SOAP}}}Fault"
    require(fault == (status != 200), "Status and body do not agree.")
    if fault:
        require(b"InternalError" not in answer, "An exception became an InternalError.")
    else:
        _read_body(element, *_READABLE[etree.QName(element).localname])


def _parted(data: bytes) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body. Without a head it is all body."""
    if not data.startswith(b"POST "):
        return PREFIX, {}, data
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    named = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in named}
    place = first.removeprefix("POST ").removeprefix(PREFIX)
    return PREFIX + place, headers, body


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": json_message,
    "reply": reply,
    "body": soap_body,
    "envelope": envelope,
    "request": soap_request,
}
