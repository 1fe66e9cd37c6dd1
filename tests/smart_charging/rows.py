"""Rows of smart charging, and commands as a charge point answered them."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from csms.models import ChargePoint, ChargingProfileTemplate, Command, InstalledProfile
from csms.services.profile_templates import template_add
from tests import factories
from tests.smart_charging.profiles import DEFAULT, HOUR, wire


def template(name: str = "Nights", purpose: str = DEFAULT, *periods: Any, **fields: Any) -> Any:
    """A template that is kept; without a chargingProfileId unless it is given."""
    profile = wire(purpose, *periods, **fields)
    if "number" not in fields:
        del profile["chargingProfileId"]
    made: ChargingProfileTemplate = template_add(name=name, profile=profile)
    return made


def daily(name: str = "Nights", **fields: Any) -> Any:
    """16 A by day, 32 A at night."""
    given = {"kind": "Recurring", "recurrencyKind": "Daily"}
    given["startSchedule"] = "2026-01-01T00:00:00Z"
    periods = [(0, 32), (6 * HOUR, 16), (22 * HOUR, 32)]
    return template(name, DEFAULT, *periods, **given | fields)


def present(charger: ChargePoint, connector: int, profile: dict[str, Any]) -> InstalledProfile:
    """A profile that is assumed to be installed."""
    return InstalledProfile.objects.create(
        charge_point=charger,
        connector_id=connector,
        charging_profile_id=profile["chargingProfileId"],
        purpose=profile["chargingProfilePurpose"],
        stack_level=profile["stackLevel"],
        profile=profile,
        installed_at=timezone.now() - timedelta(hours=1),
    )


def answered(charger: ChargePoint, connector: int, *periods: Any, **fields: Any) -> Command:
    """A GetCompositeSchedule with the charge point's answer; no periods: none was told."""
    start = fields.pop("start", factories.now())
    duration = fields.pop("duration", 86_400)
    answer: dict[str, Any] = {"status": "Accepted", "connectorId": connector}
    if periods:
        answer["scheduleStart"] = start.isoformat()
        answer["chargingSchedule"] = {
            "duration": duration,
            "chargingRateUnit": fields.pop("unit", "A"),
            "chargingSchedulePeriod": [{"startPeriod": at, "limit": most} for at, most in periods],
        }
    now = timezone.now()
    values = {"state": "accepted", "answer": answer, "sent_at": now, "finished_at": now}
    values["payload"] = {"connectorId": connector, "duration": duration, "chargingRateUnit": "A"}
    return factories.command(charger, action="GetCompositeSchedule", **values | fields)
