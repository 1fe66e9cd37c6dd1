"""How roll-outs advance: what became of each charge point, when to stop, whose turn it is.

All of it is in rows, so that a restart changes nothing. Whoever advances a roll-out holds its row:
of several processes one does, the others pass on.
"""

from collections import Counter
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from csms.models import Command, RollOut, RollOutItem
from csms.models.commands import CommandState, Effect
from csms.models.roll_outs import ItemState, RollOutState
from csms.services.commands import CommandRefused, command_send
from csms.services.firmware_images import firmware_request
from csms.services.locations import TransferFacts, transfer_facts
from csms.services.roll_outs import halt, roll_out_obstacle

AT_ONCE = 50
"""Commands that one step stores: the row is held meanwhile."""
NOT_KNOWN = frozenset({"NotSupported", "NotImplemented"})
SIGNED_ONLY = (
    "It does not take UpdateFirmware, as charge points do that take signed firmware only: "
    "try again with SignedUpdateFirmware."
)


def roll_outs_advance(*, now: datetime) -> int:
    """Advance all roll-outs that something may happen to; how many."""
    under_way = RollOutItem.objects.filter(roll_out=OuterRef("pk"), state=ItemState.OPEN)
    rows = RollOut.objects.filter(state=RollOutState.RUNNING).values_list("pk", flat=True)
    others = RollOut.objects.exclude(state=RollOutState.RUNNING).filter(Exists(under_way))
    keys = sorted({*rows, *others.values_list("pk", flat=True)})
    return sum(roll_out_advance(roll_out_id=key, now=now) for key in keys)


def roll_out_advance(*, roll_out_id: int, now: datetime) -> bool:
    """One step of a roll-out; false when somebody else is at it."""
    with transaction.atomic():
        row = (
            RollOut.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("image")
            .filter(pk=roll_out_id)
            .first()
        )
        if row is None:
            return False
        _look(row, now)
        if row.state == RollOutState.RUNNING:
            _step(row, now)
    return True


# ------------------------------------------------------------------- what became of them


def _look(row: RollOut, now: datetime) -> None:
    """Note who has come to an end."""
    changed = []
    for item in row.items.filter(state=ItemState.OPEN).select_related("command"):
        state, reason = _outcome(item.command)
        if state != ItemState.OPEN:
            item.state, item.reason, item.ended_at = state, reason[:255], now
            changed.append(item)
    RollOutItem.objects.bulk_update(changed, ["state", "reason", "ended_at"], batch_size=500)


def _outcome(command: Command | None) -> tuple[ItemState, str]:
    """What a command means for its charge point."""
    if command is None:
        return ItemState.FAILED, "Its command was deleted."
    if command.state in (CommandState.QUEUED, CommandState.SENT):
        return ItemState.OPEN, ""
    if command.state == CommandState.CANCELLED:
        return ItemState.LEFT_OUT, "Its command was cancelled."
    if command.state == CommandState.REJECTED:
        return ItemState.FAILED, str((command.answer or {}).get("status", "Rejected"))
    if command.state in (CommandState.ERROR, CommandState.EXPIRED):
        code = command.error.partition(":")[0]
        if command.action == "UpdateFirmware" and code in NOT_KNOWN:
            return ItemState.FAILED, SIGNED_ONLY
        return ItemState.FAILED, command.error
    if command.effect in (Effect.SEEN, Effect.ASSUMED):
        return ItemState.DONE, command.effect_text
    if command.effect == Effect.MISSING:
        return ItemState.FAILED, command.effect_text
    return ItemState.OPEN, ""


# ------------------------------------------------------------------------- whose turn it is


def _step(row: RollOut, now: datetime) -> None:
    counts = Counter(row.items.values_list("state", flat=True))
    failures = counts[ItemState.FAILED] - row.forgiven
    if failures > row.max_failures:
        text = f"{failures:,} failed, and at most {row.max_failures:,} may."
        halt(row, RollOutState.STOPPED, text)
        return
    if not counts[ItemState.WAITING]:
        if not counts[ItemState.OPEN]:
            row.state, row.finished_at = RollOutState.FINISHED, now
            row.save(update_fields=["state", "finished_at"])
        return
    turn = row.items.filter(state=ItemState.WAITING, wave__lte=row.wave)
    items = list(turn.select_related("charge_point").order_by("wave", "id")[:AT_ONCE])
    if items:
        _send(row, items, now)
    elif _wave_is_through(row, now):
        _next_wave(row, now)


def _wave_is_through(row: RollOut, now: datetime) -> bool:
    """Whether nobody of the wave is under way, but those who could not be reached for long."""
    under_way = row.items.filter(state=ItemState.OPEN, wave=row.wave)
    if now >= row.wave_at + timedelta(minutes=row.patience):
        under_way = under_way.exclude(command__state=CommandState.QUEUED)
    return not under_way.exists()


def _next_wave(row: RollOut, now: datetime) -> None:
    if row.next_at is None:
        row.next_at = now + timedelta(minutes=row.rest)
    if now >= row.next_at:
        waiting = row.items.filter(state=ItemState.WAITING, wave__gt=row.wave)
        row.wave = min(waiting.values_list("wave", flat=True))
        row.wave_at, row.next_at = now, None
    row.save(update_fields=["wave", "wave_at", "next_at"])


def _send(row: RollOut, items: list[RollOutItem], now: datetime) -> None:
    """Store the commands of some charge points of the wave."""
    facts = transfer_facts([item.charge_point for item in items])
    for item in items:
        known = facts.get(item.charge_point_id, TransferFacts())
        try:
            item.command = _command(row, item, known, now)
        except CommandRefused as refusal:
            item.state, item.reason, item.ended_at = ItemState.LEFT_OUT, str(refusal)[:255], now
        else:
            item.state = ItemState.OPEN
    RollOutItem.objects.bulk_update(items, ["command", "state", "reason", "ended_at"])
    row.wave_at = now
    row.save(update_fields=["wave_at"])


def _command(row: RollOut, item: RollOutItem, facts: TransferFacts, now: datetime) -> Command:
    """Announce the image to a charge point. Raises CommandRefused."""
    charge_point = item.charge_point
    reason = roll_out_obstacle(
        image=row.image,
        charge_point=charge_point,
        facts=facts,
        scheme=row.scheme,
        method=row.method,
    )
    if reason:
        raise CommandRefused(reason)
    waits = timedelta(hours=row.expires_hours)
    request = firmware_request(
        image=row.image,
        charge_point=charge_point,
        facts=facts,
        now=now,
        waits=waits,
        not_before=row.not_before,
        scheme=row.scheme,
        method=row.method,
        retries=row.retries,
        retry_interval=row.retry_interval,
        request_id=item.pk,
    )
    return command_send(
        charge_point=charge_point,
        request=request,
        by=row.created_by,
        expires_in=round(waits.total_seconds()),
    )
