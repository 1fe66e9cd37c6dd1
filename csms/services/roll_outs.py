"""Roll-outs of firmware: planned in waves, paused, resumed, cancelled, repeated. The clock advances
them (roll_out_waves.py); whoever changes one holds its row."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from csms.conf import settings
from csms.models import (
    ChargePoint,
    Command,
    FirmwareImage,
    RollOut,
    RollOutItem,
    TransferStatus,
)
from csms.models.commands import CommandState
from csms.models.firmware import TransferKind
from csms.models.roll_outs import ItemState, RollOutState
from csms.services.commands import CommandRefused, commands_cancel
from csms.services.firmware_images import image_obstacle, request_type
from csms.services.locations import TransferFacts, scheme_for, transfer_facts

LASTING = (ItemState.WAITING, ItemState.OPEN)
ENDED = (RollOutState.FINISHED, RollOutState.CANCELLED)
CANCELLED = "The roll-out was cancelled."
MOST = 10_000
"""Charge points of one roll-out."""

OPERATIONS = ("UpdateFirmware", "SignedUpdateFirmware")
"""What a roll-out sends: who may not send both begins none."""


class RollOutRefused(CommandRefused):
    """This cannot be done with the roll-out as it is; the message says why."""


# ------------------------------------------------------------------------------ planning


def roll_out_obstacle(
    *,
    image: FirmwareImage,
    charge_point: ChargePoint,
    facts: TransferFacts,
    scheme: str = "",
    method: str = "",
) -> str:
    """Why a charge point cannot take part; empty when it can."""
    reason = image_obstacle(image, charge_point)
    if reason:
        return reason
    try:
        request_type(image, charge_point, facts, method)
        scheme_for(charge_point, facts, scheme)
    except CommandRefused as refusal:
        return str(refusal)
    return ""


def roll_out_plan(
    *,
    image: FirmwareImage,
    charge_points: Iterable[ChargePoint],
    scheme: str = "",
    method: str = "",
) -> tuple[list[ChargePoint], list[tuple[ChargePoint, str]]]:
    """Who takes part, in the order of the waves (who is online first), and who does not and why."""
    rows = list(charge_points)
    facts = transfer_facts(rows)
    busy = dict(
        RollOutItem.objects.filter(charge_point__in=rows, state__in=LASTING).values_list(
            "charge_point_id", "roll_out_id"
        )
    )
    takers, left_out = [], []
    for row in rows:
        reason = roll_out_obstacle(
            image=image,
            charge_point=row,
            facts=facts.get(row.pk, TransferFacts()),
            scheme=scheme,
            method=method,
        )
        if not reason and row.pk in busy:
            reason = f"It takes part in roll-out {busy[row.pk]}, which is not over."
        if reason:
            left_out.append((row, reason))
        else:
            takers.append(row)
    now, interval = timezone.now(), settings().heartbeat_interval
    takers.sort(key=lambda row: not row.is_online(now=now, heartbeat_interval=interval))
    return takers, left_out


def roll_out_create(
    *,
    image: FirmwareImage,
    charge_points: Iterable[ChargePoint],
    by: str = "",
    now: datetime | None = None,
    **options: Any,
) -> RollOut:
    """Begin a roll-out; `options` are columns of RollOut. Raises RollOutRefused when nobody can
    take part, or somebody was quicker."""
    scheme, method = options.get("scheme", ""), options.get("method", "")
    takers, left_out = roll_out_plan(
        image=image, charge_points=charge_points, scheme=scheme, method=method
    )
    if not takers:
        raise RollOutRefused(left_out[0][1] if left_out else "There is no charge point to update.")
    if len(takers) > MOST:
        raise RollOutRefused(f"A roll-out goes to at most {MOST:,} charge points.")
    now = now or timezone.now()
    row = RollOut(image=image, created_by=by[:150], created_at=now, wave_at=now, **options)
    items = [
        RollOutItem(roll_out=row, charge_point=taker, wave=wave_of(row, place))
        for place, taker in enumerate(takers)
    ] + [
        RollOutItem(
            roll_out=row,
            charge_point=other,
            state=ItemState.LEFT_OUT,
            reason=reason[:255],
            ended_at=now,
        )
        for other, reason in left_out
    ]
    try:
        with transaction.atomic():
            row.save()
            RollOutItem.objects.bulk_create(items, batch_size=500)
    except IntegrityError:
        raise RollOutRefused(
            "One of the charge points was just taken into another roll-out: try again."
        ) from None
    return row


def wave_of(row: RollOut, place: int) -> int:
    """The wave of the charge point at a place (from 0) of the order."""
    if place < row.first_wave:
        return 1
    return 2 + (place - row.first_wave) // row.wave_size


# ------------------------------------------------------------------------------- following


def statuses_told(items: Iterable[RollOutItem]) -> dict[int, str]:
    """By item: the status of the update that its charge point reported last since it was asked
    (§4.5, WP L01). The items have their commands loaded."""
    asked = {
        item.charge_point_id: (item.pk, item.command.sent_at)
        for item in items
        if item.command is not None and item.command.sent_at is not None
    }
    if not asked:
        return {}
    rows = TransferStatus.objects.filter(
        charge_point__in=asked,
        kind__in=[TransferKind.FIRMWARE, TransferKind.SIGNED_FIRMWARE],
        received_at__gte=min(at for _, at in asked.values()),
    ).order_by("id")
    return {
        asked[point][0]: status
        for point, status, at in rows.values_list("charge_point_id", "status", "received_at")
        if at >= asked[point][1]
    }


# ------------------------------------------------------------------------------- steering


@contextmanager
def held(roll_out_id: int) -> Iterator[RollOut]:
    """The row of a roll-out, which nobody else changes meanwhile."""
    with transaction.atomic():
        yield RollOut.objects.select_for_update(of=("self",)).get(pk=roll_out_id)


def roll_out_pause(*, roll_out_id: int) -> RollOut:
    """Nothing more is sent; what was not delivered yet is taken back, what is under way goes on.
    Raises RollOutRefused."""
    with held(roll_out_id) as row:
        if row.state != RollOutState.RUNNING:
            raise RollOutRefused("Only a running roll-out can be paused.")
        halt(row, RollOutState.PAUSED, "")
    return row


def roll_out_resume(*, roll_out_id: int, now: datetime | None = None) -> RollOut:
    """Go on where it was; what has failed so far is counted no more. Raises RollOutRefused."""
    with held(roll_out_id) as row:
        if row.state not in (RollOutState.PAUSED, RollOutState.STOPPED):
            raise RollOutRefused("Only a paused or stopped roll-out can be resumed.")
        _run(row, now or timezone.now())
    return row


def roll_out_cancel(*, roll_out_id: int, now: datetime | None = None) -> RollOut:
    """Send nothing more, ever; what is under way goes on. Raises RollOutRefused."""
    now = now or timezone.now()
    with held(roll_out_id) as row:
        if row.state in ENDED:
            raise RollOutRefused("The roll-out is over.")
        halt(row, RollOutState.CANCELLED, "")
        row.items.filter(state=ItemState.WAITING).update(
            state=ItemState.LEFT_OUT, reason=CANCELLED, ended_at=now
        )
        row.finished_at = now
        row.save(update_fields=["finished_at"])
    return row


def roll_out_repeat(
    *, roll_out_id: int, method: str | None = None, now: datetime | None = None
) -> RollOut:
    """Try again with those who failed, in waves behind the others; `method` as it is from now on,
    None: as it was. Raises RollOutRefused."""
    with held(roll_out_id) as row:
        if row.state in (RollOutState.RUNNING, RollOutState.CANCELLED):
            raise RollOutRefused("What failed is tried again when the roll-out is not running.")
        failed = list(row.items.filter(state=ItemState.FAILED).order_by("wave", "id"))
        busy = RollOutItem.objects.filter(
            charge_point__in=[item.charge_point_id for item in failed], state__in=LASTING
        )
        elsewhere = set(busy.values_list("charge_point_id", flat=True))
        failed = [item for item in failed if item.charge_point_id not in elsewhere]
        if not failed:
            raise RollOutRefused("Nobody has failed who is free for another attempt.")
        last = max(row.items.values_list("wave", flat=True))
        for place, item in enumerate(failed):
            item.wave = last + wave_of(row, place)
            item.state, item.reason, item.command, item.ended_at = ItemState.WAITING, "", None, None
        RollOutItem.objects.bulk_update(
            failed, ["wave", "state", "reason", "command", "ended_at"], batch_size=500
        )
        if method is not None:
            row.method = method
        _run(row, now or timezone.now())
    return row


def _run(row: RollOut, now: datetime) -> None:
    row.state, row.reason, row.finished_at = RollOutState.RUNNING, "", None
    row.wave_at, row.next_at = now, None
    row.forgiven = row.items.filter(state=ItemState.FAILED).count()
    row.save()


def halt(row: RollOut, state: RollOutState, reason: str) -> None:
    """Let nothing more go out; the caller holds the row."""
    open_items = list(row.items.filter(state=ItemState.OPEN).values_list("pk", "command_id"))
    keys = [command for _, command in open_items if command is not None]
    commands_cancel(commands=Command.objects.filter(pk__in=keys))
    back = Command.objects.filter(pk__in=keys, state=CommandState.CANCELLED)
    row.items.filter(state=ItemState.OPEN, command__in=list(back)).update(
        state=ItemState.WAITING, command=None
    )
    row.state, row.reason, row.next_at = state, reason[:255], None
    row.save(update_fields=["state", "reason", "next_at"])
