"""The named tolerances of single values, for `csms.ocpp.tolerance`.

Each function takes what was sent, says by `note(name)` which tolerance it used, and returns a
value of the declared type, or raises `Unreadable` when there is none. What must never be
tolerated is raised as a ProtocolError. Sources name the reports in which chargers were seen.
"""

import enum
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Any

import msgspec

from csms.ocpp.errors import (
    PropertyConstraintViolation,
    ProtocolError,
    TypeConstraintViolation,
)
from csms.ocpp.types import (
    ChargePointErrorCode,
    ChargePointStatus,
    Location,
    ReadingContext,
    Reason,
    UnitOfMeasure,
    check_moment,
    one_decimal,
)

Noter = Callable[[str], None]

INT32 = range(-(2**31), 2**31)
_WHOLE = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_TIME = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)[Tt ](\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r" ?(Z|z|[+-]\d\d(?::?\d\d)?)?:?",
    re.ASCII,
)


class Unreadable(Exception):
    """No value of the declared type can be had; `error` says why, `tolerance` what helps."""

    def __init__(self, error: ProtocolError, tolerance: str = "unreadable_field") -> None:
        super().__init__(error.description)
        self.error = error
        self.tolerance = tolerance


def text(value: Any, limit: int | None, *, required: bool, path: str, note: Noter) -> str:
    """A text; numbers and booleans become their JSON text."""
    if not isinstance(value, str):
        value = scalar_for_text(value, path=path, note=note)
    if limit is not None and len(value) > limit:
        return over_long_text(value, limit, required=required, path=path, note=note)
    return str(value)


def scalar_for_text(value: Any, *, path: str, note: Noter) -> str:
    """A number or boolean where a text is due.

    OpenEVSE: sampledValue.value 0 (lbbrhzn/ocpp#210); configuration values of EFR
    (evcc-io/evcc#10339) and Scame (mobilityhouse/ocpp#582).
    """
    if isinstance(value, bool):
        note("scalar_for_text")
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        note("scalar_for_text")
        return str(value)
    raise Unreadable(TypeConstraintViolation(f"{path} must be a text.", path=path))


def over_long_text(value: str, limit: int, *, required: bool, path: str, note: Noter) -> str:
    """A text longer than OCPP allows is kept in full, up to 255 characters where the limit is
    lower, else up to 2500 or the limit. Beyond that an optional text is cut, and a required one
    is refused: it may be an identity, and a cut one is another.

    Schneider EVlink: serial numbers of 33 characters (lbbrhzn/ocpp#1622); Etrel INCH: info of 80
    (lbbrhzn/ocpp#987); Sigenergy: idTag of 21 (lbbrhzn/ocpp#1803); ABB Terra AC: configuration
    value above 500 (evcc-io/evcc#6817).
    """
    cap = 255 if limit < 255 else max(2500, limit)
    if len(value) > cap and required:
        raise Unreadable(
            PropertyConstraintViolation(f"{path} must have at most {limit} characters.", path=path)
        )
    note("over_long_text")
    return value[:cap]


def json_for_text(value: Any, *, note: Noter) -> str:
    """DataTransfer's `data` as an object or a list: its JSON text.

    mobilityhouse/ocpp#462, matth-x/MicroOcpp#395.
    """
    note("json_for_text")
    return as_json(value)


def as_json(value: Any) -> str:
    """Compact JSON, numbers of any size."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def whole_number(
    value: Any, *, rounded: bool, textual: bool, set_aside: bool, path: str, note: Noter
) -> int:
    """A whole number of 32 bits. `rounded`: fractions are; `textual`: texts are no deviation;
    `set_aside`: one beyond 32 bits is unreadable instead of refused."""
    if isinstance(value, bool):
        raise TypeConstraintViolation(f"{path} must be a whole number.", path=path)
    if isinstance(value, str):
        plain = textual and _WHOLE.fullmatch(value.strip())
        value = int(value) if plain else text_for_number(value, path=path, note=note)
    if isinstance(value, float | Decimal):
        value = fraction_for_whole_number(value, rounded=rounded, path=path, note=note)
    if not isinstance(value, int):
        raise Unreadable(TypeConstraintViolation(f"{path} must be a whole number.", path=path))
    if value in INT32:
        return value
    raise number_out_of_range(path, set_aside=set_aside)


def number_out_of_range(path: str, *, set_aside: bool) -> Exception:
    """A number beyond 32 bits is refused; in transaction messages it counts as absent.

    Alfen: transactionId 9223372036854775807, repeated for ever and blocking the charger's queue
    when it is refused (steve-community/steve#740).
    """
    error = PropertyConstraintViolation(f"{path} must have at most 32 bits.", path=path)
    return Unreadable(error, "number_out_of_range") if set_aside else error


def empty_field(path: str) -> Unreadable:
    """An empty text where something else is due counts as absent.

    Heidelberg: chargingRateUnit "" (evcc-io/evcc#17836), sampledValue.value "" without units.
    """
    return Unreadable(TypeConstraintViolation(f"{path} is empty.", path=path), "empty_field")


def text_for_number(value: str, *, path: str, note: Noter) -> Decimal:
    """A number within quotation marks; an empty text counts as absent.

    The reverse of `scalar_for_text`; no report names a charger.
    """
    if not value.strip():
        raise empty_field(path)
    number = _decimal(value.strip(), path=path)
    note("text_for_number")
    return number


def fraction_for_whole_number(
    value: float | Decimal, *, rounded: bool, path: str, note: Noter
) -> int:
    """`1.0` for 1; meterStart and meterStop with a fraction of a Wh are rounded.

    shiv3/ocpp-cp-simulator#83: refused by strict servers, so that the session stays open.
    """
    number = value if isinstance(value, Decimal) else _decimal(repr(value), path=path)
    if number.adjusted() > 20:
        return INT32.stop  # as far out of range as any
    whole = int(number.to_integral_value(ROUND_HALF_EVEN))
    if whole != number and not rounded:
        raise Unreadable(TypeConstraintViolation(f"{path} must be a whole number.", path=path))
    if whole != number or not isinstance(value, Decimal):
        note("fraction_for_whole_number")
    return whole


def boolean(value: Any, *, textual: bool, path: str, note: Noter) -> bool:
    """`true`, or what `scalar_for_boolean` takes for it."""
    if isinstance(value, bool):
        return value
    return scalar_for_boolean(value, textual=textual, path=path, note=note)


def scalar_for_boolean(value: Any, *, textual: bool, path: str, note: Noter) -> bool:
    """0, 1 and the texts true and false where a boolean is due (over XML they are booleans).

    EFR: readonly "true" (evcc-io/evcc#10339); readonly 0/1 (evcc-io/evcc#26253, Zephyr).
    """
    meant = {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())
    if meant is None or not isinstance(value, str | int):
        raise Unreadable(TypeConstraintViolation(f"{path} must be true or false.", path=path))
    if not textual:
        note("scalar_for_boolean")
    return meant


def decimal(value: Any, *, textual: bool, path: str, note: Noter) -> Decimal:
    """A number with one decimal, never by way of a float's binary value."""
    if isinstance(value, bool):
        raise TypeConstraintViolation(f"{path} must be a number.", path=path)
    if isinstance(value, str) and not textual:
        value = text_for_number(value, path=path, note=note)
    number = value if isinstance(value, Decimal) else _decimal(str(value).strip(), path=path)
    try:
        return one_decimal(number)
    except ValueError:
        return further_decimals(number, path=path, note=note)


def further_decimals(number: Decimal, *, path: str, note: Noter) -> Decimal:
    """A limit with more than one decimal, in a schedule that a charger reports, is rounded.

    No report names a charger.
    """
    if number.adjusted() >= 12:
        raise Unreadable(
            PropertyConstraintViolation(f"{path} must have one decimal at most.", path=path)
        )
    note("further_decimals")
    return number.quantize(Decimal("0.1"), ROUND_HALF_UP)


def _decimal(value: str, *, path: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        error = TypeConstraintViolation(f"{path} must be a number.", path=path)
        raise Unreadable(error) from None
    if not number.is_finite():
        raise PropertyConstraintViolation(f"{path} must be a finite number.", path=path)
    return number


def moment(value: Any, zone: tzinfo, *, path: str, note: Noter) -> datetime:
    """A time, in UTC."""
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise impossible_time(path)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    microsecond = int(f"{found[7] or '':0<6.6}")
    late = timedelta(seconds=second == 60)  # a leap second
    if (hour, minute, second) == (24, 0, 0):  # the end of a day
        hour, late = 0, timedelta(days=1)
    try:
        clock = datetime(year, month, day, hour, minute, min(second, 59), microsecond, UTC) + late
        check_moment(clock)
        where = zoneless_time(zone, note=note) if found[8] is None else _offset(found[8])
        read = clock.replace(tzinfo=where).astimezone(UTC)
    except (ValueError, OverflowError):
        raise impossible_time(path) from None
    if found[8] is not None:
        odd_time(value, note=note)
    return read


def impossible_time(path: str) -> Unreadable:
    """What is no time: the time of receipt counts for a required one, none for an optional one.

    Empty (EVerest/libocpp#678, Siemens); Heidelberg: "0" (evcc-io/evcc#17836); ABB Terra AC:
    2022-02-29T07:02:33.000Z (steve-community/steve#769).
    """
    error = PropertyConstraintViolation(f"{path} must be an ISO 8601 time.", path=path)
    return Unreadable(error, "impossible_time")


def zoneless_time(zone: tzinfo, *, note: Noter) -> tzinfo:
    """A time without a zone is in the charger's zone (a setting; UTC by default).

    Growatt THOR (evcc-io/evcc#10399), AEFA (lbbrhzn/ocpp#2032).
    """
    note("zoneless_time")
    return zone


def odd_time(value: str, *, note: Noter) -> None:
    """A time that can be read though it is not of the profile of ISO 8601 that OCPP names.

    Schneider: 2022-05-17T15:42:03Z: (IZIVIA/ocpp-toolkit); offsets as +02
    (monta-app/ocpp-emulator#5).
    """
    try:
        msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        note("odd_time")


def _offset(written: str) -> tzinfo:
    if written in "Zz":
        return UTC
    minutes = int(written[1:3]) * 60 + int(written[-2:] if len(written) > 3 else 0)
    return timezone(timedelta(minutes=-minutes if written[0] == "-" else minutes))


_ALIASES: dict[type[enum.Enum], dict[str, enum.Enum]] = {
    UnitOfMeasure: {
        "celcius": UnitOfMeasure.CELSIUS,
        "c": UnitOfMeasure.CELSIUS,
        "°c": UnitOfMeasure.CELSIUS,
        "%": UnitOfMeasure.PERCENT,
        "amp": UnitOfMeasure.A,  # OCPP 1.5
        "volt": UnitOfMeasure.V,  # OCPP 1.5
    },
    ChargePointStatus: {
        "occupied": ChargePointStatus.CHARGING,  # OCPP 1.5
    },
}
_ALSO_VALID: dict[type[enum.Enum], dict[str, enum.Enum]] = {
    UnitOfMeasure: {"Celcius": UnitOfMeasure.CELSIUS},  # the JSON schemas hold both spellings
}
_FALLBACKS: dict[type[enum.Enum], enum.Enum] = {
    ChargePointErrorCode: ChargePointErrorCode.OTHER_ERROR,
    ReadingContext: ReadingContext.OTHER,
    Reason: Reason.OTHER,
    # Not the outlet, which an absent location means and which is billed.
    Location: Location.BODY,
}


def enumerated(value: Any, declared: type[enum.Enum], *, path: str, note: Noter) -> enum.Enum:
    """A value of the enumeration, or what `unknown_value` takes for it."""
    known = _members(declared).get(value) if isinstance(value, str) else None
    return known or unknown_value(value, declared, path=path, note=note)


def unknown_value(value: Any, declared: type[enum.Enum], *, path: str, note: Noter) -> enum.Enum:
    """The nearest defined value: the same in another case or spelling, a known alias, else the
    one that says 'other'. A connector's status has no such value: it cannot be had safely (but
    Occupied, which OCPP 1.5 has for all states of use, is Charging).

    Legrand: errorCode Error (lbbrhzn/ocpp#1248); Alfen: context CurrentMax (lbbrhzn/ocpp#361);
    MicroOcpp: measurand Current.import (matth-x/MicroOcpp#128); OpenEVSE: unit C
    (OpenEVSE/openevse_esp32_firmware#726); Celcius (steve-community/steve#145).
    """
    nearest = None
    if isinstance(value, str):
        folded = value.strip().casefold()
        if not folded:
            raise empty_field(path)
        nearest = _spellings(declared).get(folded) or _FALLBACKS.get(declared)
    if nearest is None:
        error = PropertyConstraintViolation(
            f"{path} has a value that OCPP 1.6 does not know.", path=path
        )
        raise Unreadable(error, "unknown_value" if isinstance(value, str) else "unreadable_field")
    note("unknown_value")
    return nearest


@cache
def _members(declared: type[enum.Enum]) -> dict[str, enum.Enum]:
    return {member.value: member for member in declared} | _ALSO_VALID.get(declared, {})


@cache
def _spellings(declared: type[enum.Enum]) -> dict[str, enum.Enum]:
    same = {str(member.value).casefold(): member for member in declared}
    return same | _ALIASES.get(declared, {})


TOLERANCES: tuple[Callable[..., Any], ...] = (
    scalar_for_text,
    over_long_text,
    json_for_text,
    number_out_of_range,
    empty_field,
    text_for_number,
    fraction_for_whole_number,
    scalar_for_boolean,
    further_decimals,
    impossible_time,
    zoneless_time,
    odd_time,
    unknown_value,
)
