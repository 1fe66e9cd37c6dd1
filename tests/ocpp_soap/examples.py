"""Example payloads of every declaration, made from the declarations."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec import UNSET
from msgspec import inspect as ins

from csms.ocpp.base import Payload, reply_type
from ocpp_soap.codec import bare
from ocpp_soap.namespaces import Service, request_element, response_element
from ocpp_soap.service import operations

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def example(declaration: type[Any], *, full: bool, turn: int = 0) -> Any:
    """An instance with all fields, or only the required ones; `turn` varies the values."""
    info = ins.type_info(declaration)
    assert isinstance(info, ins.StructType)
    return declaration(
        **{
            field.name: _value(field.type, full, turn + i) if full or field.required else UNSET
            for i, field in enumerate(info.fields)
        }
    )


def _value(declared: ins.Type, full: bool, turn: int) -> Any:
    declared = bare(declared)
    if isinstance(declared, ins.StructType):
        return example(declared.cls, full=full, turn=turn)
    if isinstance(declared, ins.VarTupleType):
        least = declared.min_length or 0
        count = max(least, 1 + turn % 3) if full else least
        return tuple(_value(declared.item_type, full, turn + i) for i in range(count))
    if isinstance(declared, ins.EnumType):
        members = list(declared.cls)
        return members[turn % len(members)]
    if isinstance(declared, ins.IntType):
        return (0, 1, -(2**31), 2**31 - 1)[turn % 4]
    if isinstance(declared, ins.BoolType):
        return turn % 2 == 0
    if isinstance(declared, ins.DecimalType):
        return (Decimal("16"), Decimal("0.1"), Decimal("-3.5"))[turn % 3]
    if isinstance(declared, ins.DateTimeType):
        return MOMENT
    assert isinstance(declared, ins.StrType)
    text = ("Zähler <&>", "-", " inner  blanks ", "x")[turn % 4]
    return text * 500 if declared.max_length is None else (text * 50)[: declared.max_length]


def messages() -> list[tuple[Service, str, type[Payload]]]:
    """Every message over SOAP: its service, its body element and its declaration."""
    found: list[tuple[Service, str, type[Payload]]] = []
    for service in Service:
        for request in operations(service):
            name = request.__name__
            found.append((service, request_element(name), request))
            found.append((service, response_element(name), reply_type(request)))
    return found
