"""Commands to charge points: what people and programs ask for. How they are delivered: outbox.py.

Every change of state is kept as a CommandEvent.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, TypeGuard

import msgspec
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from csms.conf import settings
from csms.models import ChargePoint, Command, CommandBatch, CommandEvent
from csms.models.charge_points import Registration, Transport
from csms.models.commands import BY_CLOCK, CommandState
from csms.ocpp import registry
from csms.ocpp.base import Payload, Profile, Request, action, encode_json, validated
from csms.ocpp.core import ChangeConfiguration
from csms.ocpp.errors import ProtocolError
from csms.ocpp.explain import explain, values_at
from csms.services import bus
from csms.services.configuration_rules import (
    Known,
    configuration_known,
    configuration_obstacle,
)
from csms.services.firmware_signatures import firmware_problem
from csms.services.request_rules import request_problem
from csms.services.reservation_states import reservations_noted
from csms.services.sealing import CannotOpen, seal, unseal
from csms.services.secrets import MASK, holds_mask, masked
from csms.services.security_profiles import raise_obstacle
from csms.services.webhook_events import note_command

EXPIRES_IN = 3600
"""Seconds for which a command waits for its charge point, unless said otherwise."""

MOST_VALUES = 12
"""Values of an enumeration that are named where one is wrong."""

NOT_WHILE_PENDING = frozenset({"RemoteStartTransaction", "RemoteStopTransaction"})


KEY_NAME = "authorizationkey"
ROTATE = "rotate"
"""The value with which a change of AuthorizationKey is asked for and stored (N5)."""


LACKS = {
    "1.2": frozenset(Profile) - {Profile.CORE, Profile.FIRMWARE_MANAGEMENT},
    "1.5": frozenset({Profile.REMOTE_TRIGGER, Profile.SECURITY, Profile.SMART_CHARGING}),
}
"""The profiles that came after a version of OCPP."""

AFTER_1_2 = frozenset({"DataTransfer", "GetConfiguration"})
"""Operations of the others that came with OCPP 1.5."""


class CommandRefused(ValueError):
    """The command cannot be sent to this charge point; the message says why."""


class PayloadRefused(CommandRefused):
    """The request is not valid, whatever the charge point; `path` says where in its payload."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


# --------------------------------------------------------------------- asking for one


def request_of(name: str, payload: Any) -> Request[Any]:
    """The request of an action and its JSON payload. Raises CommandRefused naming the field."""
    declaration = registry.from_central_system(name)
    if declaration is None:
        raise CommandRefused(no_operation(name))
    try:
        return msgspec.convert(payload, declaration)
    except (msgspec.ValidationError, ValueError) as error:
        raise _not_valid(name, explain(error)) from None


def no_operation(name: str) -> str:
    """What is said of an operation that does not exist."""
    known = {it.casefold(): it for it in registry.ACTIONS if registry.from_central_system(it)}
    near = get_close_matches(name.casefold(), known, n=1)
    meant = f": {known[near[0]]} is." if near else "."
    return f"{name} is no operation of the central system in OCPP 1.6{meant}"


def _not_valid(name: str, problem: ProtocolError) -> CommandRefused:
    named = not problem.path or problem.path in problem.description
    where = "" if named else f"{problem.path}: "
    says = problem.description
    values = values_at(registry.from_central_system(name), problem.path)
    if values and len(values) <= MOST_VALUES:
        says = f"{says} It may be {', '.join(values[:-1])} or {values[-1]}."
    return PayloadRefused(f"{name} cannot be sent: {where}{says}", path=problem.path)


def _checked(request: Request[Any]) -> Request[Any]:
    """The request as it may be stored and sent; constructing one checks nothing."""
    if rotates_key(request) and request.value != ROTATE:
        raise PayloadRefused(
            f"ChangeConfiguration cannot be sent: value: write {ROTATE!r}; the new key "
            "is made when it is sent, so that it is stored nowhere.",
            path="value",
        )
    now = timezone.now()
    flaw, path = firmware_problem(request, now=now)
    if not flaw:
        flaw, path = request_problem(request, now=now)
    if flaw:
        name = action(type(request))
        raise PayloadRefused(f"{name} cannot be sent: {path}: {flaw}", path=path)
    try:
        request = validated(request)
    except ProtocolError as error:
        raise _not_valid(action(type(request)), error) from None
    place = _mask_place(as_stored(request))
    if place is not None:
        raise PayloadRefused(
            f"{action(type(request))} cannot be sent: {place}: {MASK} only stands for a secret; "
            "write the secret itself.",
            path=place,
        )
    return request


def _mask_place(plain: Any, path: str = "") -> str | None:
    """Where in plain values a mask stands, as somebody copied it from a page; None: nowhere."""
    if isinstance(plain, dict):
        inside = ((value, f"{path}.{name}".lstrip(".")) for name, value in plain.items())
    elif isinstance(plain, list):
        inside = ((value, f"{path}[{number}]") for number, value in enumerate(plain))
    else:
        return path if holds_mask(plain) else None
    return next((found for each in inside if (found := _mask_place(*each)) is not None), None)


def as_stored(payload: Payload) -> dict[str, Any]:
    """A request or reply as JSON keeps it: times are texts, decimals are numbers."""
    plain: dict[str, Any] = msgspec.json.decode(encode_json(payload))
    return plain


def as_kept(request: Request[Any]) -> dict[str, Any]:
    """The columns that hold a request while it waits: its secrets masked, and sealed beside it."""
    payload = as_stored(request)
    public = payload if rotates_key(request) else masked(payload)
    return {"payload": public, "sealed": "" if public == payload else seal(payload)}


def request_kept(command: Command) -> Request[Any]:
    """The request that a waiting command is to send, with its secrets. Raises CommandRefused."""
    if not command.sealed:
        return request_whole(command.action, command.payload)
    try:
        return request_of(command.action, unseal(command.sealed))
    except CannotOpen as problem:
        raise CommandRefused(str(problem)) from None


def request_whole(name: str, payload: Any) -> Request[Any]:
    """The request of a stored payload. Raises CommandRefused when a secret of it was masked."""
    if holds_mask(payload):
        raise CommandRefused("Its secret value is no longer kept: send it anew.")
    return request_of(name, payload)


def rotates_key(request: Request[Any]) -> TypeGuard[ChangeConfiguration]:
    """Whether a request sets the AuthorizationKey (WP A01)."""
    return isinstance(request, ChangeConfiguration) and request.key.casefold() == KEY_NAME


def obstacle(charge_point: ChargePoint, request: Request[Any], known: Known | None = None) -> str:
    """Why this charge point can never take this request now; empty when it can (N26, N28, N30)."""
    reason = operation_obstacle(charge_point, type(request))
    if rotates_key(request) and charge_point.transport == Transport.SOAP:
        return "AuthorizationKey belongs to the security extension, which is not over SOAP."
    reason = reason or raise_obstacle(charge_point, request)
    reason = reason or configuration_obstacle(charge_point, request, known)
    triggered = getattr(request, "requested_message", None)
    if reason or triggered != "BootNotification":
        return reason
    if charge_point.registration == Registration.ACCEPTED:
        return f"{charge_point} is Accepted: BootNotification is triggered only while Pending."
    return ""


def operation_obstacle(charge_point: ChargePoint, request: type[Request[Any]]) -> str:
    """Why this charge point can take no such request now, whatever it holds; empty when it can."""
    name = action(request)
    if charge_point.transport == Transport.SOAP and not request.soap:
        return f"{name} belongs to the security extension, which does not exist over SOAP."
    version = charge_point.version
    if request.profile in LACKS.get(version, ()) or (version == "1.2" and name in AFTER_1_2):
        return f"{charge_point} speaks OCPP {version}, which has no {name}."
    if charge_point.registration == Registration.REJECTED:
        return f"{charge_point} is Rejected: nothing is sent to it."
    if charge_point.registration == Registration.PENDING and name in NOT_WHILE_PENDING:
        return f"{charge_point} is Pending: {name} is not allowed before it is accepted."
    known = charge_point.feature_profiles.split(",") if charge_point.feature_profiles else []
    if known and request.profile.value not in (*known, Profile.SECURITY.value):
        return f"{charge_point} does not support the profile {request.profile.value}."
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
            requested_by=by,
            created_at=now,
            expires_at=now + timedelta(seconds=expires_in),
            follows=follows,
            **as_kept(request),
        )
        note_state(command, by=by)
    _wake(f"commands {charge_point.transport}")
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
    kept = as_kept(request)
    batch = CommandBatch(
        action=action(type(request)),
        payload=kept["payload"],
        requested_by=by,
        created_at=now,
    )
    takers, asked = [], list(charge_points)
    known = configuration_known(asked, request)
    for charge_point in asked:
        reason = obstacle(charge_point, request, known)
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
                requested_by=by,
                created_at=now,
                expires_at=now + timedelta(seconds=expires_in),
                **kept,
            )
            for charge_point in takers
        )
        CommandEvent.objects.bulk_create(
            CommandEvent(command=command, state=command.state, by=by, at=now)
            for command in commands
        )
        reservations_noted(commands)
    _wake("commands")
    return batch


def command_cancel(*, command: Command, by: str = "") -> bool:
    """Cancel a command that was not sent yet; false when it was."""
    return bool(commands_cancel(commands=Command.objects.filter(pk=command.pk), by=by))


def commands_cancel(*, commands: QuerySet[Command], by: str = "") -> int:
    """Cancel those of many commands that were not sent yet; how many these were."""
    now = timezone.now()
    with transaction.atomic():
        queued = commands.filter(state=CommandState.QUEUED).select_for_update(of=("self",))
        cancelled = list(queued.order_by("id"))
        for command in cancelled:
            command.state = CommandState.CANCELLED
            command.finished_at = now
            command.sealed = ""  # it is not sent any more
        Command.objects.bulk_update(cancelled, ["state", "finished_at", "sealed"])
        CommandEvent.objects.bulk_create(
            CommandEvent(command=command, state=command.state, by=by, at=now)
            for command in cancelled
        )
        for command in cancelled:
            note_command(command)
        reservations_noted(cancelled)
    _wake("commands", *(f"command {command.pk}" for command in cancelled))
    return len(cancelled)


# ------------------------------------------------------------------------- why one waits


def with_outstanding(commands: QuerySet[Command]) -> QuerySet[Command]:
    """The same commands, each with `outstanding`: the action that its charge point has yet to
    answer, None when there is none. In the same query."""
    sent = Command.objects.filter(charge_point=OuterRef("charge_point"), state=CommandState.SENT)
    return commands.annotate(outstanding=Subquery(sent.order_by().values("action")[:1]))


def callback_failed(charge_point: ChargePoint) -> bool:
    """Whether a SOAP charge point could not be called, and has said nothing since."""
    failed, seen = charge_point.callback_failed_at, charge_point.last_seen
    if charge_point.transport != Transport.SOAP or failed is None:
        return False
    return seen is None or seen <= failed


def callback_problem(charge_point: ChargePoint) -> str:
    """Why a SOAP charge point cannot be called until it says something; empty when it can."""
    if not callback_failed(charge_point):
        return ""
    return f"{charge_point.callback_error.rstrip('.')}; tried again at its next contact"


def waiting_reason(command: Any, *, now: datetime) -> str:
    """Why a command of `with_outstanding` (its charge point loaded) was not sent yet, in words;
    empty when it was."""
    if command.state != CommandState.QUEUED:
        return ""
    charge_point: ChargePoint = command.charge_point
    until = f"(or expires at {command.expires_at:%Y-%m-%d %H:%M} UTC)"
    if charge_point.registration == Registration.REJECTED:
        return f"waits until the charge point is accepted {until}"
    problem = callback_problem(charge_point)
    if problem:
        return problem
    if not charge_point.is_online(now=now, heartbeat_interval=settings().heartbeat_interval):
        return f"waits until it connects {until}"
    if charge_point.transport == Transport.SOAP and not charge_point.callback_url:
        return f"waits until its callback address is known {until}"
    if command.outstanding:
        return f"waits for {command.outstanding}"
    return "is sent in a moment"


def _wake(*topics: str) -> None:
    """Wake the edges once the commands are committed: sooner they would look in vain."""

    def publish() -> None:
        for topic in topics:
            bus.publish(topic)

    transaction.on_commit(publish)


def note_state(command: Command, *, by: str = BY_CLOCK, reason: str = "") -> None:
    """Keep a change of a command's state."""
    CommandEvent.objects.create(
        command=command, state=command.state, by=by, reason=reason[:500], at=timezone.now()
    )
    note_command(command)
    reservations_noted([command])
