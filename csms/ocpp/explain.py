"""What msgspec found wrong, as an error of the protocol."""

import re
from typing import Any

import msgspec
from msgspec import inspect

from csms.ocpp.errors import (
    FormationViolation,
    OccurrenceConstraintViolation,
    PropertyConstraintViolation,
    ProtocolError,
    TypeConstraintViolation,
)
from csms.ocpp.hostile import below

_LONGEST = 255
_WHERE = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_TYPE = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_COUNT = re.compile(r"Expected `array` of (?:at (?:least|most) )?length ([<>]=) (\d+)")
_LENGTH = re.compile(r"Expected `str` of length ([<>]=) (\d+)")
_BOUND = re.compile(r"Expected `(?:int|float|decimal)` ([<>]=?) (-?\d+)")

_SAYS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_NAMES = {
    "array": "a list",
    "bool": "true or false",
    "datetime": "a time",
    "decimal": "a number",
    "float": "a fractional number",
    "int": "a whole number",
    "null": "null",
    "object": "an object",
    "str": "a text",
}


def explain(error: Exception) -> ProtocolError:
    """The protocol's error for what decoding or conversion raised.

    msgspec.ValidationError keeps its place (`$.meterValue[0].timestamp` becomes
    `meterValue[0].timestamp`); all else that decoding raises (DecodeError, RecursionError,
    UnicodeError) means that there is no well-formed object. A ProtocolError is returned as is.
    """
    if isinstance(error, ProtocolError):
        return error
    if isinstance(error, msgspec.ValidationError):
        return _validation(str(error))
    if isinstance(error, UnicodeError):
        return FormationViolation("The message is not valid UTF-8.")
    if isinstance(error, RecursionError):
        return FormationViolation("The message is nested too deeply.")
    return FormationViolation("The message is not well-formed.")


def _validation(said: str) -> ProtocolError:
    place = _WHERE.search(said)
    path = place.group(1).lstrip(".") if place else ""
    what = said[: place.start()] if place else said
    if found := _MISSING.match(what):
        path = below(path, found.group(1))
        return _as(OccurrenceConstraintViolation, path, "is required")
    if found := _UNKNOWN.match(what):
        path = below(path, found.group(1))
        return _as(FormationViolation, path, "is not a field of this message")
    if found := _TYPE.match(what):
        expected = " or ".join(_NAMES.get(name, name) for name in found.group(1).split(" | "))
        got = _NAMES.get(found.group(2), found.group(2))
        kind = FormationViolation if not path else TypeConstraintViolation
        return _as(kind, path, f"must be {expected}, not {got}")
    if found := _COUNT.match(what):
        amount = f"{_SAYS[found.group(1)]} {found.group(2)}"
        return _as(OccurrenceConstraintViolation, path, f"must hold {amount}")
    if found := _LENGTH.match(what):
        amount = f"{_SAYS[found.group(1)]} {found.group(2)}"
        return _as(PropertyConstraintViolation, path, f"must have {amount} characters")
    if found := _BOUND.match(what):
        amount = f"{_SAYS[found.group(1)]} {found.group(2)}"
        return _as(PropertyConstraintViolation, path, f"must be {amount}")
    if "timezone" in what:
        return _as(PropertyConstraintViolation, path, "must be a time with a zone")
    if "RFC3339" in what:
        return _as(PropertyConstraintViolation, path, "must be an ISO 8601 time")
    if what.startswith("Invalid enum value"):
        value = what.removeprefix("Invalid enum value").strip()[:60]
        return _as(PropertyConstraintViolation, path, f"is {value}, which OCPP 1.6 does not know")
    if what == "Integer value out of range":
        return _as(PropertyConstraintViolation, path, "is out of range")
    if what == "Invalid decimal string":
        return _as(TypeConstraintViolation, path, "must be a number")
    return _as(PropertyConstraintViolation, path, f"is not valid: {what}")


def values_at(declaration: Any, path: str) -> list[str]:
    """What a message may hold at a path where it has an enumeration; nothing elsewhere."""
    info = inspect.type_info(declaration)
    for name in re.findall(r"[A-Za-z]+", path):
        fields = info.fields if isinstance(info, inspect.StructType) else ()
        info = next((_one(each.type) for each in fields if each.encode_name == name), info)
    return [member.value for member in info.cls] if isinstance(info, inspect.EnumType) else []


def _one(info: inspect.Type) -> inspect.Type:
    """Of a list, the type of its items."""
    return info.item_type if isinstance(info, inspect.VarTupleType) else info


def _as(kind: type[ProtocolError], path: str, predicate: str) -> ProtocolError:
    subject = path if path and len(path) <= _LONGEST // 2 else "The payload"
    sentence = f"{subject} {predicate}."
    if len(sentence) > _LONGEST:
        sentence = f"{sentence[: _LONGEST - 2]}…."
    return kind(sentence, path=path)
