"""Every declaration against the official WSDL of its message, mechanically."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from msgspec import inspect as ins

from csms.ocpp.base import Role, reply_type
from csms.ocpp.registry import ACTIONS

XS = "{http://www.w3.org/2001/XMLSchema}"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SERVICES = {
    Role.CHARGE_POINT: "OCPP_CentralSystemService_1.6.wsdl",
    Role.CENTRAL_SYSTEM: "OCPP_ChargePointService_1.6.wsdl",
}

# Where the declarations differ from the WSDL on purpose: (path, difference).
EXPECTED = {
    # The JSON schema requires it.
    ("MeterValuesRequest.meterValue", "minOccurs is 1, not 0"),
}

MESSAGES = [
    (role, name, suffix)
    for name, request in ACTIONS.items()
    if request.soap
    for role in Role
    if role in request.senders
    for suffix in ("Request", "Response")
]


@pytest.fixture(scope="module")
def services(contracts: Path) -> dict[Role, Any]:
    folder = contracts / "ocpp16-wsdl"
    return {role: etree.parse(folder / name).getroot() for role, name in SERVICES.items()}


@pytest.mark.parametrize(("role", "action", "suffix"), MESSAGES)
def test_declaration_agrees_with_the_wsdl(
    role: Role, action: str, suffix: str, services: dict[Role, Any]
) -> None:
    request = ACTIONS[action]
    declaration = request if suffix == "Request" else reply_type(request)
    named = services[role].iter(XS + "complexType", XS + "simpleType")
    types = {each.get("name"): each for each in named}
    found = set(differences(ins.type_info(declaration), action + suffix, types, action + suffix))
    assert not found - EXPECTED


@pytest.mark.parametrize("role", list(Role))
def test_every_operation_is_declared(role: Role, services: dict[Role, Any]) -> None:
    port = services[role].find(WSDL + "portType")
    operations = {operation.get("name") for operation in port.iter(WSDL + "operation")}
    declared = {n for n, request in ACTIONS.items() if request.soap and role in request.senders}
    assert operations == declared


def differences(
    declared: ins.Type, name: str, types: dict[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    """(path, what differs) between a declared type and the WSDL's type of that name."""
    extra: dict[str, Any] = {}
    if isinstance(declared, ins.Metadata):
        extra, declared = declared.extra or {}, declared.type

    def same(what: str, ours: Any, theirs: Any) -> Iterator[tuple[str, str]]:
        if ours != theirs:
            yield path, f"{what} is {ours}, not {theirs}"

    base, facets = simple(name, types)
    match declared:
        case ins.StructType(cls=cls, fields=fields):
            yield from same("name", cls.__name__, name.removesuffix("Request"))
            elements = list(types[name].iter(XS + "element"))
            names = [field.encode_name for field in fields]
            yield from same("order", names, [element.get("name") for element in elements])
            for field, element in zip(fields, elements, strict=True):
                yield from occurrence(field, element, f"{path}.{field.encode_name}")
                item = field.type
                item = item.item_type if isinstance(item, ins.VarTupleType) else item
                below = f"{path}.{field.encode_name}"
                yield from differences(item, local(element.get("type")), types, below)
        case ins.EnumType(cls=cls):
            yield from same("name", cls.__name__, name)
            ours = {member.value for member in cls}
            yield from same("values", ours, set(facets.get("enumeration", ())))
        case ins.StrType(max_length=longest):
            yield from same("base", extra.get("xsd", "string"), base)
            theirs = facets.get("maxLength")
            yield from same("maxLength", longest, theirs and int(theirs[0]))
            yield from same("enumeration", None, facets.get("enumeration"))
        case ins.IntType(ge=least, le=most):
            yield from same("base", "int", base)
            yield from same("bounds", (least, most), (-(2**31), 2**31 - 1))
        case ins.DecimalType():
            yield from same("base", extra.get("xsd"), base)
            yield from same("fractionDigits", ["1"], facets.get("fractionDigits"))
        case ins.DateTimeType():
            yield from same("base", "dateTime", base)
        case ins.BoolType():
            yield from same("base", "boolean", base)
        case _:
            yield path, f"is a {declared!r}"


def occurrence(field: ins.Field, element: Any, path: str) -> Iterator[tuple[str, str]]:
    least, most = element.get("minOccurs"), element.get("maxOccurs")
    many = field.type if isinstance(field.type, ins.VarTupleType) else None
    if most != ("unbounded" if many else "1"):
        yield path, f"maxOccurs is {most}"
    if least != ("1" if field.required else "0"):
        yield path, f"minOccurs is {int(field.required)}, not {least}"
    if many and (many.min_length or 0) != int(least):
        yield path, f"min_length is {many.min_length}, not {least}"


def simple(name: str, types: dict[str, Any]) -> tuple[str, dict[str, list[str]]]:
    """The built-in base of a type and its facets; for a complex type nothing."""
    facets: dict[str, list[str]] = {}
    while name in types:
        restriction = types[name].find(XS + "restriction")
        if restriction is None:
            return "", {}
        for facet in restriction:
            facets.setdefault(etree.QName(facet).localname, []).append(facet.get("value"))
        name = local(restriction.get("base"))
    return name, facets


def local(qualified: str) -> str:
    return qualified.rpartition(":")[2]
