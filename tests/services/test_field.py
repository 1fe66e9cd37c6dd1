"""Whatever chargers send: nothing fails inside, on either database, and no sale is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import inspect as ins

from csms.ocpp import registry
from csms.ocpp.base import Role
from csms.ocpp.errors import InternalFailure
from tests.services.harness import House, answer_of

pytestmark = pytest.mark.django_db

TRANSACTIONS = {"StartTransaction", "StopTransaction", "MeterValues"}
ACTIONS = sorted(
    name for name, request in registry.ACTIONS.items() if Role.CHARGE_POINT in request.senders
)
TEXTS = ("", " ", "x" * 3000, "ß" * 255, "😀" * 255, "null", "'; DROP TABLE csms_transaction; --")
NUMBERS = (0, -1, 2**31 - 1, -(2**31), 2**63, 1.5, "7")
TIMES = (
    "",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "9998-12-31T23:59:59Z",
    "222222017-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "2026-03-04T24:00:00Z",
    "2026-03-04T12:00:00." + "1" * 300 + "Z",
    "x" * 300,
)


def values(declared: ins.Type) -> Iterator[Any]:
    """Extreme values of a declared type."""
    match declared:
        case ins.Metadata():
            yield from values(declared.type)
        case ins.UnionType():
            for one in declared.types:
                yield from values(one)
        case ins.StructType():
            yield from payloads(declared)
        case ins.VarTupleType():
            yield []
            for item in values(declared.item_type):
                yield [item]
        case ins.DateTimeType():
            yield from TIMES
        case ins.EnumType():
            yield from (*(member.value for member in declared.cls), "weird" * 60, "")
        case ins.IntType():
            yield from NUMBERS
        case ins.StrType():
            yield from TEXTS


def ordinary(declared: ins.StructType) -> dict[str, Any]:
    """An ordinary value for each field."""
    plain: dict[str, Any] = {}
    for field in declared.fields:
        candidates = {"timestamp": "2026-03-04T12:00:00Z", "meterStop": 5000, "idTag": "TAG"}
        first = candidates.get(field.encode_name)
        plain[field.encode_name] = first if first is not None else next(_simple(field.type))
    return plain


def _simple(declared: ins.Type) -> Iterator[Any]:
    match declared:
        case ins.StructType():
            yield ordinary(declared)
        case ins.VarTupleType():
            for item in _simple(declared.item_type):
                yield [item]
        case ins.IntType():
            yield 1
        case ins.StrType():
            yield "1"
        case ins.Metadata():
            yield from _simple(declared.type)
        case ins.UnionType():
            yield from _simple(declared.types[0])
        case _:
            yield from values(declared)


def payloads(declared: ins.StructType) -> Iterator[dict[str, Any]]:
    """Ordinary payloads, each with one field that is extreme, null or absent."""
    usual = ordinary(declared)
    for field in declared.fields:
        name = field.encode_name
        for value in (*values(field.type), None, {}, [], True):
            yield {**usual, name: value}
        yield {key: value for key, value in usual.items() if key != name}


@pytest.mark.parametrize("action", ACTIONS)
def test_extreme_values_of_each_field(house: House, action: str) -> None:
    cp = house.charger()
    declared = ins.type_info(registry.ACTIONS[action])
    assert isinstance(declared, ins.StructType)
    messages = [cp.plain(action, payload) for payload in payloads(declared)]
    for message, outcome in zip(messages, house.batch(*messages), strict=True):
        answer = answer_of(outcome)
        assert not isinstance(answer, InternalFailure), message.raw
        if action in TRANSACTIONS:
            assert not isinstance(answer, Exception), message.raw
    assert house.inbox.workers[0].apart == {}  # no row was refused by the database


def test_frames_of_real_chargers(house: House, field_frames: list[dict[str, Any]]) -> None:
    cp = house.charger()
    messages = []
    for frame in field_frames:
        try:
            call = json.loads(frame["raw"])
        except ValueError:
            continue
        if isinstance(call, list) and len(call) == 4 and call[0] == 2 and call[2] in ACTIONS:
            messages.append(cp.plain(call[2], call[3], message_id=str(call[1])))
    assert len(messages) > 20
    for message, outcome in zip(messages, house.batch(*messages), strict=True):
        answer = answer_of(outcome)
        assert not isinstance(answer, InternalFailure), message.raw
        if message.action in TRANSACTIONS:
            assert not isinstance(answer, Exception), message.raw
