"""Decide one message over what was loaded: reply or error, and what is recorded beside it."""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from csms.conf import Settings
from csms.models.charge_points import Registration
from csms.ocpp.base import Payload, Request, validated
from csms.ocpp.core import (
    BootNotification,
    BootNotificationResponse,
    DataTransferResponse,
    MeterValuesResponse,
    StartTransactionResponse,
    StopTransactionResponse,
)
from csms.ocpp.errors import InternalFailure, ProtocolError, SecurityViolation, UnsupportedAction
from csms.ocpp.tolerance import Note
from csms.ocpp.types import AuthorizationStatus, IdTagInfo, RegistrationStatus
from csms.services import charge_points
from csms.services.dispatch import Context, handlers
from csms.services.facts import ChargerFacts
from csms.services.metering import digest_of
from csms.services.transactions import new_transaction_id
from csms.services.world import NOTHING, Needs, World

logger = logging.getLogger(__name__)

TRANSACTION_ACTIONS = frozenset({"StartTransaction", "StopTransaction", "MeterValues"})
WHILE_PENDING = frozenset(
    {
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StatusNotification",
    }
)
"""What a Pending charge point may send: its boot, and what can be triggered (§4.2, WP)."""


class Outcome(NamedTuple):
    """What the edge sends."""

    text: str
    reply: Payload | None
    error: ProtocolError | None


class Incoming(msgspec.Struct, kw_only=True):
    """One message of a charge point, ready to be decided."""

    charger: ChargerFacts | None
    """None: nobody knows this identity (SOAP only)."""
    identity: str
    transport: str
    action: str
    """As sent; empty when it could not be read."""
    message_id: str
    raw: str
    """The frame or envelope as text, for the log."""
    request: Request[Any] | None
    """None when it could not be read; then `error` says why."""
    error: ProtocolError | None = None
    notes: tuple[Note, ...] = ()
    remote_address: str = ""
    callback: str = ""
    """SOAP: the address of wsa:From, as sent."""
    encode: Callable[[Payload | ProtocolError], str]
    """Pure; makes the answer's frame or envelope. Run in the worker, so that the log holds it."""
    received_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    prepared: DataTransferResponse | None = None
    """What an installed handler answers (data_transfer.py)."""


class Superseded(Exception):
    """The charge point has a newer connection; this one's messages no longer count."""


def needs_of(incoming: Incoming) -> Needs:
    """What must be loaded for a message."""
    if incoming.request is None:
        return NOTHING
    handler = handlers.get(type(incoming.request))
    return NOTHING if handler is None else handler.needs(incoming.request, incoming.notes)


def decide(incoming: Incoming, world: World, settings: Settings) -> tuple[Outcome, list[Note], str]:
    """The outcome of one message, the deviations seen, and why it failed (for the log, or empty).

    An exception of a handler fails only its own message. Raises Superseded.
    """
    charger = incoming.charger
    charge_point = None if charger is None else world.charge_points.get(charger.pk)
    if charger is None or charge_point is None:
        return _stranger(incoming, world, settings)
    if charger.epoch and charger.epoch != charge_point.epoch:
        raise Superseded
    context = Context(
        world=world,
        charge_point=charge_point,
        now=incoming.received_at,
        settings=settings,
        transport=incoming.transport,
        remote_address=incoming.remote_address,
        notes=incoming.notes,
        prepared=incoming.prepared,
    )
    charge_points.notice(context, callback=incoming.callback, authenticated=charger.authenticated)
    try:
        reply, problem = _answer(incoming, context, strict=charger.strict)
        outcome = _encoded(incoming, reply)
    except ProtocolError as error:
        outcome, problem = _failed(incoming, error), _problem(error)
    notes = [*incoming.notes, *context.remarks]
    for note in notes:
        world.deviate(charge_point.pk, note.name, f"{note.path}: {note.was}", incoming.received_at)
    if context.quarantined:
        quarantine(incoming, world, context.quarantined)
    return outcome, notes, problem


def _answer(incoming: Incoming, context: Context, *, strict: bool) -> tuple[Payload, str]:
    _may_send(incoming.action, context)
    if incoming.error is not None:
        if strict or incoming.action not in TRANSACTION_ACTIONS:
            raise incoming.error
        context.quarantined = incoming.error.description[:255] or "not readable"
        return _anyway(incoming.action), _problem(incoming.error)
    assert incoming.request is not None
    handler = handlers.get(type(incoming.request))
    if handler is None:
        raise UnsupportedAction(f"{incoming.action} is not for a central system.")
    context.world.begin()
    try:
        return validated(handler.decide(incoming.request, context)), ""
    except ProtocolError as error:
        context.world.undo()
        if strict or incoming.action not in TRANSACTION_ACTIONS:
            raise
        context.quarantined = error.description[:255]
        return _anyway(incoming.action), _problem(error)
    except Exception:
        context.world.undo()
        logger.exception(
            "The handler of %s failed for %s",
            *(incoming.action, incoming.identity),
            extra={"charge_point": incoming.identity, "message_id": incoming.message_id},
        )
        if incoming.action not in TRANSACTION_ACTIONS:
            raise InternalFailure("An internal error occurred.") from None
        context.quarantined = "an internal error occurred while it was handled"
        return _anyway(incoming.action), context.quarantined


def _anyway(action: str) -> Payload:
    """The answer to a transaction message whose meaning could not be had: it is in quarantine.

    A refused one would be repeated for ever and block what waits behind it (§3.7).
    """
    if action == "StartTransaction":
        return StartTransactionResponse(
            transaction_id=new_transaction_id(),
            id_tag_info=IdTagInfo(status=AuthorizationStatus.INVALID),
        )
    return StopTransactionResponse() if action == "StopTransaction" else MeterValuesResponse()


def _may_send(action: str, context: Context) -> None:
    """§4.2: before it is accepted a charge point may hardly send anything (N26).

    Transaction messages of one that was accepted once are always kept and answered.
    """
    charge_point = context.charge_point
    if charge_point.registration == Registration.ACCEPTED or action == "BootNotification":
        return
    if charge_point.ever_accepted and (
        action in TRANSACTION_ACTIONS or charge_point.registration == Registration.PENDING
    ):
        return
    if charge_point.registration == Registration.PENDING and action in WHILE_PENDING:
        return
    raise SecurityViolation(
        f"{action or 'This message'} is not allowed while the charge point is "
        f"{charge_point.registration}; send BootNotification."
    )


def _stranger(
    incoming: Incoming, world: World, settings: Settings
) -> tuple[Outcome, list[Note], str]:
    """An identity that nobody knows: its boot is Rejected and listed, all else refused."""
    problem = "unknown identity"
    if isinstance(incoming.request, BootNotification):
        world.knock(
            incoming.identity,
            incoming.transport,
            remote_address=incoming.remote_address,
            vendor=incoming.request.charge_point_vendor,
            model=incoming.request.charge_point_model,
            at=incoming.received_at,
        )
        reply = BootNotificationResponse(
            status=RegistrationStatus.REJECTED,
            current_time=incoming.received_at,
            interval=settings.boot_retry_interval,
        )
        return _encoded(incoming, validated(reply)), list(incoming.notes), problem
    world.knock(
        incoming.identity,
        incoming.transport,
        remote_address=incoming.remote_address,
        at=incoming.received_at,
    )
    error = incoming.error or SecurityViolation("The charge point is not known here.")
    return _failed(incoming, error), list(incoming.notes), problem


def failed(incoming: Incoming) -> Outcome:
    """The answer to a message that could not be stored as what it is."""
    if incoming.charger is not None and incoming.action in TRANSACTION_ACTIONS:
        return _encoded(incoming, _anyway(incoming.action))
    return _failed(incoming, InternalFailure("An internal error occurred."))


def _encoded(incoming: Incoming, reply: Payload) -> Outcome:
    return Outcome(incoming.encode(reply), reply, None)


def _failed(incoming: Incoming, error: ProtocolError) -> Outcome:
    return Outcome(incoming.encode(error), None, error)


def _problem(error: ProtocolError) -> str:
    where = f" ({error.path})" if error.path else ""
    return f"{type(error).__name__}: {error.description}{where}"[:255]


def quarantine(incoming: Incoming, world: World, reason: str) -> None:
    """Keep a message as evidence; the same text under a new message id is the same."""
    world.quarantine.append(
        {
            "charge_point_id": incoming.charger.pk if incoming.charger else None,
            "identity": incoming.identity,
            "transport": incoming.transport,
            "action": incoming.action[:64],
            "message_id": incoming.message_id[:255],
            "raw": incoming.raw,
            "reason": reason[:255],
            "received_at": incoming.received_at,
            "digest": digest_of(_without_id(incoming).encode("utf-8", "replace")),
        }
    )


def _without_id(incoming: Incoming) -> str:
    """The text of a message, but for its message id: in quotes or bare (OCPP-J), or between tags.

    Not what was read of it: repairs make different messages the same, and the time of receipt,
    where it stands in for a timestamp, the same messages different.
    """
    message_id = rf'(?<=[",>\s]){re.escape(incoming.message_id)}(?=[",<\s])'
    return re.sub(message_id, "", incoming.raw, count=1)
