"""Every message over JSON: what is written is valid by the official schema and reads as it was."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.ocpp.base import Payload, encode_json, validated
from csms.ocpp.registry import ACTIONS
from ocpp_json import frames
from tests.strategies import CHARACTERS, MESSAGES, payloads

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
IDS = st.text(CHARACTERS, max_size=36)


def read(declaration: type[Payload], payload: bytes) -> Any:
    """Read strictly; no tolerance may be needed."""
    reading = frames.read(declaration, payload, strict=True, received_at=NOW, zone=UTC)
    assert reading.notes == ()
    return reading.request


@cache
def judge(contracts: Path, message: str) -> Any:
    """The official schema of a message. Numbers are decimals: as floats 0.3 is no multiple of
    0.1."""
    for folder in ("ocpp16-json", "ocpp16-security-json"):
        path = contracts / folder / f"{message}.json"
        if path.is_file():
            schema = json.loads(path.read_text("utf-8-sig"), parse_float=Decimal)
            return jsonschema.validators.validator_for(schema)(schema)
    raise FileNotFoundError(message)


@pytest.mark.contract
@pytest.mark.parametrize("message", MESSAGES)
def test_what_is_written_is_valid_and_reads_as_it_was(message: str, contracts: Path) -> None:
    declaration = MESSAGES[message]

    @settings(max_examples=25, deadline=None)
    @given(payloads(declaration))
    def round_trip(payload: Payload) -> None:
        sent = validated(payload)
        wire = encode_json(sent)
        judge(contracts, message).validate(json.loads(wire, parse_float=Decimal))
        assert read(declaration, wire) == sent

    round_trip()


@pytest.mark.parametrize("action", ACTIONS)
def test_whole_frames_read_as_they_were(action: str) -> None:
    request_type, answer_type = ACTIONS[action], MESSAGES[f"{action}Response"]

    @settings(max_examples=10, deadline=None)
    @given(IDS, payloads(request_type), payloads(answer_type))
    def round_trip(message_id: str, request: Any, reply: Payload) -> None:
        asked = frames.parse(frames.call(message_id, request))
        assert isinstance(asked, frames.Call)
        assert (asked.message_id, asked.action, asked.echo) == (message_id, action, message_id)
        assert read(request_type, asked.payload) == validated(request)
        answered = frames.parse(frames.answer(message_id, validated(reply)))
        assert isinstance(answered, frames.CallResult)
        assert answered.message_id == message_id
        assert read(answer_type, answered.payload) == validated(reply)

    round_trip()
