"""Commands that failed are sent again: as new ones, which may wait as long as the first might."""

from django.db import transaction
from django.db.models import Q

from csms.models import ChargePoint, Command, CommandBatch
from csms.models.commands import CommandState, Effect
from csms.services.commands import (
    CommandRefused,
    batch_send,
    command_send,
    request_whole,
)

FAILED_STATES = frozenset(
    {CommandState.REJECTED, CommandState.ERROR, CommandState.TIMED_OUT, CommandState.EXPIRED}
)
FAILED = Q(state__in=FAILED_STATES) | Q(effect=Effect.MISSING)
"""Commands that did not do what was asked, as far as is known."""


def command_repeat(*, command: Command, by: str = "") -> Command:
    """Send a command again, as a new one. Raises CommandRefused."""
    return command_send(
        charge_point=command.charge_point,
        request=request_whole(command.action, command.payload),
        by=by,
        expires_in=_patience(command),
    )


def batch_repeat(*, batch: CommandBatch, by: str = "") -> CommandBatch:
    """Send what failed of a batch again, as a new batch. Raises CommandRefused.

    Left out are charge points that were sent the same since, unless that failed as well: a button
    that is pressed twice sends once.
    """
    request = request_whole(batch.action, batch.payload)
    with transaction.atomic():
        CommandBatch.objects.select_for_update().get(pk=batch.pk)  # one press at a time
        failed = {row.charge_point_id: row for row in batch.commands.filter(FAILED)}
        if not failed:
            raise CommandRefused("Nothing of it has failed.")
        keys = failed.keys() - _sent_since(batch, failed)
        if not keys:
            raise CommandRefused("Those that failed were sent it again since then.")
        return batch_send(
            charge_points=ChargePoint.objects.filter(pk__in=keys),
            request=request,
            by=by,
            expires_in=_patience(next(iter(failed.values()))),
        )


def _sent_since(batch: CommandBatch, failed: dict[int, Command]) -> set[int]:
    """The charge points whose same command, asked for later, waits, is on its way or was done."""
    later = Command.objects.filter(
        charge_point__in=failed,
        action=batch.action,
        id__gt=min(row.pk for row in failed.values()),
    )
    rows = later.exclude(FAILED).exclude(state=CommandState.CANCELLED).order_by()
    return {
        charge_point
        for charge_point, pk, payload in rows.values_list("charge_point", "pk", "payload")
        if pk > failed[charge_point].pk and payload == batch.payload
    }


def _patience(command: Command) -> int:
    """Seconds for which a command might wait for its charge point."""
    return max(1, round((command.expires_at - command.created_at).total_seconds()))
