"""Charging profiles that charge points accepted (OCPP 1.6 §3.13): installed, as far as assumed;
and what limits follow from them, beside what charge points report."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db.models import Exists, OuterRef, Q

from csms.conf import settings
from csms.models import ChargePoint, Command, Connector, InstalledProfile, Transaction
from csms.models.commands import CommandState
from csms.models.transactions import TransactionState
from csms.ocpp.base import value_or
from csms.ocpp.smart_charging import GetCompositeScheduleResponse
from csms.ocpp.types import ChargingProfile, ChargingProfilePurposeType, ChargingRateUnitType
from csms.services.composite import LONGEST, Composite, Installed, Running, composite, reported

TX_PROFILE = ChargingProfilePurposeType.TX_PROFILE.value


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
    """Forget the TxProfiles whose transaction has ended: §3.13.1, they end with it."""
    running = Transaction.objects.filter(
        charge_point=OuterRef("charge_point"),
        connector_id=OuterRef("connector_id"),
        state=TransactionState.OPEN,
    )
    of_its_own = Q(transaction__isnull=False) & ~Q(transaction__state=TransactionState.OPEN)
    ended = of_its_own | (Q(transaction=None) & ~Exists(running))
    rows = InstalledProfile.objects.filter(ended, purpose=TX_PROFILE)
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
        transaction=_transaction(command, profile, connector_id),
        installed_at=now,
    )


def _transaction(
    command: Command, profile: dict[str, Any], connector_id: int
) -> Transaction | None:
    """The transaction of a TxProfile: the one it names, else the one that runs."""
    if profile["chargingProfilePurpose"] != TX_PROFILE:
        return None
    rows = Transaction.objects.filter(charge_point=command.charge_point_id)
    if "transactionId" in profile:
        return rows.filter(transaction_id=profile["transactionId"]).first()
    return rows.filter(connector_id=connector_id, state=TransactionState.OPEN).first()


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


# ------------------------------------------------------------------- which limits follow


def installed_of(charge_point: ChargePoint) -> list[Installed]:
    """What a charge point is assumed to have."""
    return [
        Installed(row.connector_id, msgspec.convert(row.profile, ChargingProfile), row.installed_at)
        for row in charge_point.installed_profiles.all()
    ]


def running_of(charge_point: ChargePoint) -> dict[int, Running]:
    """The transactions that run, by connector."""
    rows = Transaction.objects.filter(charge_point=charge_point, state=TransactionState.OPEN)
    found = rows.values_list("connector_id", "transaction_id", "started_at")
    return {number: Running(pk, started_at) for number, pk, started_at in found}


def connectors_of(charge_point: ChargePoint) -> list[int]:
    """The connectors that a charge point has told of, without 0."""
    rows = Connector.objects.filter(charge_point=charge_point, connector_id__gt=0)
    return list(rows.order_by("connector_id").values_list("connector_id", flat=True))


def composite_of(
    *,
    charge_point: ChargePoint,
    connector_id: int,
    start: datetime,
    duration: int,
    unit: ChargingRateUnitType,
) -> Composite:
    """Our own composite schedule: what should hold, by what is assumed to be installed (N35)."""
    return composite(
        installed_of(charge_point),
        connector_id=connector_id,
        connectors=connectors_of(charge_point),
        running=running_of(charge_point),
        start=start,
        duration=duration,
        unit=unit,
        voltage=settings().nominal_voltage,
    )


class Report(NamedTuple):
    """What a charge point answered to a GetCompositeSchedule that it accepted."""

    command: Command
    schedule: Composite | None
    """None: it told no schedule that can be read."""
    outdated: bool
    """Profiles were set or cleared since, or a transaction began or ended."""


def composite_asked(*, charge_point: ChargePoint, connector_id: int) -> Command | None:
    """The latest GetCompositeSchedule of a connector, whatever became of it."""
    rows = Command.objects.filter(
        charge_point=charge_point,
        action="GetCompositeSchedule",
        payload__connectorId=connector_id,
    )
    return rows.order_by("-id").first()


def composite_reported(
    *, charge_point: ChargePoint, connector_id: int, unit: ChargingRateUnitType
) -> Report | None:
    """The latest composite schedule that a charge point told of a connector, in this unit."""
    rows = Command.objects.filter(
        charge_point=charge_point,
        action="GetCompositeSchedule",
        payload__connectorId=connector_id,
        state=CommandState.ACCEPTED,
        finished_at__isnull=False,
    )
    command = rows.order_by("-id").first()
    if command is None or command.finished_at is None:
        return None
    return Report(command, _schedule(command, unit), _changed_since(command, command.finished_at))


def _schedule(command: Command, unit: ChargingRateUnitType) -> Composite | None:
    try:
        answer = msgspec.convert(command.answer, GetCompositeScheduleResponse)
    except msgspec.ValidationError:
        return None
    schedule = value_or(answer.charging_schedule)
    if schedule is None:
        return None
    started = value_or(
        answer.schedule_start, value_or(schedule.start_schedule, command.finished_at)
    )
    return reported(
        schedule,
        start=started,
        duration=min(max(command.payload["duration"], 1), LONGEST),
        unit=unit,
        voltage=settings().nominal_voltage,
    )


def _changed_since(command: Command, at: datetime) -> bool:
    changes = Command.objects.filter(
        charge_point=command.charge_point_id,
        action__in=["SetChargingProfile", "ClearChargingProfile"],
        state=CommandState.ACCEPTED,
        finished_at__gt=at,
    )
    transactions = Transaction.objects.filter(
        Q(start_received_at__gt=at) | Q(stop_received_at__gt=at),
        charge_point=command.charge_point_id,
    )
    return changes.exists() or transactions.exists()
