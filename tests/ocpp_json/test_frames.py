"""Frames: text in, values out. Nothing that arrives makes `parse` raise."""

import contextlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp import core, errors, security, smart_charging
from csms.ocpp.errors import ProtocolError
from csms.ocpp.tolerance import Reading
from ocpp_json import frames
from ocpp_json.frames import Call, CallError, CallResult, Unknown, Unreadable

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def read(text: str, *, strict: bool = False) -> Reading[Any]:
    call = frames.parse(text)
    if isinstance(call, Unreadable):
        raise call.error
    assert isinstance(call, Call)
    declared = frames.declaration(call.action)
    return frames.read(declared, call.payload, strict=strict, received_at=NOW, zone=UTC)


def the_frame(field_frames: list[dict[str, Any]], number: int) -> str:
    return next(str(frame["raw"]) for frame in field_frames if frame["id"] == number)


def test_a_call() -> None:
    frame = frames.parse('[2,"19","Heartbeat",{}]')
    assert frame == Call("19", "Heartbeat", b"{}", '[2,"19","Heartbeat",{}]')


@pytest.mark.parametrize("data", ['[2,"19","Heartbeat",{}]', b'[2,"19","Heartbeat",{}]'])
def test_text_and_bytes_are_the_same(data: str | bytes) -> None:
    assert isinstance(frames.parse(data), Call)


def test_n37_null_payload_of_a_call_is_empty() -> None:
    assert read('[2,"19","Heartbeat",null]').request == core.Heartbeat()


def test_n37_null_payload_of_a_result_is_empty() -> None:
    frame = frames.parse('[3,"19",null]')
    assert isinstance(frame, CallResult)
    assert frame.payload == b"{}"


def test_n37_null_payload_where_fields_are_required_is_refused() -> None:
    with pytest.raises(errors.OccurrenceConstraintViolation) as refused:
        read('[2,"19","Authorize",null]')
    assert refused.value.path == "idTag"


@pytest.mark.parametrize("number", [0, 1, 5, 6, -1, 100])
def test_n16_unknown_message_type_is_unknown(number: int) -> None:
    assert isinstance(frames.parse(f'[{number},"x",{{}}]'), Unknown)


@pytest.mark.parametrize("kind", ["2.0", "true", '"2"', "null", "[2]", "9" * 5000, "2e0"])
def test_hostile_message_type_is_no_integer(kind: str) -> None:
    frame = frames.parse(f'[{kind},"x","Heartbeat",{{}}]')
    assert isinstance(frame, Unreadable)
    assert frame.message_type == 0


def test_n17_a_number_for_a_message_id_is_taken_and_noted() -> None:
    frame = frames.parse('[2,15,"Heartbeat",{}]')
    assert isinstance(frame, Call)
    assert (frame.message_id, frame.echo) == ("15", 15)
    assert [(note.name, note.was) for note in frame.notes] == [("number_for_message_id", "15")]
    text = frames.answer(frame.echo, core.StopTransactionResponse())
    assert text == "[3,15,{}]"
    assert (
        frames.answer(frame.echo, errors.UnknownAction("No.")) == '[4,15,"NotImplemented","No.",{}]'
    )


@pytest.mark.parametrize(
    "text",
    [
        '[2,1.5,"Heartbeat",{}]',
        '[2,true,"Heartbeat",{}]',
        '[2,null,"Heartbeat",{}]',
        '[2,1000000000000000000,"Heartbeat",{}]',
    ],
)
def test_n17_what_else_is_no_message_id_is_unreadable(text: str) -> None:
    assert isinstance(frames.parse(text), Unreadable)


def test_n17_strictly_a_message_id_is_text() -> None:
    assert isinstance(frames.parse('[2,15,"Heartbeat",{}]', strict=True), Unreadable)


def test_n17_long_message_id_is_taken_and_noted() -> None:
    frame = frames.parse(f'[2,"{"a" * 37}","Heartbeat",{{}}]')
    assert isinstance(frame, Call)
    assert [note.name for note in frame.notes] == ["long_message_id"]
    frame = frames.parse(f'[2,"{"a" * 36}","Heartbeat",{{}}]')
    assert isinstance(frame, Call)
    assert not frame.notes


@pytest.mark.parametrize(
    "tail", ['"InternalError"', '"InternalError",""', '"InternalError","",{}', '"X",null,null']
)
def test_a_call_error_of_three_to_five_elements(tail: str) -> None:
    frame = frames.parse(f'[4,"19",{tail}]')
    assert isinstance(frame, CallError)
    assert frame.message_id == "19"


@pytest.mark.parametrize(
    "text",
    [
        '[2,"19"]',
        '[2,"19","Heartbeat"]',
        '[2,"19","Heartbeat",{},{}]',
        '[2,"19",7,{}]',
        '[2,"19","Heartbeat",{]',
        '[2,"19","Heartbeat",{"a":NaN}]',
        '[2,"19","Heartbeat",{"a":Infinity}]',
        '[2,"19","Heartbeat",{}',
        '[2,"19","Heartbeat",{}] x',
        ' [ 2 , "19" , "Heartbeat" , ' + "[" * 100_000,
        '[2,"19","Heartbeat",{"x":' + "[" * 100_000 + "]" * 100_000 + "}]",
        '\ufeff[2,"19","Heartbeat",{}]',
        '[2,"19","DataTransfer",{"vendorId":"\x00"}]',
        b'[2,"19","DataTransfer",{"vendorId":"\xff',
        '[2,"19","Data\\u0000Transfer',
        '[2,"19","Data\\u0000Transfer",{}]',
    ],
)
def test_an_unreadable_call_keeps_the_id_of_its_beginning(text: str | bytes) -> None:
    frame = frames.parse(text)
    assert isinstance(frame, Unreadable)
    assert isinstance(frame.error, ProtocolError)
    assert "\0" not in frame.raw
    assert (frame.message_type, frame.message_id) == (2, "19")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "7",
        "{}",
        "[]",
        "hello",
        "[" * 100000,
        "[2]",
        "[2,19]",
        '[2,"a\\',
        b"\xff\xfe",
        "\x00",
        '[2,"\\ud800","Heartbeat",{}]',
        '[2,"�","Heartbeat",{}]'[:5],
        '[2,"a\\u0000b","Heartbeat",{}]',
        '[2,{"a":1},"Heartbeat",{}]',
    ],
)
def test_hostile_garbage_has_no_id(text: str | bytes) -> None:
    frame = frames.parse(text)
    assert isinstance(frame, Unreadable)
    assert (frame.message_type, frame.message_id) == (0, "")


def test_hostile_lone_surrogate_in_the_text_itself() -> None:
    frame = frames.parse('[2,"19","Heartbeat",{"a":"\ud800"}]')
    assert isinstance(frame, Call | Unreadable)
    frame.raw.encode()


@pytest.mark.parametrize("escape", ["\\u0000", "\\u001b", "\\ud800", "\\udc00x"])
def test_hostile_escapes_are_refused_before_the_database(escape: str) -> None:
    text = f'[2,"19","DataTransfer",{{"vendorId":"a{escape}"}}]'
    with pytest.raises(errors.FormationViolation):
        read(text)
    with pytest.raises(errors.FormationViolation):
        read(text, strict=True)


def test_escapes_of_letters_are_read() -> None:
    reading = read('[2,"19","DataTransfer",{"vendorId":"\\u00e9\\ud83d\\ude00\\n"}]')
    assert reading.request.vendor_id == "é😀\n"
    assert not reading.notes


@pytest.mark.parametrize("number", ["9" * 5000, "9223372036854775807", "1e999", "-1e999", "true"])
def test_hostile_numbers_outside_transactions_are_refused(number: str) -> None:
    text = f'[2,"19","StatusNotification",{{"connectorId":{number},"errorCode":"NoError",'
    with pytest.raises(ProtocolError):
        read(text + '"status":"Available"}]')


def test_a_transaction_id_of_5000_digits_is_set_aside() -> None:
    meter = '{"timestamp":"2026-01-02T03:04:05Z","sampledValue":[{"value":"1"}]}'
    reading = read(
        f'[2,"19","MeterValues",{{"connectorId":1,"transactionId":{"9" * 5000},'
        f'"meterValue":[{meter}]}}]'
    )
    assert not reading.request.transaction_id
    assert [note.path for note in reading.notes] == ["transactionId"]


def test_a_strict_charger_is_refused_what_a_tolerant_one_may_send() -> None:
    text = '[2,"19","Authorize",{"idTag":"AAAA","connectorId":1}]'
    assert [note.name for note in read(text).notes] == ["additional_field"]
    with pytest.raises(errors.FormationViolation) as refused:
        read(text, strict=True)
    assert refused.value.path == "connectorId"


def test_duplicate_keys_the_last_wins() -> None:
    assert read('[2,"19","Authorize",{"idTag":"A","idTag":"B"}]').request.id_tag == "B"


def test_deep_data_is_refused() -> None:
    data = "[" * 100 + "]" * 100
    with pytest.raises(ProtocolError):
        read(f'[2,"19","DataTransfer",{{"vendorId":"x","data":{data}}}]')


def test_unknown_and_unsupported_actions() -> None:
    with pytest.raises(errors.UnknownAction):
        frames.declaration("Nonsense")
    with pytest.raises(errors.UnsupportedAction):
        frames.declaration("RemoteStartTransaction")
    assert frames.declaration("SecurityEventNotification") is security.SecurityEventNotification


def test_answers_are_compact() -> None:
    reply = core.HeartbeatResponse(current_time=NOW)
    assert frames.answer("19", reply) == '[3,"19",{"currentTime":"2026-01-02T03:04:05Z"}]'
    assert frames.answer("19", core.StopTransactionResponse()) == '[3,"19",{}]'


def test_calls_are_compact_and_checked() -> None:
    assert frames.call("19", core.ClearCache()) == '[2,"19","ClearCache",{}]'
    assert (
        frames.call("19", core.Reset(type=core.ResetType.SOFT))
        == '[2,"19","Reset",{"type":"Soft"}]'
    )
    with pytest.raises(ProtocolError):
        frames.call("19", core.RemoteStartTransaction(id_tag="x" * 21))


def test_decimals_are_numbers() -> None:
    call = frames.parse(
        '[3,"1",{"status":"Accepted","chargingSchedule":{"chargingRateUnit":"A",'
        '"chargingSchedulePeriod":[{"startPeriod":0,"limit":0.3}]}}]'
    )
    assert isinstance(call, CallResult)
    reading = frames.read(
        smart_charging.GetCompositeScheduleResponse,
        call.payload,
        strict=True,
        received_at=NOW,
        zone=UTC,
    )
    assert reading.request.charging_schedule
    assert reading.request.charging_schedule.charging_schedule_period[0].limit == Decimal("0.3")


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_nothing_makes_parse_raise(data: str | bytes) -> None:
    frame = frames.parse(data)
    frame.raw.encode()
    assert "\0" not in frame.raw


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=10,
)


@given(
    st.lists(_json_values, max_size=6),
    st.sampled_from(["StartTransaction", "MeterValues", "BootNotification", "DataTransfer"]),
)
def test_any_json_is_read_or_refused(elements: list[Any], action: str) -> None:
    assert frames.parse(json.dumps(elements)) is not None
    call = frames.parse(json.dumps([2, "19", action, elements[0] if elements else {}]))
    if isinstance(call, Call):
        declared = frames.declaration(action)
        with contextlib.suppress(ProtocolError):
            frames.read(declared, call.payload, strict=False, received_at=NOW, zone=UTC)


# Frames of real chargers


@pytest.mark.parametrize("number", [10, 11])
def test_field_pretty_printed_frames_are_calls(
    field_frames: list[dict[str, Any]], number: int
) -> None:
    reading = read(the_frame(field_frames, number))
    assert reading.notes


def test_field_15_a_call_that_is_no_json_keeps_its_id(field_frames: list[dict[str, Any]]) -> None:
    frame = frames.parse(the_frame(field_frames, 15))
    assert isinstance(frame, Unreadable)
    assert frame[:3] == (2, "<message-id>", "MeterValues")
    assert isinstance(frame.error, errors.FormationViolation)


def test_field_17_a_truncated_result_keeps_its_id(field_frames: list[dict[str, Any]]) -> None:
    frame = frames.parse(the_frame(field_frames, 17))
    assert isinstance(frame, Unreadable)
    assert frame[:3] == (3, "64b4a0fc-7282-4e26-ab30-cc3c2955c70d", "")


def test_field_46_an_error_for_an_id_of_its_own() -> None:
    """Phihong: the charger's boot id with a 5 in front (mobilityhouse/ocpp#230)."""
    frame = frames.parse('[4,"5vt1c3a2e-0000","GenericError","",{}]')
    assert isinstance(frame, CallError)
    assert frame.message_id == "5vt1c3a2e-0000"


def test_field_61_an_error_of_four_elements(field_frames: list[dict[str, Any]]) -> None:
    frame = frames.parse(the_frame(field_frames, 61))
    assert isinstance(frame, CallError)
    assert frame[:3] == ("13236754-38b2-424a-a4e3-0f54eeffaf3a", "FormationViolation", "")


def test_field_every_json_call_is_read_and_every_answer_ends_its_call(
    field_frames: list[dict[str, Any]],
) -> None:
    for field in field_frames:
        if not field["version"].endswith("J"):
            continue
        frame = frames.parse(field["raw"])
        if field["direction"] == "cs->cp-answer":
            assert getattr(frame, "message_id", ""), field["id"]
            assert isinstance(frame, CallResult | CallError) or field["id"] == 17
        elif isinstance(frame, Call):
            declared = frames.declaration(frame.action)
            frames.read(declared, frame.payload, strict=False, received_at=NOW, zone=UTC)
        else:
            assert field["id"] == 15
