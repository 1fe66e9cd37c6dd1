"""Rows of configuration, as charge points have told it."""

from typing import Any

from django.utils import timezone

from csms.models import ChargePoint, ConfigurationKey, ConfigurationState
from csms.ocpp.configuration_keys import comparable


def told(row: ChargePoint, **values: Any) -> None:
    """Keys of a configuration that was read as a whole; None: there is no such key."""
    now = timezone.now()
    ConfigurationState.objects.update_or_create(charge_point=row, defaults={"read_at": now})
    for key, value in values.items():
        ConfigurationKey.objects.update_or_create(
            charge_point=row,
            folded=key.casefold(),
            defaults={
                "key": key,
                "value": value or "",
                "compared": comparable(key, value or ""),
                "known": value is not None,
                "readonly": key.startswith("Number"),
                "read_at": now,
            },
        )
