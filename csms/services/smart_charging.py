"""Charging profiles that charge points accepted (OCPP 1.6 §3.13): installed, as far as assumed."""

from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q

from csms.models import Command, InstalledProfile, Transaction
from csms.models.transactions import TransactionState


def profile_installed(command: Command, *, now: datetime) -> None:
    """A SetChargingProfile was accepted.

    §3.13.2: the same chargingProfileId replaces, and so does the same purpose and stackLevel on a
    connector.
    """
    _install(
        command,
        profile=command.payload["csChargingProfiles"],
        connector_id=command.payload["connectorId"],
        now=now,
    )


def profile_started(command: Command, *, connector_id: int, now: datetime) -> None:
    """A RemoteStartTransaction brought its TxProfile along, and the transaction started (§3.13)."""
    if "chargingProfile" in command.payload:
        profile = command.payload["chargingProfile"]
        _install(command, profile=profile, connector_id=connector_id, now=now)


def profiles_ended() -> int:
    """Forget the TxProfiles of connectors without a transaction: §3.13.1, it ends with it."""
    running = Transaction.objects.filter(
        charge_point=OuterRef("charge_point"),
        connector_id=OuterRef("connector_id"),
        state=TransactionState.OPEN,
    )
    rows = InstalledProfile.objects.filter(~Exists(running), purpose="TxProfile")
    return rows.delete()[0]


def _install(
    command: Command, *, profile: dict[str, Any], connector_id: int, now: datetime
) -> None:
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
