"""One command to many charge points."""

from collections import Counter
from typing import Any, Literal

from django.db.models import Count
from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import ConfigDict, Field, model_validator

from csms.api.access import name_of, require, token_of
from csms.api.commands import CommandIn, sendable
from csms.api.errors import Refusal
from csms.api.pages import found_or_404
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment
from csms.models import ChargePoint, Command, CommandBatch
from csms.models.commands import permission_of
from csms.services.commands import batch_send, commands_cancel
from csms.services.secrets import masked

router = Router(tags=["Bulk commands"])

MOST = 10_000
"""Charge points of one request."""


class BulkFilter(Schema):
    """All given conditions hold; texts are compared exactly."""

    model_config = ConfigDict(extra="forbid")

    site: str | None = None
    transport: Literal["json", "soap"] | None = None
    vendor: str | None = None
    firmware: str | None = Field(None, description="Firmware version.")

    def conditions(self) -> dict[str, str]:
        given = self.model_dump(exclude_none=True)
        if "firmware" in given:
            given["firmware_version"] = given.pop("firmware")
        return given


class BulkIn(CommandIn):
    """A command, and to whom: `identities`, `filter`, or `"all": true`."""

    identities: list[str] | None = Field(None, min_length=1, max_length=MOST)
    filter: BulkFilter | None = None
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def one_choice(self) -> "BulkIn":
        if [self.identities, self.filter, self.all].count(None) != 2:
            raise ValueError("give one of identities, filter and all")
        return self


class RefusedOut(Schema):
    identity: str
    message: str


class BatchOut(Schema):
    id: int
    action: str
    payload: dict[str, Any] = Field(description="The request; secrets are masked.")
    queued: int = Field(description="Commands that still wait to be sent.")
    states: dict[str, int] = Field(description="Commands in each state.")
    effects: dict[str, int] = Field(description="Commands with each effect.")
    refused: list[RefusedOut] = Field(description="Those it was not sent to, and why.")
    requested_by: str
    created_at: Moment


def batch_out(batch: CommandBatch) -> BatchOut:
    """A batch with its counts, which take one query."""
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
    return BatchOut(
        id=batch.pk,
        action=batch.action,
        payload=masked(batch.payload),
        queued=states["queued"],
        states=dict(states),
        effects=dict(effects),
        refused=[RefusedOut(identity=who, message=why) for who, why in batch.refused],
        requested_by=batch.requested_by,
        created_at=batch.created_at,
    )


def batch_of(pk: int) -> CommandBatch:
    """The batch of a path, or 404."""
    return found_or_404(
        lambda: CommandBatch.objects.get(pk=pk), f"There is no batch {pk}.", CommandBatch
    )


@router.post(
    "/commands/bulk",
    response={202: BatchOut},
    openapi_extra=DOCUMENTED,
    summary="Send a command to many charge points",
)
@idempotent
def bulk_create(request: HttpRequest, body: BulkIn) -> Status[Schema]:
    operation = sendable(token_of(request), body)
    rows, unknown = _chosen(body)
    batch = batch_send(
        charge_points=rows, request=operation, by=name_of(request), expires_in=body.expires_in
    )
    if unknown:
        batch.refused += [[identity, "There is no such charge point."] for identity in unknown]
        batch.save(update_fields=["refused"])
    return Status(202, batch_out(batch))


def _chosen(body: BulkIn) -> tuple[list[ChargePoint], list[str]]:
    """The charge points of a body, and the identities that none has; 422 when there are none."""
    if body.identities is not None:
        identities = dict.fromkeys(body.identities)
        rows = list(ChargePoint.objects.filter(identity__in=identities))
        if not rows:
            raise Refusal(422, "There is no charge point of these identities.", "identities")
        found = {row.identity for row in rows}
        return rows, [identity for identity in identities if identity not in found]
    field, conditions = "all", dict[str, str]()
    if body.filter is not None:
        field, conditions = "filter", body.filter.conditions()
        if not conditions:
            raise Refusal(422, "Give at least one condition.", field)
    rows = list(ChargePoint.objects.filter(**conditions)[: MOST + 1])
    if not rows:
        raise Refusal(422, "There is no such charge point.", field)
    if len(rows) > MOST:
        raise Refusal(422, f"A command goes to at most {MOST:,} charge points.", field)
    return rows, []


@router.get("/command-batches/{int:batch_id}", response=BatchOut, summary="How far a batch is")
def batch_detail(request: HttpRequest, batch_id: int) -> Any:
    require(request, "view_commandbatch")
    return batch_out(batch_of(batch_id))


@router.post(
    "/command-batches/{int:batch_id}/cancel",
    response={200: BatchOut},
    openapi_extra=DOCUMENTED,
    summary="Cancel those commands of a batch that were not sent yet",
)
@idempotent
def batch_cancel(request: HttpRequest, batch_id: int) -> Status[Schema]:
    batch = batch_of(batch_id)
    require(request, permission_of(batch.action))
    commands_cancel(commands=Command.objects.filter(batch=batch), by=name_of(request))
    return Status(200, batch_out(batch))
