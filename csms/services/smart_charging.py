"""Charging profiles that charge points accepted (OCPP 1.6 §3.13): installed, as far as assumed."""

from datetime import datetime

from django.db.models import Q

from csms.models import Command, InstalledProfile


def profile_installed(command: Command, *, now: datetime) -> None:
    """A SetChargingProfile was accepted.

    §3.13.2: the same chargingProfileId replaces, and so does the same purpose and stackLevel on a
    connector.
    """
    profile = command.payload["csChargingProfiles"]
    connector_id = command.payload["connectorId"]
    own = InstalledProfile.objects.filter(charge_point=command.charge_point_id)
    own.filter(
        Q(charging_profile_id=profile["chargingProfileId"])
        | Q(
            connector_id=connector_id,
            purpose=profile["chargingProfilePurpose"],
            stack_level=profile["stackLevel"],
        )
    ).delete()
    InstalledProfile.objects.create(
        charge_point=command.charge_point,
        connector_id=connector_id,
        charging_profile_id=profile["chargingProfileId"],
        purpose=profile["chargingProfilePurpose"],
        stack_level=profile["stackLevel"],
        profile=profile,
        installed_at=now,
    )


def profiles_cleared(command: Command) -> None:
    """A ClearChargingProfile was accepted. §5.5: with an id the rest is ignored; nothing is all."""
    rows = InstalledProfile.objects.filter(charge_point=command.charge_point_id)
    asked = command.payload
    if "id" in asked:
        rows = rows.filter(charging_profile_id=asked["id"])
    else:
        if "connectorId" in asked:
            rows = rows.filter(connector_id=asked["connectorId"])
        if "chargingProfilePurpose" in asked:
            rows = rows.filter(purpose=asked["chargingProfilePurpose"])
        if "stackLevel" in asked:
            rows = rows.filter(stack_level=asked["stackLevel"])
    rows.delete()
