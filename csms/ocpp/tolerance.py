"""The second, tolerant reading of what a charge point sent.

Decoding tries the strict declaration first. Only when that fails, `read` walks the plain values
along the declaration and repairs what real chargers are known to get wrong, each repair by a
named tolerance: those of single values stand in `csms.ocpp.repairs`, those of fields, lists and
messages here. Each use is a Note. Where no meaning can be had safely, and always for what no
charger sends by mistake (NaN, `true` for a number, control characters, deep nesting, numbers
beyond 32 bits outside transaction messages), the charge point gets an error.

What is read is an instance of the same declaration, but may hold what the strict one refuses:
texts longer than their limit, and a `MeterValues.meter_value` with nothing left in it.
"""

import inspect
import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec
from msgspec import UNSET
from msgspec import inspect as ins

from csms.ocpp import repairs
from csms.ocpp.base import Payload
from csms.ocpp.core import (
    BootNotification,
    DataTransfer,
    DataTransferResponse,
    MeterValues,
    StartTransaction,
    StatusNotification,
    StopTransaction,
)
from csms.ocpp.errors import (
    FormationViolation,
    OccurrenceConstraintViolation,
    TypeConstraintViolation,
)
from csms.ocpp.hostile import below, check_plain
from csms.ocpp.repairs import Unreadable
from csms.ocpp.types import (
    ChargePointErrorCode,
    ChargingSchedulePeriod,
    Measurand,
    SampledValue,
)

P = TypeVar("P", bound=Payload)

TRANSACTION_MESSAGES = frozenset({StartTransaction, StopTransaction, MeterValues})

LONGEST_NOTE = 255
MOST_NOTES = 64
MOST_SET_ASIDE = 5_000  # entries of lists that are tried and left out, of one message

_INDEX = re.compile(r"\[\d+\]")


class Note(NamedTuple):
    """A tolerance that was used: its name, where, and what had been sent (≤ 255 characters)."""

    name: str
    path: str
    was: str


class Reading(NamedTuple, Generic[P]):
    """What was understood, and which tolerances that took: one note for each name and field."""

    request: P
    notes: tuple[Note, ...]


def read(
    declaration: type[P],
    plain: Any,
    *,
    received_at: datetime,
    zone: tzinfo,
    textual: bool = False,
) -> Reading[P]:
    """Read `plain` (dicts, lists, texts, numbers) as an instance of `declaration`.

    `received_at` stands in for impossible times, `zone` is that of times without one. `textual`:
    the values come from XML, where all leaves are texts, repeated elements are lists only when
    they are several, and neither is a deviation. Raises a ProtocolError where the meaning
    cannot be had.
    """
    check_plain(plain)
    reader = _Reader(declaration, received_at, zone, textual)
    try:
        request = reader.struct(_declared(declaration), {} if plain is None else plain, "")
    except Unreadable as unreadable:
        raise unreadable.error from None
    return Reading(request, tuple(reader.notes.values()))


@cache
def _declared(declaration: type[Payload]) -> ins.StructType:
    return cast(ins.StructType, ins.type_info(declaration))


class _Reader:
    """One tolerant reading: walks values along the declared types and keeps the notes."""

    def __init__(
        self, declaration: type[Payload], received_at: datetime, zone: tzinfo, textual: bool
    ) -> None:
        self.set_aside = declaration in TRANSACTION_MESSAGES
        self.received_at = received_at
        self.zone = zone
        self.textual = textual
        self.left_out = 0
        self.noted: set[tuple[str, int]] = set()
        self.notes: dict[tuple[str, str], Note] = {}

    def note(self, name: str, *, path: str, was: Any) -> None:
        """Remember the first use of a tolerance for each field, whatever its index in lists."""
        if len(self.notes) == MOST_NOTES:
            return
        key = (name, _INDEX.sub("[]", path))
        if key not in self.notes:
            shown = was if isinstance(was, str) else repairs.as_json(was)
            self.notes[key] = Note(name, path[:LONGEST_NOTE], shown[:LONGEST_NOTE])

    def struct(self, declared: ins.StructType, plain: Any, path: str) -> Any:
        """An object: as it is where it is valid, else field by field."""
        if plain == "" and self.textual:
            plain = {}  # an empty element
        if not isinstance(plain, dict):
            error = TypeConstraintViolation if path else FormationViolation
            raise Unreadable(error(f"{path or 'The payload'} must be an object.", path=path))
        try:
            return msgspec.convert(plain, declared.cls)
        except msgspec.ValidationError:
            plain = _PREPARE.get(declared.cls, _as_is)(self, plain)
        values = self.fields(declared, plain, path)
        if declared.cls is SampledValue and not values["value"].strip():
            raise repairs.empty_field(below(path, "value"))
        return declared.cls(**values)

    def fields(self, declared: ins.StructType, plain: dict[str, Any], path: str) -> dict[str, Any]:
        """The values of the fields by their Python names; `additional_field`s are dropped."""
        self.additional_field(declared, plain, path)
        values: dict[str, Any] = {}
        for field in declared.fields:
            raw = plain.get(field.encode_name, UNSET)
            if raw is UNSET and not field.required:
                values[field.name] = UNSET
                continue
            place = below(path, field.encode_name)
            if raw is None:
                self.null_field(place)
                raw = UNSET
            if raw is UNSET:
                values[field.name] = self.missing_field(declared.cls, field, place)
                continue
            try:
                values[field.name] = self.value(declared.cls, field, raw, place)
            except Unreadable as unreadable:
                value = self.unreadable_field(declared.cls, field, unreadable, values)
                self.note(unreadable.tolerance, path=place, was=raw)
                values[field.name] = value
        return values

    def additional_field(self, declared: ins.StructType, plain: dict[str, Any], path: str) -> None:
        """A field that the message does not have is dropped.

        Mennekes: connectorId in Authorize (evcc-io/evcc#14579).
        """
        known = declared.cls.__struct_encode_fields__
        for name in plain:
            if name not in known and len(self.notes) < MOST_NOTES:
                self.note("additional_field", path=below(path, name), was=plain[name])

    def null_field(self, path: str) -> None:
        """A null counts as absent.

        `xsi:nil` in StopTransaction's transactionId (IZIVIA/ocpp-toolkit); in JSON no report.
        """
        self.note("null_field", path=path, was="null")

    def missing_field(self, owner: type, field: ins.Field, path: str) -> Any:
        """A required field that can safely be assumed (see `_assumed`) is.

        eNovates: no chargePointModel (IZIVIA/ocpp-toolkit); EVerest: neither vendor nor model
        (steve-community/steve#1099); StopTransaction without transactionId
        (sap-labs-france/ev-server#224).
        """
        if not field.required:
            return UNSET
        assumed = self._assumed(owner, field)
        if assumed is UNSET:
            raise Unreadable(OccurrenceConstraintViolation(f"{path} is required.", path=path))
        if not (self.textual and owner is MeterValues):  # the WSDL lets meterValue be absent
            self.note("missing_field", path=path, was="")
        return assumed

    def unreadable_field(
        self, owner: type, field: ins.Field, unreadable: Unreadable, values: dict[str, Any]
    ) -> Any:
        """A field that cannot be read counts as absent, unless the meaning of others hangs on it.

        Heidelberg: scheduleStart "0" beside status Rejected (evcc-io/evcc#17836); Alfen:
        transactionId 9223372036854775807 (steve-community/steve#740); Grizzl-E and Charge Amps:
        unit Hz (lbbrhzn/ocpp#1576).
        """
        if field.required:
            assumed = self._assumed(owner, field)
            if assumed is UNSET:
                raise unreadable
            return assumed
        empty = unreadable.tolerance == "empty_field"
        if owner is SampledValue and not _may_be_dropped(field.name, empty, values):
            raise unreadable
        return UNSET

    def _assumed(self, owner: type, field: ins.Field) -> Any:
        """What a required field is taken to be, else UNSET: the time of receipt for a
        timestamp, -1 ('unknown', N20) for the transaction of a StopTransaction."""
        if field.name == "timestamp":
            return self.received_at
        return _ASSUMED.get((owner, field.name), UNSET)

    def value(self, owner: type, field: ins.Field, raw: Any, path: str) -> Any:
        """The value of a field."""
        vendor_data = field.name == "data" and owner in (DataTransfer, DataTransferResponse)
        if vendor_data and isinstance(raw, dict | list):
            return repairs.json_for_text(raw, note=self.noter(path, raw, field.type))
        declared = field.type
        if isinstance(declared, ins.VarTupleType):
            return self.items(declared, raw, path)
        rounded = field.name in ("meter_start", "meter_stop")
        return self.single(declared, raw, path, required=field.required, rounded=rounded)

    def items(self, declared: ins.VarTupleType, raw: Any, path: str) -> tuple[Any, ...]:
        """A list; entries that cannot be read are set aside, except the periods of a schedule."""
        if not isinstance(raw, list | tuple):
            raw = self.one_for_list(raw, path)
        read = []
        for index, item in enumerate(raw):
            if self.left_out >= MOST_SET_ASIDE:
                break
            place = f"{path}[{index}]"
            try:
                read.append(self.single(declared.item_type, item, place, required=False))
            except Unreadable:
                if _item_class(declared) is ChargingSchedulePeriod:
                    raise
                self.entry_set_aside(item, place)
        if len(read) < (declared.min_length or 0):
            self.empty_list(path)
        return tuple(read)

    def one_for_list(self, raw: Any, path: str) -> list[Any]:
        """An object where a list is due is its only entry (over XML they look alike).

        Huawei: meterValue (lbbrhzn/ocpp#1144).
        """
        if not self.textual:
            self.note("one_for_list", path=path, was=raw)
        return [raw]

    def entry_set_aside(self, item: Any, path: str) -> None:
        """A sample, or another entry of a list, that cannot be read is left out, only that one.
        After MOST_SET_ASIDE of them the rest is left out unread: it would cost seconds.

        Heidelberg: every value empty (evcc-io/evcc#17836); one bad unit makes servers lose the
        whole message (lbbrhzn/ocpp#1627).
        """
        self.left_out += 1
        self.note("entry_set_aside", path=path, was=item)

    def empty_list(self, path: str) -> None:
        """An empty list where OCPP wants an entry: what holds the list is set aside, or the
        list counts as absent.

        Sonnen (evcc-io/evcc#25708), Siemens, Vestel (lbbrhzn/ocpp#466): sampledValue; ZJ Beny:
        chargingSchedulePeriod (evcc-io/evcc#15028); Schneider: transactionData.
        """
        error = OccurrenceConstraintViolation(f"{path} must hold at least 1.", path=path)
        raise Unreadable(error, "empty_list")

    def single(
        self, declared: ins.Type, raw: Any, path: str, *, required: bool, rounded: bool = False
    ) -> Any:
        """A value that is no list."""
        if isinstance(declared, ins.StructType):
            return self.struct(declared, raw, path)
        note = self.noter(path, raw, declared)
        match declared:
            case ins.Metadata():
                return self.single(declared.type, raw, path, required=required)
            case ins.EnumType():
                return repairs.enumerated(raw, declared.cls, path=path, note=note)
            case ins.StrType():
                limit = declared.max_length
                return repairs.text(raw, limit, required=required, path=path, note=note)
            case ins.IntType():
                return repairs.whole_number(
                    raw,
                    rounded=rounded,
                    textual=self.textual,
                    set_aside=self.set_aside,
                    path=path,
                    note=note,
                )
            case ins.DateTimeType():
                return repairs.moment(raw, self.zone, path=path, note=note)
            case ins.BoolType():
                return repairs.boolean(raw, textual=self.textual, path=path, note=note)
            case ins.DecimalType():
                return repairs.decimal(raw, textual=self.textual, path=path, note=note)
        raise TypeError(f"No tolerant reading of {declared!r}.")

    def noter(self, path: str, was: Any, declared: ins.Type) -> repairs.Noter:
        """`note`, for one value of a field; in long lists the same is not noted again."""

        def note(name: str) -> None:
            if (key := (name, id(declared))) not in self.noted:
                self.noted.add(key)
                self.note(name, path=path, was=was)

        return note

    def ocpp15_values(self, plain: dict[str, Any]) -> dict[str, Any]:
        """MeterValues with the body of OCPP 1.5: `values` of a `value` each.

        steve-community/steve#28: `{"values": [{"timestamp": …, "value": ["100"]}]}`.
        """
        values = plain.get("values")
        if "meterValue" in plain or not isinstance(values, list):
            return plain
        self.note("ocpp15_values", path="values", was=values)
        rest = {name: value for name, value in plain.items() if name != "values"}
        return {**rest, "meterValue": [_from_ocpp15(entry) for entry in values]}


def _from_ocpp15(entry: Any) -> Any:
    if not isinstance(entry, dict) or "value" not in entry:
        return entry
    samples = entry["value"] if isinstance(entry["value"], list) else [entry["value"]]
    sampled = [s if isinstance(s, dict) else {"value": s} for s in samples]
    rest = {name: value for name, value in entry.items() if name != "value"}
    return {**rest, "sampledValue": sampled}


def _as_is(_: _Reader, plain: dict[str, Any]) -> dict[str, Any]:
    return plain


_PREPARE: dict[type, Callable[[_Reader, dict[str, Any]], dict[str, Any]]] = {
    MeterValues: _Reader.ocpp15_values,
}

_ASSUMED: dict[tuple[type, str], Any] = {
    (BootNotification, "charge_point_vendor"): "",
    (BootNotification, "charge_point_model"): "",
    (StatusNotification, "error_code"): ChargePointErrorCode.NO_ERROR,
    (StopTransaction, "transaction_id"): -1,
    (MeterValues, "meter_value"): (),
}


_WITHOUT_UNIT = frozenset(
    {Measurand.FREQUENCY, Measurand.POWER_FACTOR, Measurand.RPM, Measurand.SOC}
)


def _may_be_dropped(name: str, empty: bool, sample: dict[str, Any]) -> bool:
    """Whether a sample still means the same without a field that was sent but is unknown: an
    absent measurand is the energy register, an absent phase the total, an absent unit Wh."""
    if name == "unit":
        return empty or sample["measurand"] in _WITHOUT_UNIT
    if name == "phase":
        return empty
    return name != "measurand"


def _item_class(declared: ins.VarTupleType) -> type | None:
    return declared.item_type.cls if isinstance(declared.item_type, ins.StructType) else None


TOLERANCES: dict[str, str] = {
    tolerance.__name__: inspect.getdoc(tolerance) or ""
    for tolerance in (
        *repairs.TOLERANCES,
        _Reader.additional_field,
        _Reader.null_field,
        _Reader.missing_field,
        _Reader.unreadable_field,
        _Reader.one_for_list,
        _Reader.entry_set_aside,
        _Reader.empty_list,
        _Reader.ocpp15_values,
    )
}
"""Every name that a Note can have, and what it stands for."""
