"""Commands to many charge points: cancelled together, counted together."""

from collections import Counter

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from csms.models import Command, CommandBatch, CommandEvent
from csms.models.commands import CommandState
from csms.services import bus


def batch_cancel(*, batch: CommandBatch, by: str = "") -> int:
    """Cancel what was not sent yet; how many."""
    now = timezone.now()
    with transaction.atomic():
        waiting = Command.objects.select_for_update(of=("self",)).filter(
            batch=batch, state=CommandState.QUEUED
        )
        ids = list(waiting.order_by("pk").values_list("pk", flat=True))
        Command.objects.filter(batch=batch, pk__in=ids).update(
            state=CommandState.CANCELLED, finished_at=now
        )
        CommandEvent.objects.bulk_create(
            CommandEvent(command_id=pk, state=CommandState.CANCELLED, by=by, at=now) for pk in ids
        )
    for pk in ids:
        bus.publish(f"command {pk}")
    return len(ids)


def batch_counts(*, batch: CommandBatch) -> tuple[dict[str, int], dict[str, int]]:
    """How many commands of a batch are in each state, and how many show each effect."""
    states: Counter[str] = Counter()
    effects: Counter[str] = Counter()
    groups = (
        Command.objects.filter(batch=batch)
        .order_by()
        .values_list("state", "effect")
        .annotate(number=Count("pk"))
    )
    for state, effect, number in groups:
        states[state] += number
        if effect:
            effects[effect] += number
    return dict(states), dict(effects)
