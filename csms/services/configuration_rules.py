"""What of a charge point's stored configuration bears on what it may be sent."""

from collections.abc import Iterable
from typing import Any

from csms.conf import settings
from csms.models import ChargePoint, ConfigurationKey
from csms.ocpp.base import Request, value_or
from csms.ocpp.configuration_keys import StandardKey, items_of, standard_key
from csms.ocpp.core import ChangeConfiguration, GetConfiguration

MAX_KEYS = "GetConfigurationMaxKeys"


def number_of(text: str | None) -> int | None:
    """A whole number of a configuration value; None when it is none."""
    plain = (text or "").strip()
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 10 else None


def values_known(charge_points: Iterable[Any], keys: Iterable[str]) -> dict[int, dict[str, str]]:
    """What charge points (rows or primary keys) told of these keys: primary key → case-folded key →
    value. A key that one says it does not have has the value ""."""
    rows = ConfigurationKey.objects.filter(
        charge_point__in=charge_points, folded__in=[key.casefold() for key in keys]
    )
    found: dict[int, dict[str, str]] = {}
    for pk, folded, value in rows.order_by().values_list("charge_point_id", "folded", "value"):
        found.setdefault(pk, {})[folded] = value
    return found


Known = dict[int, dict[str, str]]
"""As `values_known` tells it."""


def configuration_known(charge_points: Iterable[ChargePoint], request: Request[Any]) -> Known:
    """What `configuration_obstacle` asks about these charge points, in one query."""
    key = _list_key(request)
    return {} if key is None else values_known(charge_points, [key.name, key.length_key])


def configuration_obstacle(
    charge_point: ChargePoint, request: Request[Any], known: Known | None = None
) -> str:
    """Why a charge point's configuration does not let it take this request (N36); empty when it
    does. `known` is what `configuration_known` told of many."""
    everything = isinstance(request, GetConfiguration) and not value_or(request.key)
    if everything and charge_point.configuration_by_name:
        return f"{charge_point} cannot tell all keys at once: name them, or read its configuration."
    return _items_obstacle(charge_point, request, known)


def _list_key(request: Request[Any]) -> StandardKey | None:
    """The key that a request sets to more than one item."""
    if not isinstance(request, ChangeConfiguration):
        return None
    key = standard_key(request.key)
    if key is None or not key.length_key or len(items_of(request.value)) <= 1:
        return None
    return key


def _items_obstacle(charge_point: ChargePoint, request: Request[Any], known: Known | None) -> str:
    """A list key without a known MaxLength takes as many items as it is known to have, or as the
    setting says. §5.3: "a safe value of 1 (one) item SHOULD be assumed"."""
    key = _list_key(request)
    if key is None:
        return ""
    assert isinstance(request, ChangeConfiguration)
    number = len(items_of(request.value))
    if known is None:
        known = configuration_known([charge_point], request)
    own = known.get(charge_point.pk, {})
    most = number_of(own.get(key.length_key.casefold()))
    if most is None:
        most = max(settings().list_items, len(items_of(own.get(key.name.casefold(), ""))))
        why = f"{key.length_key} is not known: read its configuration, or raise CSMS_LIST_ITEMS"
    else:
        why = f"{key.length_key} says so"
    if number <= most:
        return ""
    return f"{charge_point} takes {most} item{'s' * (most != 1)} in {key.name} ({why})."
