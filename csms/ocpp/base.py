"""What every OCPP message is made of, and the registry of actions.

A request is declared once, as a class named after its OCPP action, generic over its reply::

    class HeartbeatResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
        current_time: DateTime

    class Heartbeat(
        Request[HeartbeatResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
    ):
        senders = CHARGE_POINT
        profile = Profile.CORE

Fields stand in the order of the official WSDL, which binds over SOAP. The wire names are the
camel-case forms of the Python names. Everything else derives from these declarations: JSON and
SOAP codecs, WSDLs, forms, the reference table in docs/.
"""

import enum
import typing
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from csms.ocpp.explain import explain
from csms.ocpp.hostile import below, check_text

T = TypeVar("T")
R = TypeVar("R", bound="Payload")
P = TypeVar("P", bound="Payload")

Opt: TypeAlias = T | UnsetType
"""An optional field: absent is UNSET (false in a condition); an explicit null is a deviation."""


class Role(enum.Enum):
    """Who sends a request."""

    CHARGE_POINT = "ChargePoint"
    CENTRAL_SYSTEM = "CentralSystem"


CHARGE_POINT = frozenset({Role.CHARGE_POINT})
CENTRAL_SYSTEM = frozenset({Role.CENTRAL_SYSTEM})
BOTH = CHARGE_POINT | CENTRAL_SYSTEM


class Profile(enum.Enum):
    """Feature profiles (OCPP 1.6 §3.1) by their names in SupportedFeatureProfiles, and security."""

    CORE = "Core"
    FIRMWARE_MANAGEMENT = "FirmwareManagement"
    LOCAL_AUTH_LIST_MANAGEMENT = "LocalAuthListManagement"
    RESERVATION = "Reservation"
    SMART_CHARGING = "SmartCharging"
    REMOTE_TRIGGER = "RemoteTrigger"
    SECURITY = "Security"


class Payload(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
):
    """A message body, or a part of one."""


class Request(Payload, Generic[R], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that `senders` may send; R is the declaration of its reply."""

    senders: ClassVar[frozenset[Role]]
    profile: ClassVar[Profile]
    soap: ClassVar[bool] = True  # the security extension exists over JSON only (WP, N28)


def action(request: type[Request[Any]]) -> str:
    """The OCPP action: `BootNotification`."""
    return request.__name__


@cache
def reply_type(request: type[Request[R]]) -> type[R]:
    """The declared reply of a request."""
    for base in request.__orig_bases__:  # type: ignore[attr-defined]
        if typing.get_origin(base) is Request:
            reply: type[R] = typing.get_args(base)[0]
            return reply
    raise TypeError(f"{request.__name__} does not name its reply: use Request[Reply].")


def value_or(value: "T | UnsetType", default: Any = None) -> Any:
    """The value of an optional field, or `default` when it is absent."""
    return default if value is UNSET else value


def validated(payload: P) -> P:
    """What leaves this system: checked against its own declaration, times in whole seconds UTC.

    Constructing a declaration checks nothing, so every outgoing payload passes here. Raises
    a ProtocolError that names the field, as `chargingProfile.chargingSchedule.duration`.
    """
    if not payload.__struct_fields__:
        return payload
    plain = msgspec.to_builtins(payload, builtin_types=_KEPT)
    try:
        return msgspec.convert(_plainer(plain, ""), type(payload), builtin_types=_KEPT)
    except msgspec.ValidationError as error:
        raise explain(error) from error


_KEPT = (datetime, Decimal)


def _plainer(value: Any, path: str) -> Any:
    """Texts checked; times without fraction, and in UTC where they have a zone and can be
    converted (not in the years 1 and 9999; the latter means for ever)."""
    if isinstance(value, dict):
        return {k: _plainer(v, below(path, k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plainer(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, datetime):
        if value.tzinfo is not None and 1 < value.year < 9999:
            value = value.astimezone(UTC)
        return value.replace(microsecond=0)
    return value


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode_json(payload: Payload) -> bytes:
    """Compact JSON, fields in the order of the WSDL, decimals as numbers."""
    return _ENCODER.encode(payload)
