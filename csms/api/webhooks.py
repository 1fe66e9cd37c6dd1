"""Webhooks: subscriptions, and the events that wait, were delivered, or are dead letters."""

import json
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import require
from csms.api.charge_points import known
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment, encode
from csms.models import WebhookEvent, WebhookSubscription
from csms.services.webhook_queue import events_give_up, events_replay
from csms.services.webhook_trial import subscription_try
from csms.services.webhooks import (
    WebhookInvalid,
    subscription_add,
    subscription_change,
    subscription_delete,
    subscription_pause,
    subscription_resume,
    subscription_secret,
)

router = Router(tags=["Webhooks"])

Kind = Literal[
    "transaction.started",
    "transaction.updated",
    "transaction.stopped",
    "status.changed",
    "charge_point.online",
    "charge_point.offline",
    "command.finished",
    "security.event",
]
State = Literal["waiting", "delivered", "dead"]
Kinds = Annotated[list[Kind], Field(min_length=1, description="The kinds of events to send.")]
Events = Annotated[list[Annotated[int, Field(ge=1, lt=2**63)]], Field(max_length=500)]
Identities = Annotated[
    list[str],
    Field(max_length=10_000, description="Identities: only these charge points; empty: all."),
]
Site = Annotated[str, Field(max_length=100, description="Only of this site; empty: of all.")]


class WebhookOut(Schema):
    id: int
    name: str
    url: str
    kinds: list[Kind]
    site: str
    charge_points: list[str]
    chosen_only: bool = Field(
        description="Whether charge points were chosen; when they are deleted it is told of none."
    )
    active: bool
    paused: bool = Field(description="By `pause`: events are kept, and sent after `resume`.")
    failures: int = Field(description="In a row.")
    paused_until: Moment | None = Field(description="After failures: the next attempt.")
    last_error: str = Field(description="It stays when the next event is taken.")
    last_error_at: Moment | None
    last_delivered_at: Moment | None = Field(description="To the second; tests count too.")
    created_at: Moment

    @staticmethod
    def resolve_charge_points(obj: WebhookSubscription) -> list[str]:
        return sorted(row.identity for row in obj.charge_points.all())


class WebhookMade(WebhookOut):
    secret: str | None = Field(
        None,
        description="For checking signatures. It is told this once; a repeat of the request does "
        "not tell it.",
    )

    @staticmethod
    def resolve_secret(obj: WebhookSubscription) -> None:
        """That of the row is sealed, and stays there."""


class WebhookIn(Schema):
    """A new subscription."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    url: str = Field(min_length=1, max_length=500)
    kinds: Kinds
    site: Site = ""
    charge_points: Identities = []
    active: bool = True


class WebhookChange(Schema):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=100)
    url: str | None = Field(None, min_length=1, max_length=500)
    kinds: Kinds | None = None
    site: Site | None = None
    charge_points: Identities | None = None
    active: bool | None = None


class Secret(Schema):
    secret: str | None = Field(
        None, description="It is told this once; a repeat of the request does not tell it."
    )


class TriedOut(Schema):
    """What became of a test event. It is told this once; a repeat of the request sends no second
    one, and tells nothing."""

    delivered: bool | None
    error: str | None = Field(description="Why it was not taken.")
    event_id: str | None
    seconds: float | None = Field(description="Until its target answered, or was given up.")


class EventOut(Schema):
    id: int
    webhook: int = Field(alias="subscription_id")
    event_id: str = Field(description="The same each time it is sent.")
    kind: Kind
    charge_point: str = Field(alias="identity")
    state: State
    attempts: int
    error: str = Field(description="Of the last attempt.")
    created_at: Moment
    expires_at: Moment = Field(description="A failure after this makes it a dead letter.")
    ended_at: Moment | None
    body: dict[str, Any] = Field(description="As it is sent.")

    @staticmethod
    def resolve_event_id(obj: WebhookEvent) -> str:
        return str(obj.event_id)

    @staticmethod
    def resolve_body(obj: WebhookEvent) -> Any:
        return json.loads(obj.body)


class EventFilter(Listing):
    webhook: int | None = Field(None, description="Id of the webhook.", ge=1, lt=2**63)
    state: State | None = None
    charge_point: str | None = Field(None, description="Identity.")


class Replay(Schema):
    """Which events to deliver again."""

    model_config = ConfigDict(extra="forbid")

    events: Events | None = Field(None, description="Ids; without it all dead letters.")


class Replayed(Schema):
    replayed: int


class GiveUp(Schema):
    """Which waiting events to make dead letters of."""

    model_config = ConfigDict(extra="forbid")

    events: Events = Field(min_length=1, description="Ids.")


class GivenUp(Schema):
    given_up: int


def webhook_of(pk: int) -> WebhookSubscription:
    """The subscription of a path, or 404."""
    return found_or_404(
        lambda: WebhookSubscription.objects.get(pk=pk),
        f"There is no webhook {pk}: GET /api/v1/webhooks lists them.",
        WebhookSubscription,
    )


def _refused(invalid: WebhookInvalid) -> Refusal:
    return Refusal(422, str(invalid), invalid.field or None)


@router.get("/webhooks", response=Page[WebhookOut], summary="List webhooks")
def webhook_list(request: HttpRequest, filters: Query[Listing]) -> Any:
    require(request, "view_webhooksubscription")
    rows = WebhookSubscription.objects.prefetch_related("charge_points")
    return page_of(request, rows, filters)


@router.post(
    "/webhooks",
    response={201: WebhookMade},
    openapi_extra=DOCUMENTED,
    summary="Make a webhook; its secret is told only now",
)
def webhook_create(request: HttpRequest, body: WebhookIn) -> HttpResponse:
    made: list[str] = []
    return _with_secret(_create(request, body=body, made=made), made)


def _with_secret(answer: HttpResponse, made: list[str]) -> HttpResponse:
    """The secret that was made, behind the answer that is kept for repeats."""
    if made:
        answer.content = encode({**json.loads(answer.content), "secret": made[0]}).encode()
    return answer


@idempotent
def _create(request: HttpRequest, body: WebhookIn, made: list[str]) -> Status[Schema]:
    require(request, "add_webhooksubscription")
    given = body.model_dump()
    given["charge_points"] = known(body.charge_points, "charge_points")
    try:
        row, secret = subscription_add(**given)
    except WebhookInvalid as invalid:
        raise _refused(invalid) from None
    made.append(secret)
    return Status(201, WebhookMade.from_orm(row))


@router.get("/webhooks/{int:webhook_id}", response=WebhookOut, summary="One webhook")
def webhook_detail(request: HttpRequest, webhook_id: int) -> Any:
    require(request, "view_webhooksubscription")
    return webhook_of(webhook_id)


@router.patch(
    "/webhooks/{int:webhook_id}",
    response=WebhookOut,
    summary="Change a webhook; one that was paused is tried anew",
)
def webhook_change(request: HttpRequest, webhook_id: int, body: WebhookChange) -> Any:
    require(request, "change_webhooksubscription")
    row = webhook_of(webhook_id)
    given = {name: value for name, value in body.model_dump().items() if value is not None}
    if "charge_points" in given:
        given["charge_points"] = known(given["charge_points"], "charge_points")
    try:
        subscription_change(subscription=row, **given)
    except WebhookInvalid as invalid:
        raise _refused(invalid) from None
    return row


@router.delete(
    "/webhooks/{int:webhook_id}", response={204: None}, summary="Delete one, and its events"
)
def webhook_delete(request: HttpRequest, webhook_id: int) -> Any:
    require(request, "delete_webhooksubscription")
    subscription_delete(subscription=webhook_of(webhook_id))
    return Status(204, None)


@router.post(
    "/webhooks/{int:webhook_id}/secret",
    response={200: Secret},
    openapi_extra=DOCUMENTED,
    summary="Give a webhook a new secret, with which signatures are made from then on",
)
def webhook_secret(request: HttpRequest, webhook_id: int) -> HttpResponse:
    made: list[str] = []
    return _with_secret(_renew(request, webhook_id=webhook_id, made=made), made)


@idempotent
def _renew(request: HttpRequest, webhook_id: int, made: list[str]) -> Status[Schema]:
    require(request, "change_webhooksubscription")
    made.append(subscription_secret(subscription=webhook_of(webhook_id)))
    return Status(200, Secret(secret=None))


@router.post(
    "/webhooks/{int:webhook_id}/test",
    response={200: TriedOut},
    openapi_extra=DOCUMENTED,
    summary="Send a test event now, and say what became of it",
    description="It goes to webhooks that are off or paused too, and is sent once. It takes up to "
    "ten seconds.",
)
def webhook_test(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """It is sent behind the transaction: nobody may wait for a target with the database held."""
    asked: list[WebhookSubscription] = []
    answer = _test(request, webhook_id=webhook_id, asked=asked)
    if asked:
        tried = subscription_try(subscription=asked[0])
        told = TriedOut(
            delivered=not tried.problem,
            error=tried.problem,
            event_id=tried.event_id,
            seconds=round(tried.seconds, 3),
        )
        answer.content = encode(told.model_dump()).encode()
    return answer


@idempotent
def _test(
    request: HttpRequest, webhook_id: int, asked: list[WebhookSubscription]
) -> Status[Schema]:
    require(request, "change_webhooksubscription")
    asked.append(webhook_of(webhook_id))
    return Status(200, TriedOut(delivered=None, error=None, event_id=None, seconds=None))


@router.post(
    "/webhooks/{int:webhook_id}/pause",
    response={200: WebhookOut},
    openapi_extra=DOCUMENTED,
    summary="Send nothing more for now; events are kept",
)
@idempotent
def webhook_pause(request: HttpRequest, webhook_id: int) -> Status[Schema]:
    require(request, "change_webhooksubscription")
    row = webhook_of(webhook_id)
    subscription_pause(subscription=row)
    return Status(200, WebhookOut.from_orm(row))


@router.post(
    "/webhooks/{int:webhook_id}/resume",
    response={200: WebhookOut},
    openapi_extra=DOCUMENTED,
    summary="Go on at once, whether it was paused or its target failed",
)
@idempotent
def webhook_resume(request: HttpRequest, webhook_id: int) -> Status[Schema]:
    require(request, "change_webhooksubscription")
    row = webhook_of(webhook_id)
    subscription_resume(subscription=row)
    return Status(200, WebhookOut.from_orm(row))


@router.post(
    "/webhooks/{int:webhook_id}/replay",
    response={202: Replayed},
    openapi_extra=DOCUMENTED,
    summary="Deliver events of a webhook again: some, or all dead letters",
)
@idempotent
def webhook_replay(request: HttpRequest, webhook_id: int, body: Replay) -> Status[Schema]:
    require(request, "change_webhookevent")
    rows = WebhookEvent.objects.filter(subscription=webhook_of(webhook_id))
    rows = rows.filter(state="dead") if body.events is None else rows.filter(pk__in=body.events)
    return Status(202, Replayed(replayed=events_replay(events=rows)))


@router.post(
    "/webhooks/{int:webhook_id}/give-up",
    response={200: GivenUp},
    openapi_extra=DOCUMENTED,
    summary="Make dead letters of waiting events, so that what is behind them goes on",
)
@idempotent
def webhook_give_up(request: HttpRequest, webhook_id: int, body: GiveUp) -> Status[Schema]:
    require(request, "change_webhookevent")
    rows = WebhookEvent.objects.filter(subscription=webhook_of(webhook_id), pk__in=body.events)
    return Status(200, GivenUp(given_up=events_give_up(events=rows)))


@router.get(
    "/webhook-events", response=Page[EventOut], summary="List events of webhooks, newest first"
)
def webhook_event_list(request: HttpRequest, filters: Query[EventFilter]) -> Any:
    require(request, "view_webhookevent")
    rows = WebhookEvent.objects.all()
    if filters.webhook is not None:
        rows = rows.filter(subscription=filters.webhook)
    if filters.state is not None:
        rows = rows.filter(state=filters.state)
    if filters.charge_point is not None:
        rows = rows.filter(identity=filters.charge_point)
    return page_of(request, rows, filters, newest_first=True)
