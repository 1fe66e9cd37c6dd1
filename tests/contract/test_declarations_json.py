"""Every declaration against the official JSON schema of its message, mechanically."""

import enum
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect as ins

from csms.ocpp.base import Profile, reply_type
from csms.ocpp.registry import ACTIONS

INT32 = (-(2**31), 2**31 - 1)

# Where the declarations differ from the JSON schemas on purpose: (end of the path, difference).
EXPECTED = {
    # The schemas hold both spellings, the WSDL one: both are read, as one value.
    (".unit", "only the schema has Celcius"),
    # The WSDL wants an entry (maxOccurs unbounded, minOccurs 1), the schemas do not.
    (".sampledValue", "minItems is 1, not None"),
    (".chargingSchedulePeriod", "minItems is 1, not None"),
}

MESSAGES = [(name, "") for name in ACTIONS] + [(name, "Response") for name in ACTIONS]


@pytest.mark.parametrize(("action", "suffix"), MESSAGES)
def test_declaration_agrees_with_the_json_schema(action: str, suffix: str, contracts: Path) -> None:
    request = ACTIONS[action]
    declaration = reply_type(request) if suffix else request
    security = request.profile is Profile.SECURITY
    folder = contracts / ("ocpp16-security-json" if security else "ocpp16-json")
    schema = json.loads((folder / f"{action}{suffix}.json").read_text("utf-8-sig"))

    assert declaration.__name__ == action + suffix
    found = set(differences(ins.type_info(declaration), schema, schema, ordered=security))
    unexpected = {
        (path, what)
        for path, what in found
        if not any(path.endswith(end) and what == known for end, known in EXPECTED)
    }
    assert not unexpected


def test_every_schema_is_declared(contracts: Path) -> None:
    for folder, expected in (("ocpp16-json", 28), ("ocpp16-security-json", 11)):
        names = {path.stem for path in (contracts / folder).glob("*.json")}
        requests = {name for name in names if not name.endswith("Response")}
        security = folder == "ocpp16-security-json"
        declared = {n for n, r in ACTIONS.items() if (r.profile is Profile.SECURITY) == security}
        assert requests == declared
        assert len(requests) == expected


def test_both_spellings_of_celsius_are_read() -> None:
    from csms.ocpp.types import SampledValue, UnitOfMeasure

    for spelt in ("Celsius", "Celcius"):
        sample = msgspec.convert({"value": "20", "unit": spelt}, SampledValue)
        assert sample.unit is UnitOfMeasure.CELSIUS


def differences(
    declared: ins.Type,
    schema: dict[str, Any],
    root: dict[str, Any],
    path: str = "",
    *,
    ordered: bool,
) -> Iterator[tuple[str, str]]:
    """(path, what differs) for all that a JSON schema says of a value."""
    if "$ref" in schema:
        schema = root["definitions"][schema["$ref"].removeprefix("#/definitions/")]
    extra: dict[str, Any] = {}
    if isinstance(declared, ins.Metadata):
        extra, declared = declared.extra_json_schema or {}, declared.type

    def same(what: str, ours: Any, theirs: Any) -> Iterator[tuple[str, str]]:
        if ours != theirs:
            yield path, f"{what} is {ours}, not {theirs}"

    match declared:
        case ins.StructType(fields=fields):
            names = [field.encode_name for field in fields]
            required = {field.encode_name for field in fields if field.required}
            properties = schema.get("properties", {})
            yield from same("type", "object", schema["type"])
            yield from same("additionalProperties", False, schema.get("additionalProperties"))
            yield from same("names", sorted(names), sorted(properties))
            yield from same("required", required, set(schema.get("required", ())))
            if ordered:
                yield from same("order", names, list(properties))
            for field in fields:
                below = f"{path}.{field.encode_name}"
                theirs = properties[field.encode_name]
                yield from differences(field.type, theirs, root, below, ordered=ordered)
        case ins.VarTupleType(item_type=item, min_length=least):
            yield from same("type", "array", schema["type"])
            yield from same("minItems", least, schema.get("minItems"))
            yield from same("maxItems", declared.max_length, schema.get("maxItems"))
            yield from differences(item, schema["items"], root, path + "[]", ordered=ordered)
        case ins.EnumType(cls=cls):
            ours, theirs_ = values(cls), set(schema["enum"])
            yield from same("type", "string", schema["type"])
            for value in sorted(ours - theirs_):
                yield path, f"only the declaration has {value}"
            for value in sorted(theirs_ - ours):
                yield path, f"only the schema has {value}"
        case ins.StrType(max_length=longest):
            yield from same("type", "string", schema["type"])
            yield from same("maxLength", longest, schema.get("maxLength"))
            yield from same("format", extra.get("format"), schema.get("format"))
            yield from same("enum", None, schema.get("enum"))
        case ins.IntType(ge=least, le=most):
            yield from same("type", "integer", schema["type"])
            # JSON's integer is unbounded, the WSDL's int has 32 bits: both are held to them.
            yield from same("bounds", (least, most), INT32)
        case ins.DecimalType():
            yield from same("type", "number", schema["type"])
            yield from same("multipleOf", extra.get("multipleOf"), schema.get("multipleOf"))
        case ins.DateTimeType(tz=zoned):
            yield from same("type", "string", schema["type"])
            yield from same("format", "date-time", schema.get("format"))
            yield from same("zone", True, zoned)
        case ins.BoolType():
            yield from same("type", "boolean", schema["type"])
        case _:
            yield path, f"is a {declared!r}"


def values(cls: type[enum.Enum]) -> set[str]:
    return {member.value for member in cls}
