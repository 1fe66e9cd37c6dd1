"""Effects: whether what an accepted command asked for was seen to happen.

An effect is read from the rows that charge points' messages leave anyway (observers.py), so that
ingest knows nothing of commands. The inbox names the charge points whose messages may show one
(`touch`); all that is waiting is also looked at once in a while. Each effect has its own deadline
by setting.
"""

import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from csms.conf import settings
from csms.models import Command, CommandEvent, Transaction
from csms.models.commands import BY_CHARGE_POINT, BY_CLOCK, CommandState, Effect
from csms.services import bus
from csms.services import read_back as _read_back  # noqa: F401  registers its observers
from csms.services.observers import NOTHING, Verdict, observers
from csms.services.observers_of_reservations import reservation_used
from csms.services.reservation_uses import (
    reservation_taken,
    reservations_follow,
    reservations_held,
)
from csms.services.smart_charging import profile_started, profiles_ended
from csms.services.webhook_events import note_effect

PAGE = 500

LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""A moment that stands for all later ones: there are none to which a deadline could be added."""

MOST_OF_RETRIES = 30 * 86_400
"""Seconds by which the tries that a command asks for may put its deadline off."""

AWAITED = "effects awaited"
"""Topic: in some process a command has begun to wait for its effect."""

EFFECT_ACTIONS = frozenset(
    {
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
)
"""Messages that may be the effect of a command."""


def effect_begin(command: Command, *, now: datetime) -> None:
    """Begin to wait for the effect of a command that was accepted, or whose outcome is unknown.

    What was missing while nobody had answered is looked for once more when a late answer says yes.
    The caller saves the command.
    """
    if command.action not in observers or command.effect not in (Effect.NONE, Effect.MISSING):
        return
    if command.state != CommandState.ACCEPTED and _only_answered(command):
        return
    seconds = settings().effect_deadlines[command.action]
    if (command.answer or {}).get("status") == "Scheduled":
        seconds = settings().effect_deadlines["Scheduled"]
    command.effect, command.effect_text, command.effect_at = Effect.WAITING, "", None
    seconds += _of_retries(command)
    command.effect_until = max([now, *_not_before(command)]) + timedelta(seconds=seconds)


def _not_before(command: Command) -> Iterator[datetime]:
    """When a charge point is to begin, where the request says so (§5.19, WP L01)."""
    asked: dict[str, Any] = command.payload | command.payload.get("firmware", {})
    for name in ("retrieveDate", "retrieveDateTime", "installDateTime"):
        if name in asked:
            yield min(datetime.fromisoformat(asked[name]), LATEST)


def _of_retries(command: Command) -> int:
    """Seconds that a charge point may take for its further tries, where the request says so."""
    asked = command.payload
    seconds = int(asked.get("retries", 0)) * int(asked.get("retryInterval", 0))
    return min(seconds, MOST_OF_RETRIES)


def _only_answered(command: Command) -> bool:
    """Whether nothing but the answer tells of this effect."""
    if command.action == "ReserveNow":
        return bool(command.payload["connectorId"] == 0)
    return command.action in ("ClearChargingProfile", "SetChargingProfile", "UnlockConnector")


def effect_end(command: Command) -> None:
    """A late answer says no: nothing is waited for any more. The caller saves the command."""
    if command.effect == Effect.WAITING:
        command.effect, command.effect_until = Effect.NONE, None


def effect_watch(command: Command) -> None:
    """Look for what this command shows or waits for. To be called once it is committed: before
    that, nobody would see it."""
    if command.effect == Effect.WAITING or command.follows_id:
        bus.publish(AWAITED)
        touch([command.charge_point_id])


_guard = threading.Lock()
_touched: set[int] = set()
_watching = True


def _watch() -> None:
    """An effect is waited for; perhaps another process gets the messages that show it."""
    global _watching
    _watching = True


bus.listen(AWAITED, _watch)


def touch(charge_points: Iterable[int]) -> None:
    """The messages of these charge points may show effects; from any thread.

    Free of cost while this process knows of no effect that is waited for. It looks itself; the
    others need not know.
    """
    if _watching:
        with _guard:
            _touched.update(charge_points)
        bus.wake("effects")


def touched() -> set[int]:
    """Those since the last call."""
    with _guard:
        taken = set(_touched)
        _touched.clear()
    return taken


def effects_check(*, now: datetime, charge_points: set[int] | None = None) -> int:
    """Look for the effects that are waited for, of some charge points or all; how many ended."""
    global _watching
    rows = Command.objects.filter(effect=Effect.WAITING).select_related("charge_point")
    if charge_points is None:
        _watching = False  # before the look, so that what begins during it is not overlooked
        if rows.exists() or reservations_held():
            _watching = True
    else:
        rows = rows.filter(charge_point__in=charge_points)
    ended = 0
    for command in _in_pages(rows):
        verdict = observers[command.action](command)
        by = BY_CHARGE_POINT
        if verdict is None or verdict.effect == Effect.WAITING:
            if command.effect_until is None or command.effect_until > now:
                continue
            waited = verdict or Verdict(Effect.WAITING, NOTHING)
            verdict, by = Verdict(waited.at_deadline, waited.text), BY_CLOCK
        _conclude(command, verdict, by, now)
        ended += 1
    _reservations_used(charge_points, now)
    reservations_follow(charge_points=charge_points, now=now)
    if charge_points is None:
        profiles_ended()
    return ended


def _in_pages(rows: QuerySet[Command]) -> Iterator[Command]:
    """All rows, oldest first, without holding a cursor while others are written."""
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:PAGE]):
        yield from page
        last = page[-1].pk


def _conclude(command: Command, verdict: Verdict, by: str, now: datetime) -> None:
    """Keep what is known of an effect, unless another process was quicker."""
    with transaction.atomic():
        unchanged = Command.objects.filter(
            pk=command.pk, effect=command.effect, transaction=command.transaction_id
        )
        known = unchanged.update(
            effect=verdict.effect,
            effect_text=verdict.text[:255],
            effect_at=now,
            transaction=verdict.transaction or command.transaction,
        )
        if not known:
            return
        CommandEvent.objects.create(
            command=command,
            state=verdict.effect,
            at=now,
            by=by,
            reason=verdict.text[:500],
        )
        note_effect(command_id=command.pk, at=now)
        if command.action == "RemoteStartTransaction" and verdict.transaction is not None:
            profile_started(command, row=verdict.transaction, now=now)
        if command.action == "ReserveNow" and verdict.transaction is not None:
            reservation_taken(command, verdict.transaction)
    bus.publish(f"command {command.pk}")


def _reservations_used(charge_points: set[int] | None, now: datetime) -> None:
    """A reservation is also told which transaction used it, whatever was seen of it before."""
    rows = Command.objects.filter(action="ReserveNow", transaction=None).exclude(
        effect__in=[Effect.NONE, Effect.WAITING]
    )
    if charge_points is not None:
        rows = rows.filter(charge_point__in=charge_points)
    latest = {command.pk: command for command in rows.order_by("-id")[:PAGE]}
    if not latest:
        return
    used = set(
        Transaction.objects.filter(
            charge_point__in={command.charge_point_id for command in latest.values()},
            reservation_id__in={command.payload["reservationId"] for command in latest.values()},
            start_received_at__gte=min(
                command.sent_at for command in latest.values() if command.sent_at is not None
            ),
        ).values_list("charge_point", "reservation_id")
    )
    for pk in sorted(latest):  # the earliest first: a transaction is that of one reservation
        command = latest[pk]
        if (command.charge_point_id, command.payload["reservationId"]) in used:
            verdict = reservation_used(command)
            if verdict is not None:
                _conclude(command, verdict, BY_CHARGE_POINT, now)
