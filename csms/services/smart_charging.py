"""Charging profiles that charge points accepted (OCPP 1.6 §3.13): installed, as far as assumed;
and what limits follow from them, beside what charge points report."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db.models import Exists, OuterRef, Q, QuerySet

from csms.conf import settings
from csms.models import ChargePoint, Command, Connector, InstalledProfile, Transaction
from csms.models.commands import CommandState
from csms.models.transactions import TransactionState
from csms.ocpp.base import value_or
from csms.ocpp.smart_charging import GetCompositeScheduleResponse
from csms.ocpp.types import ChargingProfile, ChargingProfilePurposeType, ChargingRateUnitType
from csms.services.composite import LONGEST, Composite, Installed, Running, composite, reported

TX_PROFILE = ChargingProfilePurposeType.TX_PROFILE.value
CHANGES = ("SetChargingProfile", "ClearChargingProfile")


def profile_installed(command: Command, *, now: datetime) -> None:
    """A SetChargingProfile was accepted.

    §3.13.2: the same chargingProfileId replaces, and so does the same purpose and stackLevel on a
    connector.
    """
    profile = command.payload["csChargingProfiles"]
    number = command.payload["connectorId"]
    of_transaction = profile["chargingProfilePurpose"] == TX_PROFILE
    row = _transaction(command, profile, number) if of_transaction else None
    _install(command, profile=profile, connector_id=number, row=row, now=now)


def profile_started(command: Command, *, row: Transaction, now: datetime) -> None:
    """A RemoteStartTransaction brought its TxProfile along, and its transaction started (§3.13).

    What this transaction was given since in its place stays: it came later.
    """
    if "chargingProfile" not in command.payload:
        return
    profile, number = command.payload["chargingProfile"], row.connector_id
    if not _replaced(command, profile, number).filter(transaction=row).exists():
        _install(command, profile=profile, connector_id=number, row=row, now=now)


def profiles_assumed() -> QuerySet[InstalledProfile]:
    """What charge points are assumed to have. §3.13.1: a TxProfile ends with its transaction."""
    running = Transaction.objects.filter(
        charge_point=OuterRef("charge_point"),
        connector_id=OuterRef("connector_id"),
        state=TransactionState.OPEN,
    )
    its_own = Q(transaction__state=TransactionState.OPEN)
    any_one = Q(transaction=None) & Exists(running)
    return InstalledProfile.objects.filter(~Q(purpose=TX_PROFILE) | its_own | any_one)


def profiles_ended() -> int:
    """Delete the TxProfiles whose transaction has ended; how many."""
    rows = InstalledProfile.objects.filter(purpose=TX_PROFILE)
    return rows.exclude(pk__in=profiles_assumed().values("pk")).delete()[0]


def _replaced(
    command: Command, profile: dict[str, Any], connector_id: int
) -> QuerySet[InstalledProfile]:
    """What a charge point has no more once it has accepted a profile."""
    same_place = Q(
        connector_id=connector_id,
        purpose=profile["chargingProfilePurpose"],
        stack_level=profile["stackLevel"],
    )
    same_id = Q(charging_profile_id=profile["chargingProfileId"])
    own = InstalledProfile.objects.filter(charge_point=command.charge_point_id)
    return own.filter(same_place | same_id)


def _install(
    command: Command,
    *,
    profile: dict[str, Any],
    connector_id: int,
    row: Transaction | None,
    now: datetime,
) -> None:
    """Keep an accepted profile. `row` is the transaction of a TxProfile: without one that runs, it
    only replaces."""
    number, purpose = profile["chargingProfileId"], profile["chargingProfilePurpose"]
    replaced = _replaced(command, profile, connector_id)
    if purpose == TX_PROFILE and (row is None or not row.is_open):
        replaced.delete()
        return
    replaced.exclude(charging_profile_id=number).delete()
    InstalledProfile.objects.update_or_create(
        charge_point=command.charge_point,
        charging_profile_id=number,
        defaults={
            "connector_id": connector_id,
            "purpose": purpose,
            "stack_level": profile["stackLevel"],
            "profile": profile,
            "transaction": row,
            "installed_at": now,
        },
    )


def _transaction(
    command: Command, profile: dict[str, Any], connector_id: int
) -> Transaction | None:
    """The transaction of a TxProfile: the one it names; else the one that ran when it was sent,
    though the answer came late; else the one that runs."""
    rows = Transaction.objects.filter(charge_point=command.charge_point_id)
    if "transactionId" in profile:
        return rows.filter(transaction_id=profile["transactionId"]).first()
    assert command.sent_at is not None  # it was answered
    rows = rows.filter(connector_id=connector_id)
    before = rows.filter(start_received_at__lte=command.sent_at).order_by("-id").first()
    if before is not None:
        stopped_at = before.stop_received_at
        if before.is_open or stopped_at is None or stopped_at > command.sent_at:
            return before
    return rows.filter(state=TransactionState.OPEN).first()


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
        for row in profiles_assumed().filter(charge_point=charge_point)
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


def change_unanswered(charge_point: ChargePoint) -> Command | None:
    """The latest command that sets or clears profiles, when nobody knows what became of it: then
    more may be installed than is assumed, or less."""
    rows = Command.objects.filter(
        charge_point=charge_point, action__in=CHANGES, sent_at__isnull=False
    )
    latest = rows.order_by("-id").first()
    unknown = latest is not None and latest.state == CommandState.TIMED_OUT
    return latest if unknown else None


def _changed_since(command: Command, at: datetime) -> bool:
    changes = Command.objects.filter(
        charge_point=command.charge_point_id,
        action__in=CHANGES,
        state=CommandState.ACCEPTED,
        finished_at__gt=at,
    )
    transactions = Transaction.objects.filter(
        Q(start_received_at__gt=at) | Q(stop_received_at__gt=at),
        charge_point=command.charge_point_id,
    )
    return changes.exists() or transactions.exists()
