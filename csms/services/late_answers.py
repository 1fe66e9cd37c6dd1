"""Answers to calls that nobody waits for any more (F10): to which command they belong.

The call was given up, or the charge point lost its connection and answers on its next one, perhaps
to another process, or after the process that asked was killed (F15). The command's row has the
message id of its call.
"""

import uuid
from typing import NamedTuple

from csms.models import Command
from csms.models.commands import CommandState
from csms.services.commands import CommandRefused, as_stored, request_kept, rotates_key
from csms.services.facts import ChargerFacts
from csms.services.outbox import Answer, CallFailed, Replied, Unreadable, discreet
from csms.services.secrets import holds_mask, secrets_of

RECENT = 200
"""The latest commands of a charge point, among which the one is looked for."""

WITHHELD = "Not kept: it may repeat a secret of the request."


class Late(NamedTuple):
    """A command that was sent, and is answered now."""

    command_id: int
    charger: ChargerFacts
    action: str
    message_id: str
    secrets: frozenset[str] | None
    """What of the request may be neither stored nor shown; None: it was forgotten meanwhile."""


def may_be_ours(message_id: str) -> bool:
    """Whether a message id looks like one of our calls, each of which has a UUID."""
    try:
        return str(uuid.UUID(message_id)) == message_id
    except ValueError:
        return False


def command_answered(*, charger: ChargerFacts, message_id: str) -> Late | None:
    """The command of this charge point whose call this is, if its answer may still come."""
    recent = Command.objects.filter(charge_point=charger.pk).order_by("-id").values("pk")[:RECENT]
    command = Command.objects.filter(
        pk__in=recent,
        message_id=message_id,
        state__in=(CommandState.SENT, CommandState.TIMED_OUT),
    ).first()
    if command is None:
        return None
    return Late(command.pk, charger, command.action, message_id, _secrets(command))


def _secrets(command: Command) -> frozenset[str] | None:
    """The secrets of a command's request; None when it had some that are no longer known."""
    if not command.sealed and holds_mask(command.payload):
        return None
    try:
        request = request_kept(command)
    except CommandRefused:
        return None
    return None if rotates_key(request) else secrets_of(as_stored(request))


def discreet_late(answer: Answer, secrets: frozenset[str] | None) -> Answer:
    """A late answer whose texts do not repeat the secrets of the request."""
    if secrets is not None:
        return discreet(answer, secrets)
    match answer:
        case Replied(reply, _, _):
            return Replied(reply)
        case Unreadable():
            return Unreadable("", WITHHELD)
        case CallFailed():
            return CallFailed("CALLERROR", WITHHELD)
    return answer
