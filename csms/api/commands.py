"""Commands: sent, looked at, waited for, cancelled."""

import asyncio
from datetime import timedelta
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import WaitingTokenAccess, name_of, require, require_of, token_of
from csms.api.charge_points import charge_point_of, charge_point_pk
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment
from csms.models import ApiToken, Command
from csms.models.commands import FINAL_STATES, CommandState, Effect, permission_of
from csms.ocpp import registry
from csms.ocpp.base import Request
from csms.services import bus
from csms.services.commands import (
    EXPIRES_IN,
    command_cancel,
    command_send,
    no_operation,
    request_of,
)
from csms.services.secrets import masked
from csms.services.threads import in_thread

router = Router(tags=["Commands"])

LONGEST_WAIT = 60
"""Seconds for which a long poll may wait."""
LOOK_EVERY = 1.0
"""Seconds after which it looks by itself: another process may have written."""
LONGEST_LIFE = round(timedelta(days=30).total_seconds())

State = Literal[
    "queued", "sent", "accepted", "rejected", "error", "timed out", "expired", "cancelled"
]
EffectText = Literal["", "waiting", "seen", "missing", "assumed"]


class CommandOut(Schema):
    id: int
    charge_point: str = Field(alias="charge_point.identity")
    action: str
    payload: dict[str, Any] = Field(description="The request; secrets are masked.")
    state: State
    answer: dict[str, Any] | None = Field(description="The charge point's answer.")
    raw_answer: str = Field(description="Its frame or envelope, when it was no proper answer.")
    error: str
    effect: EffectText = Field(
        description="Whether what was asked for was seen to happen; empty: nothing is watched."
    )
    effect_text: str
    effect_at: Moment | None
    effect_until: Moment | None = Field(description="Then it counts as missing.")
    transaction_id: int | None = Field(
        alias="transaction.transaction_id",
        default=None,
        description="The transaction that it started, stopped or reserved for.",
    )
    batch: int | None = Field(alias="batch_id")
    follows: int | None = Field(
        alias="follows_id", description="The command whose effect this one reads back."
    )
    requested_by: str
    created_at: Moment
    expires_at: Moment
    sent_at: Moment | None
    finished_at: Moment | None

    @staticmethod
    def resolve_payload(obj: Command) -> Any:
        return masked(obj.payload)

    @staticmethod
    def resolve_answer(obj: Command) -> Any:
        return masked(obj.answer)


class CommandIn(Schema):
    """An operation of the central system and its request."""

    model_config = ConfigDict(extra="forbid")

    action: str
    payload: dict[str, Any] = {}
    expires_in: int = Field(
        EXPIRES_IN, ge=1, le=LONGEST_LIFE, description="Seconds to wait for the charge point."
    )


class CommandFilter(Listing):
    charge_point: str | None = Field(None, description="Identity.")
    state: State | None = None
    effect: Literal["waiting", "seen", "missing", "assumed"] | None = None
    action: str | None = Field(None, description="Operation, as `Reset`.")
    batch: int | None = Field(None, ge=1, lt=2**63)


def sendable(token: ApiToken, body: CommandIn) -> Request[Any]:
    """The request of a body, for a token that may send it."""
    if registry.from_central_system(body.action) is None:
        raise _no_operation(body.action)
    require_of(token, permission_of(body.action))
    return request_of(body.action, body.payload)


def _no_operation(name: str) -> Refusal:
    return Refusal(422, no_operation(name), "action")


def command_of(pk: int) -> Command:
    """The command of a path, or 404."""
    return found_or_404(
        lambda: Command.objects.select_related("charge_point", "transaction").get(pk=pk),
        f"There is no command {pk}.",
        Command,
    )


@router.post(
    "/charge-points/{identity}/commands",
    response={202: CommandOut},
    openapi_extra=DOCUMENTED,
    summary="Send a command; it waits until the charge point is reachable",
)
@idempotent
def command_create(request: HttpRequest, identity: str, body: CommandIn) -> Status[Schema]:
    operation = sendable(token_of(request), body)
    command = command_send(
        charge_point=charge_point_of(identity),
        request=operation,
        by=name_of(request),
        expires_in=body.expires_in,
    )
    return Status(202, CommandOut.from_orm(command))


@router.get("/commands", response=Page[CommandOut], summary="List commands, newest first")
def command_list(request: HttpRequest, filters: Query[CommandFilter]) -> Any:
    require(request, "view_command")
    given = filters.given()
    if "action" in given and registry.from_central_system(given["action"]) is None:
        raise _no_operation(given["action"])
    if "charge_point" in given:
        given["charge_point"] = charge_point_pk(given["charge_point"])
    rows = Command.objects.filter(**given).select_related("charge_point", "transaction")
    return page_of(request, rows, filters, newest_first=True)


@router.get(
    "/commands/{int:command_id}",
    response=CommandOut,
    auth=WaitingTokenAccess(),
    summary="One command; with wait, as soon as its outcome is known",
)
async def command_detail(
    request: HttpRequest,
    command_id: int,
    wait: float = Query(0, ge=0, le=LONGEST_WAIT, description="Seconds to wait at most."),  # type: ignore[type-arg]
    until: Literal["answer", "effect"] = Query(  # type: ignore[type-arg]
        "answer", description="effect: also until the effect was seen or is missing."
    ),
) -> Any:
    """Waits without a database connection; what is returned may still be undecided."""
    await in_thread(require_of, token=token_of(request), permission="view_command")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    topic = f"command {command_id}"
    subscription = bus.subscribe(topic)
    try:
        while True:
            command = await in_thread(command_of, pk=command_id)
            left = deadline - loop.time()
            if left <= 0 or _decided(command, until):
                return command
            await subscription.wait(min(left, LOOK_EVERY))
    finally:
        bus.unsubscribe(topic, subscription)


def _decided(command: Command, until: str) -> bool:
    if command.state not in FINAL_STATES:
        return False
    return until == "answer" or command.effect != Effect.WAITING


@router.post(
    "/commands/{int:command_id}/cancel",
    response={200: CommandOut},
    openapi_extra=DOCUMENTED,
    summary="Cancel a command that was not sent yet",
)
@idempotent
def command_cancel_one(request: HttpRequest, command_id: int) -> Status[Schema]:
    command = command_of(command_id)
    require(request, permission_of(command.action))
    if not command_cancel(command=command, by=name_of(request)):
        label = CommandState(command_of(command_id).state).label
        raise Refusal(409, f"Command {command_id} waits no more: {label}.")
    return Status(200, CommandOut.from_orm(command_of(command_id)))
