"""Commands to charge points: what people and programs ask for. How they are delivered: outbox.py.

Every change of state is kept as a CommandEvent.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from csms.models import ChargePoint, Command, CommandBatch, CommandEvent
from csms.models.charge_points import Registration, Transport
from csms.models.commands import CommandState
from csms.ocpp import registry
from csms.ocpp.base import Profile, Request, action, validated
from csms.ocpp.errors import ProtocolError
from csms.ocpp.explain import explain
from csms.services import bus

EXPIRES_IN = 3600
"""Seconds for which a command waits for its charge point, unless said otherwise."""

NOT_WHILE_PENDING = frozenset({"RemoteStartTransaction", "RemoteStopTransaction"})


class CommandRefused(ValueError):
    """The command cannot be sent to this charge point; the message says why."""


# --------------------------------------------------------------------- asking for one


def request_of(name: str, payload: Any) -> Request[Any]:
    """The request of an action and its JSON payload. Raises CommandRefused naming the field."""
    declaration = registry.from_central_system(name)
    if declaration is None:
        raise CommandRefused(f"{name} is no operation of the central system in OCPP 1.6.")
    try:
        return msgspec.convert(payload, declaration)
    except (msgspec.ValidationError, ValueError) as error:
        raise _not_valid(name, explain(error)) from None


def _not_valid(name: str, problem: ProtocolError) -> CommandRefused:
    where = f"{problem.path}: " if problem.path else ""
    return CommandRefused(f"{name} cannot be sent: {where}{problem.description}")


def _checked(request: Request[Any]) -> Request[Any]:
    """The request as it may be stored and sent; constructing one checks nothing."""
    try:
        return validated(request)
    except ProtocolError as problem:
        raise _not_valid(action(type(request)), problem) from None


def obstacle(charge_point: ChargePoint, request: Request[Any]) -> str:
    """Why this charge point can never take this request now; empty when it can (N26, N28, N30)."""
    name = action(type(request))
    if charge_point.transport == Transport.SOAP and not request.soap:
        return f"{name} belongs to the security extension, which does not exist over SOAP."
    if charge_point.registration == Registration.REJECTED:
        return f"{charge_point} is Rejected: nothing is sent to it."
    if charge_point.registration == Registration.PENDING and name in NOT_WHILE_PENDING:
        return f"{charge_point} is Pending: {name} is not allowed before it is accepted."
    profiles = charge_point.feature_profiles.split(",")
    if len(profiles) > 1 and request.profile.value not in (*profiles, Profile.SECURITY.value):
        return f"{charge_point} does not support the profile {request.profile.value}."
    triggered = getattr(request, "requested_message", None)
    if triggered == "BootNotification" and charge_point.registration == Registration.ACCEPTED:
        return f"{charge_point} is Accepted: BootNotification is triggered only while Pending."
    return ""


def command_send(
    *,
    charge_point: ChargePoint,
    request: Request[Any],
    by: str = "",
    expires_in: int = EXPIRES_IN,
    follows: Command | None = None,
) -> Command:
    """Store a command and wake the edge; it waits until the charge point connects or `expires_in`
    seconds have passed. Raises CommandRefused."""
    request = _checked(request)
    reason = obstacle(charge_point, request)
    if reason:
        raise CommandRefused(reason)
    now = timezone.now()
    with transaction.atomic():
        command = Command.objects.create(
            charge_point=charge_point,
            action=action(type(request)),
            payload=msgspec.to_builtins(request),
            requested_by=by,
            created_at=now,
            expires_at=now + timedelta(seconds=expires_in),
            follows=follows,
        )
        note_state(command, by=by)
    bus.publish("commands")
    return command


def batch_send(
    *,
    charge_points: Iterable[ChargePoint],
    request: Request[Any],
    by: str = "",
    expires_in: int = EXPIRES_IN,
) -> CommandBatch:
    """Store one command for each of many charge points; those that cannot take it are named in
    `refused`, with the reason. Raises CommandRefused when the request is not valid at all."""
    request = _checked(request)
    now = timezone.now()
    batch = CommandBatch(
        action=action(type(request)),
        payload=msgspec.to_builtins(request),
        requested_by=by,
        created_at=now,
    )
    takers = []
    for charge_point in charge_points:
        reason = obstacle(charge_point, request)
        if reason:
            batch.refused.append([charge_point.identity, reason])
        else:
            takers.append(charge_point)
    with transaction.atomic():
        batch.save()
        commands = Command.objects.bulk_create(
            Command(
                batch=batch,
                charge_point=charge_point,
                action=batch.action,
                payload=batch.payload,
                requested_by=by,
                created_at=now,
                expires_at=now + timedelta(seconds=expires_in),
            )
            for charge_point in takers
        )
        CommandEvent.objects.bulk_create(
            CommandEvent(command=command, state=command.state, by=by, at=now)
            for command in commands
        )
    bus.publish("commands")
    return batch


def command_repeat(*, command: Command, by: str = "", expires_in: int = EXPIRES_IN) -> Command:
    """Send a command again, as a new one. Raises CommandRefused."""
    return command_send(
        charge_point=command.charge_point,
        request=request_of(command.action, command.payload),
        by=by,
        expires_in=expires_in,
    )


def command_cancel(*, command: Command, by: str = "") -> bool:
    """Cancel a command that was not sent yet; false when it was."""
    with transaction.atomic():
        changed = Command.objects.filter(pk=command.pk, state=CommandState.QUEUED).update(
            state=CommandState.CANCELLED, finished_at=timezone.now()
        )
        if changed:
            command.state = CommandState.CANCELLED
            note_state(command, by=by)
    return bool(changed)


def note_state(command: Command, *, by: str = "", reason: str = "") -> None:
    CommandEvent.objects.create(
        command=command, state=command.state, by=by, reason=reason[:500], at=timezone.now()
    )
