"""The body codec, derived from the declarations: an XML element becomes a Struct and back.

A plan is compiled once for each Struct and namespace. Reading runs it strictly: children known,
in the order of the WSDL, texts in the lexical form of their XSD type; then `msgspec.convert`
validates. Only when that fails, and unless the charge point is strict, the element is read again
by the names of its children, and `csms.ocpp.tolerance` makes of it what it can.
"""

import copy
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec
from lxml import etree
from msgspec import UNSET
from msgspec import inspect as ins

from csms.ocpp import tolerance
from csms.ocpp.base import Payload
from csms.ocpp.errors import (
    FormationViolation,
    OccurrenceConstraintViolation,
    PropertyConstraintViolation,
    ProtocolError,
    TypeConstraintViolation,
)
from csms.ocpp.explain import explain
from csms.ocpp.tolerance import Note, Reading
from ocpp_soap.namespaces import PREFIXES, XSI
from ocpp_soap.writing import escaped

P = TypeVar("P", bound=Payload)

_NIL = f"{{{XSI}}}nil"
_INT = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_XML_SPACE = " \t\r\n"


class Field(NamedTuple):
    """How one field travels."""

    order: int
    """Its place in the sequence of the WSDL."""
    attribute: str
    """Its name in Python."""
    name: str
    """Its name on the wire."""
    many: bool
    """A list: the element is repeated."""
    always: bool
    """A list that is required but may be empty: no element means an empty list."""
    nested: "Plan | None"
    """The plan of its element, or None for a text."""
    read: Callable[[str], Any]
    """XML text to plain value; raises ProtocolError when the text is not in its lexical space."""
    write: Callable[[Any], str]


class Plan(NamedTuple):
    """How a Struct travels as an element of one namespace."""

    declaration: type[Payload]
    by_tag: dict[str, Field]
    by_name: dict[str, Field]
    fields: tuple[Field, ...]
    always: tuple[str, ...]
    prefix: str


# --- texts by XSD type ---------------------------------------------------------------------------


def _read_text(text: str) -> str:
    # xs:string keeps blanks, but the WSDL documents its strings as "printable characters".
    if text and (text[0] in "\t\r\n" or text[-1] in "\t\r\n"):
        raise PropertyConstraintViolation("A text has line ends around it.")
    return text


def _read_free_text(text: str) -> str:
    return text


def _read_int(text: str) -> int:
    if (text.isdecimal() and text.isascii() and len(text) < 20) or _INT.fullmatch(
        text := text.strip(_XML_SPACE)
    ):
        return int(text)
    raise TypeConstraintViolation("A whole number is expected.")


def _read_boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.strip(_XML_SPACE))
    if value is None:
        raise TypeConstraintViolation("true or false is expected.")
    return value


def _read_decimal(text: str) -> str:
    text = text.strip(_XML_SPACE)
    if not _DECIMAL.fullmatch(text):
        raise TypeConstraintViolation("A decimal number is expected.")
    return text


def _read_time(text: str) -> str:
    return text.strip(_XML_SPACE)


def _write_time(moment: datetime) -> str:
    # Without fraction and as Z: some charge points understand nothing else.
    return f"{moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat()}Z"


def _write_decimal(value: Decimal) -> str:
    return format(value, "f")


def _write_boolean(value: bool) -> str:
    return "true" if value else "false"


def _write_enum(value: Enum) -> str:
    return str(value.value)


_TEXTS: dict[type, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    ins.IntType: (_read_int, str),
    ins.BoolType: (_read_boolean, _write_boolean),
    ins.DecimalType: (_read_decimal, _write_decimal),
    ins.DateTimeType: (_read_time, _write_time),
    ins.EnumType: (_read_free_text, _write_enum),
}


# --- plans ---------------------------------------------------------------------------------------


def bare(declared: ins.Type) -> ins.Type:
    """A declared type without the metadata around it."""
    while isinstance(declared, ins.Metadata):
        declared = declared.type
    return declared


@cache
def plan(declaration: type[Payload], namespace: str) -> Plan:
    """The plan of a declaration, compiled at its first use."""
    info = ins.type_info(declaration)
    assert isinstance(info, ins.StructType)
    fields = tuple(_field(i, field, namespace) for i, field in enumerate(info.fields))
    return Plan(
        declaration,
        {f"{{{namespace}}}{field.name}": field for field in fields},
        {field.name: field for field in fields},
        fields,
        tuple(field.name for field in fields if field.always),
        PREFIXES[namespace],
    )


def _field(order: int, field: ins.Field, namespace: str) -> Field:
    declared = bare(field.type)
    many = isinstance(declared, ins.VarTupleType)
    always = many and field.required and not getattr(declared, "min_length", None)
    item = bare(declared.item_type) if isinstance(declared, ins.VarTupleType) else declared
    nested = None
    if isinstance(item, ins.StructType):
        nested = plan(item.cls, namespace)
    if isinstance(item, ins.StrType):
        read = _read_text if item.max_length is not None else _read_free_text
        texts: tuple[Callable[[str], Any], Callable[[Any], str]] = (read, str)
    else:
        texts = _TEXTS.get(type(item), (_read_free_text, str))
    return Field(order, field.name, field.encode_name, many, always, nested, *texts)


# --- reading -------------------------------------------------------------------------------------


def read(
    declaration: type[P],
    element: etree._Element,
    *,
    namespace: str,
    strict: bool,
    received_at: datetime,
    zone: tzinfo,
) -> Reading[P]:
    """Read a body element as an instance of `declaration`. Raises a ProtocolError.

    `namespace` is the one its children should be in; `received_at` and `zone` are those of
    `csms.ocpp.tolerance.read`.
    """
    planned = plan(declaration, namespace)
    try:
        return Reading(msgspec.convert(_exact(planned, element), declaration), ())
    except (msgspec.ValidationError, ProtocolError) as error:
        if strict:
            raise explain(error) from None
    notes: list[Note] = []
    plain = _loose(planned, element, "", notes)
    try:
        reading = Reading(msgspec.convert(plain, declaration), ())
    except msgspec.ValidationError:
        reading = tolerance.read(
            declaration, plain, received_at=received_at, zone=zone, textual=True
        )
    return Reading(reading.request, (*notes, *reading.notes)[: tolerance.MOST_NOTES])


def _exact(planned: Plan, element: etree._Element) -> dict[str, Any]:
    """The plain values of an element that is as the WSDL says; else a ProtocolError."""
    plain: dict[str, Any] = {}
    last = -1
    by_tag = planned.by_tag
    for child in element:
        field = by_tag.get(child.tag)
        if field is None:
            raise FormationViolation(_about(child, "is not a field of this message"))
        order, _, name, many, _, nested, read_value, _ = field
        if order <= last and not (many and order == last):
            if name in plain and not many:
                raise OccurrenceConstraintViolation(_about(child, "is given twice"))
            raise FormationViolation(_about(child, "is not at its place in the sequence"))
        last = order
        if nested is not None:
            value: Any = _exact(nested, child)
        else:
            text = child.text
            if text is None:
                if child.get(_NIL) is not None:
                    raise OccurrenceConstraintViolation(_about(child, "must not be nil"))
                text = ""
            if len(child):
                raise TypeConstraintViolation(_about(child, "must be a text"))
            value = read_value(text)
        if many:
            plain.setdefault(name, []).append(value)
        else:
            plain[name] = value
    for name in planned.always:
        plain.setdefault(name, [])
    return plain


def _about(child: etree._Element, predicate: str) -> str:
    return f"{etree.QName(child).localname[:100]} {predicate}."


def _loose(planned: Plan, element: etree._Element, path: str, notes: list[Note]) -> dict[str, Any]:
    """The plain values of an element, children by their local names, unreadable texts as text."""
    plain: dict[str, Any] = {}
    last = -1
    for child in element:
        name = etree.QName(child).localname
        place = f"{path}.{name}" if path else name
        field = planned.by_name.get(name)
        if field is None:
            plain[name] = _inner_text(child)
            continue
        if child.tag not in planned.by_tag:
            _note(notes, "namespace", place, etree.QName(child).namespace or "")
        if field.order < last:
            # A kSOAP2 client sorts by its own order (frames 108 and 109): IZIVIA/ocpp-toolkit.
            _note(notes, "child_order", place, name)
        last = max(last, field.order)
        value = _loose_value(field, child, place, notes)
        if field.many:
            plain.setdefault(name, []).append(value)
        elif name in plain and plain[name] != value:
            raise OccurrenceConstraintViolation(f"{name} is given twice.", path=place)
        else:
            plain[name] = value
    for name in planned.always:
        plain.setdefault(name, [])
    return plain


def _loose_value(field: Field, child: etree._Element, place: str, notes: list[Note]) -> Any:
    if child.get(_NIL, "").strip() in ("true", "1"):
        return None
    if field.nested is not None:
        # An element without children is as empty as the text "" is.
        return (
            _loose(field.nested, child, place, notes) if len(child) else (child.text or "").strip()
        )
    text = child.text or ""
    if len(child):
        text = _inner_xml(child)
        _note(notes, "element_for_text", place, text)
    if field.read is not _read_free_text and text != text.strip(_XML_SPACE):
        if field.read is _read_text:
            _note(notes, "surrounding_space", place, text)
        text = text.strip(_XML_SPACE)
    try:
        return field.read(text)
    except ProtocolError:
        return text


def _inner_text(element: etree._Element) -> str:
    return "".join(str(text) for text in element.itertext())[: tolerance.LONGEST_NOTE]


def _inner_xml(element: etree._Element) -> str:
    """What stands between the tags, as text (frame 117: a child element in DataTransfer.data)."""
    inner = "".join(
        etree.tostring(_without_namespaces(child), encoding="unicode", with_tail=True)
        for child in element
    )
    return ((element.text or "") + inner).strip(_XML_SPACE)


def _without_namespaces(element: etree._Element) -> etree._Element:
    """A copy that declares only the namespaces it uses."""
    copied = copy.deepcopy(element)
    etree.cleanup_namespaces(copied)
    return copied


def _note(notes: list[Note], name: str, path: str, was: str) -> None:
    if not any(note.name == name and note.path == path for note in notes):
        notes.append(Note(name, path[: tolerance.LONGEST_NOTE], was[: tolerance.LONGEST_NOTE]))


# --- writing -------------------------------------------------------------------------------------


def write(tag: str, payload: Payload, *, namespace: str) -> str:
    """A payload as the text of element `tag`, its children in the order of the WSDL.

    The prefix of `namespace` is declared by the envelope around it. Raises ValueError when a text
    holds what XML cannot carry.
    """
    return _element(tag, plan(type(payload), namespace), payload)


def _element(tag: str, planned: Plan, payload: Payload) -> str:
    prefix, inner = planned.prefix, []
    for field in planned.fields:
        value = getattr(payload, field.attribute)
        if value is UNSET:
            continue
        for item in value if field.many else (value,):
            if field.nested is not None:
                inner.append(_element(field.name, field.nested, item))
            else:
                text = escaped(field.write(item))
                inner.append(f"<{prefix}:{field.name}>{text}</{prefix}:{field.name}>")
    if not inner:
        return f"<{prefix}:{tag}/>"
    return f"<{prefix}:{tag}>{''.join(inner)}</{prefix}:{tag}>"
