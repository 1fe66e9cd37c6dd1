"""The durable outbox: edges claim commands, deliver them, and say what became of them.

No service asks "is it SOAP?": each edge claims what it owns.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q

from csms.conf import settings
from csms.models import ChargePoint, Command
from csms.models.charge_points import Registration, Strictness, Transport
from csms.models.commands import BY_CHARGE_POINT, BY_GATEWAY, CommandState
from csms.ocpp.base import Payload, Request
from csms.ocpp.core import ChangeConfiguration
from csms.services import bus
from csms.services.commands import (
    KEY_NAME,
    CommandRefused,
    as_stored,
    note_state,
    obstacle,
    request_kept,
    rotates_key,
)
from csms.services.configuration import configuration_answered
from csms.services.effects import effect_begin, effect_end, effect_watch
from csms.services.facts import ChargerFacts
from csms.services.local_lists import list_answered
from csms.services.metrics import meters
from csms.services.online import online_condition
from csms.services.passwords import rotation_begin, rotation_end, rotation_obstacle
from csms.services.read_back import read_back
from csms.services.secrets import masked, masked_text, secrets_of, without
from csms.services.security_profiles import raise_answered
from csms.services.smart_charging import profile_installed, profiles_cleared

AFTERWARDS = frozenset({"InternalError", "GenericError"})
"""Errors that say nothing of whether a new key was taken: then both stay (N4)."""

ACCEPTING = frozenset({"Accepted", "AcceptedCanceled", "RebootRequired", "Scheduled", "Unlocked"})
"""Answer statuses that say yes; an answer without a status says yes as well."""


class Claimed(NamedTuple):
    """A command that the claiming edge must now deliver."""

    command_id: int
    charger: ChargerFacts
    request: Request[Any]
    action: str
    message_id: str
    """A UUID: unique over all connections of a charge point (N17)."""
    callback_url: str
    secrets: frozenset[str] = frozenset()
    """What of the request may be neither stored nor shown."""


def commands_claim(
    *,
    transport: str,
    owner: str = "",
    charge_points: Collection[int] | None = None,
    limit: int = 100,
    now: datetime,
) -> list[Claimed]:
    """Take the next command of each reachable charge point that has none outstanding.

    JSON: the charge points whose connection `owner` holds; of them those of `charge_points`. SOAP:
    those that spoke within 2.5 heartbeat intervals, have a callback address, and did speak since
    it last failed.
    """
    due = _due(transport, owner, charge_points, now, limit)
    if not due:
        return []
    claimed: list[Claimed] = []
    refused: list[int] = []
    with transaction.atomic():
        rows = (
            Command.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(pk__in=due, state=CommandState.QUEUED)
            .select_related("charge_point")
            .order_by("id")
        )
        for command in rows:
            try:
                claimed.append(_claim(command, command.charge_point, now))
            except CommandRefused as refusal:
                _refuse(command, str(refusal), now)
                refused.append(command.pk)
    for pk in refused:  # who waits for it is told, and the next of its charge point may go
        bus.publish(f"command {pk}")
        bus.publish(f"commands {transport}")
    return claimed


def _due(
    transport: str, owner: str, charge_points: Collection[int] | None, now: datetime, limit: int
) -> list[int]:
    """The first command of each reachable charge point that has none outstanding, oldest first."""
    outstanding = Command.objects.filter(
        charge_point=OuterRef("charge_point"), state=CommandState.SENT
    )
    queued = Command.objects.filter(
        ~Exists(outstanding),
        state=CommandState.QUEUED,
        expires_at__gt=now,
        charge_point__transport=transport,
    ).exclude(charge_point__registration=Registration.REJECTED)
    if charge_points is not None:
        queued = queued.filter(charge_point__in=charge_points)
    if transport == Transport.JSON:
        queued = queued.filter(charge_point__connected=True, charge_point__owner=owner)
    else:
        failed_at = F("charge_point__callback_failed_at")
        queued = (
            queued.filter(charge_point__in=ChargePoint.objects.filter(online_condition(now)))
            .exclude(charge_point__callback_url="")
            .filter(
                Q(charge_point__callback_failed_at=None) | Q(charge_point__last_seen__gt=failed_at)
            )
        )
    first = queued.order_by().values("charge_point").annotate(first=Min("id")).order_by("first")
    return list(first.values_list("first", flat=True)[:limit])


def _claim(command: Command, charge_point: ChargePoint, now: datetime) -> Claimed:
    """Mark a command as sent. Raises CommandRefused when it cannot be sent any more."""
    request = request_kept(command)
    reason = obstacle(charge_point, request)
    if reason:
        raise CommandRefused(reason)
    if rotates_key(request):
        reason = rotation_obstacle(charge_point)
        if reason:
            raise CommandRefused(reason)
        request = ChangeConfiguration(key=request.key, value=rotation_begin(charge_point))
    command.state = CommandState.SENT
    command.sent_at = max(now, command.created_at)  # `now` is from before the look
    command.before = charge_point.firmware_version
    command.message_id = str(uuid.uuid4())
    command.error = ""  # why an earlier try failed
    command.save(update_fields=["state", "sent_at", "message_id", "before", "error"])
    note_state(command, by=f"{BY_GATEWAY} {charge_point.owner}".strip())
    return Claimed(
        command_id=command.pk,
        charger=ChargerFacts(
            pk=charge_point.pk,
            identity=charge_point.identity,
            transport=charge_point.transport,
            strict=charge_point.strictness == Strictness.STRICT,
            time_zone=charge_point.time_zone,
            authenticated=False,
            epoch=charge_point.epoch if charge_point.transport == Transport.JSON else 0,
        ),
        request=request,
        action=command.action,
        message_id=command.message_id,
        callback_url=charge_point.callback_url,
        secrets=secrets_of(as_stored(request)),
    )


def _refuse(command: Command, reason: str, now: datetime) -> None:
    """End a command that became impossible while it waited."""
    command.state = CommandState.ERROR
    command.error = reason[:500]
    command.finished_at = now
    command.sealed = ""
    command.save(update_fields=["state", "error", "finished_at", "sealed"])
    note_state(command, by=BY_GATEWAY, reason=reason)
    meters.end(command.state)


@dataclass(frozen=True, slots=True)
class Replied:
    """The charge point answered; `raw` is its frame or envelope."""

    reply: Payload
    raw: str = ""
    notes: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The charge point answered something that is no reply of this action."""

    raw: str
    why: str


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The charge point answered with a CALLERROR or a Fault."""

    code: str
    description: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """It may have been received: the outcome is unknown, and it is not sent again by itself."""

    why: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """It certainly was not received: it waits for the charge point's next contact."""

    why: str


@dataclass(frozen=True, slots=True)
class Unsendable:
    """It cannot be written as a message at all, and never was sent: it ends."""

    why: str


Answer = Replied | Unreadable | CallFailed | NoAnswer | NotSent | Unsendable


def discreet(answer: Answer, secrets: frozenset[str]) -> Answer:
    """An answer whose texts do not repeat the secrets of the request."""
    match answer:
        case Unreadable(raw, why):
            return Unreadable(without(raw, secrets), without(why, secrets))
        case CallFailed(code, description, raw):
            return CallFailed(
                without(code, secrets), without(description, secrets), without(raw, secrets)
            )
    return answer


def command_complete(*, command_id: int, answer: Answer, now: datetime) -> None:
    """Note what became of a sent command. A late answer still updates its row (F10)."""
    with transaction.atomic():
        command = (
            Command.objects.select_for_update(of=("self",))
            .select_related("charge_point")
            .filter(pk=command_id)
            .first()
        )
        if command is None or command.state not in (CommandState.SENT, CommandState.TIMED_OUT):
            return
        late = command.state == CommandState.TIMED_OUT
        if late and isinstance(answer, NoAnswer | NotSent):
            return
        reason = _apply(command, answer, now)
        command.finished_at = None if command.state == CommandState.QUEUED else now
        if command.finished_at is not None:
            command.sealed = ""  # it is not sent again
            raise_answered(command)
        if command.state == CommandState.ACCEPTED:
            accepted(command, now)
        elif command.state == CommandState.REJECTED and command.action == "ClearChargingProfile":
            profiles_cleared(command)  # 5.5 Unknown: it has none that fit
        if command.state in (CommandState.ACCEPTED, CommandState.TIMED_OUT):
            read_back(command)
            effect_begin(command, now=now)
        elif late:
            effect_end(command)
        command.save()
        configuration_answered(command, now=now)
        list_answered(command, now=now)
        said = not isinstance(answer, NoAnswer | NotSent | Unsendable)
        note_state(
            command,
            by=BY_CHARGE_POINT if said else BY_GATEWAY,
            reason=f"late answer. {reason}".strip() if late else reason,
        )
    if command.finished_at is not None:
        meters.end(command.state)
    effect_watch(command)
    bus.publish(f"commands {command.charge_point.transport}")
    bus.publish(f"command {command_id}")


def _apply(command: Command, answer: Answer, now: datetime) -> str:
    """Set the state that an answer means; returns the reason in words."""
    match answer:
        case Replied(reply, raw, _):
            command.answer = masked(as_stored(reply))
            command.raw_answer = ""
            command.error = ""
            status = command.answer.get("status", "Accepted")
            command.state = CommandState.ACCEPTED if status in ACCEPTING else CommandState.REJECTED
            _callback_works(command.charge_point)
            if _rotated(command):
                rotation_end(command.charge_point, status=status)
            return str(command.answer.get("status", ""))
        case Unreadable(raw, why):
            command.state = CommandState.ERROR
            command.raw_answer = masked_text(raw)
            command.error = f"The answer could not be read: {masked_text(why)}"[:500]
        case CallFailed(code, description, raw):
            command.state = CommandState.ERROR
            command.raw_answer = masked_text(raw)
            command.error = f"{code}: {masked_text(description)}"[:500]
            _callback_works(command.charge_point)
            if _rotated(command) and code not in AFTERWARDS:
                rotation_end(command.charge_point, status="Rejected")
        case Unsendable(why):
            command.state = CommandState.ERROR
            command.error = why[:500]
            if _rotated(command):
                rotation_end(command.charge_point, status="Rejected")
        case NoAnswer(why):
            command.state = CommandState.TIMED_OUT
            command.error = why[:500]
        case NotSent(why):
            command.state = CommandState.QUEUED
            command.sent_at = None
            command.error = why[:500]
            charge_point = command.charge_point
            if charge_point.callback_url:
                charge_point.callback_error = why[:255]
                charge_point.callback_failed_at = now
                charge_point.save(update_fields=["callback_error", "callback_failed_at"])
    return command.error


def _rotated(command: Command) -> bool:
    key = str(command.payload.get("key", ""))
    return command.action == "ChangeConfiguration" and key.casefold() == KEY_NAME


def accepted(command: Command, now: datetime) -> None:
    """What is known of a charge point because it accepted a command."""
    match command.action:
        case "SetChargingProfile":
            profile_installed(command, now=now)
        case "ClearChargingProfile":
            profiles_cleared(command)


def _callback_works(charge_point: ChargePoint) -> None:
    if charge_point.callback_error or charge_point.callback_failed_at:
        charge_point.callback_error = ""
        charge_point.callback_failed_at = None
        charge_point.save(update_fields=["callback_error", "callback_failed_at"])


# ------------------------------------------------------------------ by the clock


def commands_expire(*, now: datetime) -> int:
    """End what waited too long, and what a process that has died left as sent (F15)."""
    count = _end(
        Command.objects.filter(state=CommandState.QUEUED, expires_at__lte=now),
        CommandState.EXPIRED,
        "The charge point could not be reached in time.",
        now,
    )
    forgotten = now - timedelta(seconds=3 * settings().call_timeout)
    return count + _end(
        Command.objects.filter(state=CommandState.SENT, sent_at__lte=forgotten),
        CommandState.TIMED_OUT,
        "The process that sent it has ended: the outcome is unknown.",
        now,
    )


def _end(rows: Any, state: CommandState, reason: str, now: datetime) -> int:
    due = list(rows.values_list("pk", flat=True)[:500])
    if not due:
        return 0
    with transaction.atomic():
        ended = list(rows.filter(pk__in=due).select_for_update(of=("self",)))
        for command in ended:
            command.state = state
            command.error = f"{reason} {command.error}".strip()[:500]  # why the last try failed
            command.finished_at = now
            command.sealed = ""
            if state == CommandState.TIMED_OUT:
                raise_answered(command)
                read_back(command)
                effect_begin(command, now=now)
            command.save()
            note_state(command, reason=command.error)
    for command in ended:
        meters.end(command.state)
        effect_watch(command)
        bus.publish(f"command {command.pk}")
    bus.publish("commands")
    return len(ended)
