"""What of a charge point's stored configuration bears on what it may be sent."""

from collections.abc import Iterable
from typing import Any

from csms.models import ChargePoint, ConfigurationKey
from csms.ocpp.base import Request
from csms.ocpp.configuration_keys import items_of, standard_key
from csms.ocpp.core import ChangeConfiguration

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


def items_obstacle(charge_point: ChargePoint, request: Request[Any]) -> str:
    """Why a charge point takes no list of so many items (N36); empty when it does.

    A list key without a known MaxLength takes one item, or as many as it is known to have.
    """
    if not isinstance(request, ChangeConfiguration):
        return ""
    key = standard_key(request.key)
    number = len(items_of(request.value))
    if key is None or not key.length_key or number <= 1:
        return ""
    known = values_known([charge_point], [key.name, key.length_key]).get(charge_point.pk, {})
    most = number_of(known.get(key.length_key.casefold()))
    if most is None:
        most = max(1, len(items_of(known.get(key.name.casefold(), ""))))
        why = f"{key.length_key} is not known: read its configuration"
    else:
        why = f"{key.length_key} says so"
    if number <= most:
        return ""
    return f"{charge_point} takes {most} item{'s' * (most != 1)} in {key.name} ({why})."
