"""The tolerant reading of the field's frames, and of anything at all."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.ocpp.base import Payload, reply_type
from csms.ocpp.errors import ProtocolError
from csms.ocpp.registry import ACTIONS, from_charge_point
from csms.ocpp.tolerance import Reading, read

RECEIVED = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
T = "2026-01-02T03:04:05Z"


def tolerant(declaration: type[Payload], plain: Any, **how: Any) -> Reading[Any]:
    return read(declaration, plain, **{"received_at": RECEIVED, "zone": UTC, **how})


# What the central system had asked, where the field's frame is an answer.
ASKED = {
    13: "GetCompositeSchedule",
    22: "GetConfiguration",
    23: "GetConfiguration",
    24: "GetConfiguration",
    25: "GetConfiguration",
    27: "GetConfiguration",
    28: "ChangeConfiguration",
    29: "GetConfiguration",
    14: "GetCompositeSchedule",
    65: "TriggerMessage",
    75: "TriggerMessage",
}


def test_the_payloads_of_the_field_are_read(field_frames: list[dict[str, Any]]) -> None:
    read_frames = 0
    for frame in field_frames:
        if not frame["version"].endswith("J"):
            continue
        try:
            message = json.loads(frame["raw"])
        except ValueError:
            continue  # no JSON: the transport's matter
        if message[0] == 2:
            declaration = from_charge_point(message[2])
            assert declaration is not None
            payload = message[3]
        elif message[0] == 3:
            declaration = reply_type(ACTIONS[ASKED[frame["id"]]])
            payload = message[2]
        else:
            continue
        reading = tolerant(declaration, payload)
        assert type(reading.request) is declaration
        read_frames += 1
        if frame["quirk"].startswith(("enum", "empty-array", "too-long", "timestamp")):
            assert reading.notes or frame["id"] in {3}, frame["quirk"]
    assert read_frames > 30


leaves = st.sampled_from(
    [
        *(None, True, 0, -1, 2**31, 2**70, 1.5, -0.0, float("nan"), 1e300, T, "1", "", " ", "NaN"),
        *("1e999999999999", "-1e-99999999", "Celcius", "24:00", "\0", "\ud800", "9" * 5000),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60", "Wh", "Charging", "x" * 300),
    ]
)
anything = st.one_of(leaves, st.text(max_size=9), st.lists(leaves, max_size=2))
fields = st.sampled_from(["timestamp", "sampledValue", "value", "unit", "measurand", "phase"])
samples = st.lists(st.one_of(anything, st.dictionaries(fields, anything, max_size=4)), max_size=2)
meter_values = st.lists(
    st.fixed_dictionaries({"timestamp": anything, "sampledValue": samples}), max_size=2
)
messages = st.sampled_from([r for name, r in ACTIONS.items() if from_charge_point(name)]).flatmap(
    lambda declaration: st.tuples(
        st.just(declaration),
        st.fixed_dictionaries(
            {},
            optional={
                field.encode_name: st.one_of(anything, meter_values)
                for field in msgspec.structs.fields(declaration)
            },
        ),
    )
)


@settings(max_examples=500, deadline=None)
@given(messages, st.booleans())
def test_nothing_but_a_protocol_error_escapes(
    message: tuple[type[Payload], dict[str, Any]], textual: bool
) -> None:
    declaration, plain = message
    zone = timezone(timedelta(hours=14))
    with suppress(ProtocolError):
        reading = tolerant(declaration, plain, textual=textual, zone=zone)
        msgspec.json.encode(reading.request)
        assert all(len(note.was) <= 255 for note in reading.notes)
