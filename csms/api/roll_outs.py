"""Roll-outs of firmware: begun, followed, paused, resumed, repeated, cancelled."""

from typing import Any, Literal

from django.db.models import Count
from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import name_of, require
from csms.api.charge_points import known
from csms.api.firmware import image_of
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment
from csms.models import RollOut, RollOutItem
from csms.models.commands import permission_of
from csms.services.roll_outs import (
    MOST,
    OPERATIONS,
    roll_out_cancel,
    roll_out_create,
    roll_out_pause,
    roll_out_repeat,
    roll_out_resume,
    statuses_told,
)

router = Router(tags=["Firmware"])

State = Literal["running", "paused", "stopped", "finished", "cancelled"]
ItemStateText = Literal["waiting", "open", "done", "failed", "left out"]
SchemeText = Literal["", "https", "ftps", "http", "ftp"]
MethodText = Literal["", "plain", "signed"]


class RollOutIn(Schema):
    """A new roll-out."""

    model_config = ConfigDict(extra="forbid")

    image: int = Field(ge=1, lt=2**63, description="Id of the firmware image.")
    charge_points: list[str] = Field(min_length=1, max_length=MOST, description="Identities.")
    first_wave: int = Field(1, ge=1, le=MOST, description="Charge points of the first wave.")
    wave_size: int = Field(50, ge=1, le=MOST, description="Charge points of each further wave.")
    max_failures: int = Field(0, ge=0, le=MOST, description="It stops when more have failed.")
    patience: int = Field(
        60, ge=0, le=43_200, description="Minutes that a wave waits for those who are offline."
    )
    rest: int = Field(0, ge=0, le=43_200, description="Minutes between two waves.")
    expires_hours: int = Field(
        24, ge=1, le=2_160, description="Hours after which who could not be reached has failed."
    )
    not_before: Moment | None = Field(None, description="retrieveDate.")
    retries: int = Field(3, ge=0, le=100)
    retry_interval: int = Field(300, ge=0, le=86_400, description="Seconds.")
    scheme: SchemeText = Field("", description="Empty: the best that both know.")
    method: MethodText = Field("", description="Empty: signed where image and charge point can.")


class RollOutOut(Schema):
    id: int
    image: int = Field(alias="image_id")
    state: State
    reason: str = Field(description="Why it was stopped.")
    wave: int = Field(description="The wave whose turn it is.")
    waves: int
    counts: dict[str, int] = Field(description="Charge points in each state.")
    scheme: SchemeText
    method: MethodText
    created_by: str
    created_at: Moment
    finished_at: Moment | None

    @staticmethod
    def resolve_counts(obj: RollOut) -> dict[str, int]:
        groups = obj.items.order_by().values_list("state").annotate(number=Count("pk"))
        return dict(groups)

    @staticmethod
    def resolve_waves(obj: RollOut) -> int:
        return max(obj.items.order_by("-wave").values_list("wave", flat=True)[:1], default=0)


class ItemOut(Schema):
    id: int
    charge_point: str = Field(alias="charge_point.identity")
    wave: int = Field(description="0: it was left out from the start.")
    state: ItemStateText
    reason: str
    reported: str = Field(
        description="What it reported last of the update (FirmwareStatusNotification)."
    )
    firmware_version: str = Field(alias="charge_point.firmware_version")
    command: int | None = Field(alias="command_id")
    ended_at: Moment | None

    @staticmethod
    def resolve_reported(obj: Any) -> str:
        return str(obj.told)


class RollOutFilter(Listing):
    state: State | None = None
    image: int | None = Field(None, ge=1, lt=2**63)


class ItemFilter(Listing):
    state: ItemStateText | None = None


class RepeatIn(Schema):
    model_config = ConfigDict(extra="forbid")

    method: MethodText | None = Field(None, description="From now on; null: as it was.")


def roll_out_of(pk: int) -> RollOut:
    """The roll-out of a path, or 404."""
    return found_or_404(lambda: RollOut.objects.get(pk=pk), f"There is no roll-out {pk}.", RollOut)


def _may_steer(request: HttpRequest) -> None:
    """A roll-out sends either operation, as image and charge point allow."""
    require(request, "add_rollout")
    for name in OPERATIONS:
        require(request, permission_of(name))


@router.get("/roll-outs", response=Page[RollOutOut], summary="List roll-outs, newest first")
def roll_out_list(request: HttpRequest, filters: Query[RollOutFilter]) -> Any:
    require(request, "view_rollout")
    rows = RollOut.objects.filter(**filters.given())
    return page_of(request, rows, filters, newest_first=True)


@router.post(
    "/roll-outs",
    response={201: RollOutOut},
    openapi_extra=DOCUMENTED,
    summary="Roll a firmware image out, wave after wave",
    description="Who cannot take part is left out, with the reason. The clock of the central "
    "system advances it.",
)
@idempotent
def roll_out_begin(request: HttpRequest, body: RollOutIn) -> Status[Schema]:
    _may_steer(request)
    options = body.model_dump(exclude={"image", "charge_points"})
    row = roll_out_create(
        image=image_of(body.image),
        charge_points=known(body.charge_points, "charge_points"),
        by=name_of(request),
        **options,
    )
    return Status(201, RollOutOut.from_orm(row))


@router.get("/roll-outs/{int:roll_out_id}", response=RollOutOut, summary="How far one is")
def roll_out_detail(request: HttpRequest, roll_out_id: int) -> Any:
    require(request, "view_rollout")
    return roll_out_of(roll_out_id)


@router.get(
    "/roll-outs/{int:roll_out_id}/items",
    response=Page[ItemOut],
    summary="What became of each charge point",
)
def roll_out_items(request: HttpRequest, roll_out_id: int, filters: Query[ItemFilter]) -> Any:
    require(request, "view_rolloutitem")
    rows = RollOutItem.objects.filter(roll_out=roll_out_of(roll_out_id), **filters.given())
    page = page_of(request, rows.select_related("charge_point", "command"), filters)
    told = statuses_told(page["items"])
    for item in page["items"]:
        item.told = told.get(item.pk, "")
    return page


@router.post(
    "/roll-outs/{int:roll_out_id}/pause",
    response={200: RollOutOut},
    openapi_extra=DOCUMENTED,
    summary="Send nothing more for now",
)
@idempotent
def roll_out_pause_one(request: HttpRequest, roll_out_id: int) -> Status[Schema]:
    _may_steer(request)
    row = roll_out_pause(roll_out_id=roll_out_of(roll_out_id).pk)
    return Status(200, RollOutOut.from_orm(row))


@router.post(
    "/roll-outs/{int:roll_out_id}/resume",
    response={200: RollOutOut},
    openapi_extra=DOCUMENTED,
    summary="Go on",
)
@idempotent
def roll_out_resume_one(request: HttpRequest, roll_out_id: int) -> Status[Schema]:
    _may_steer(request)
    row = roll_out_resume(roll_out_id=roll_out_of(roll_out_id).pk)
    return Status(200, RollOutOut.from_orm(row))


@router.post(
    "/roll-outs/{int:roll_out_id}/repeat",
    response={200: RollOutOut},
    openapi_extra=DOCUMENTED,
    summary="Try again with those who failed",
)
@idempotent
def roll_out_repeat_one(request: HttpRequest, roll_out_id: int, body: RepeatIn) -> Status[Schema]:
    _may_steer(request)
    row = roll_out_repeat(roll_out_id=roll_out_of(roll_out_id).pk, method=body.method)
    return Status(200, RollOutOut.from_orm(row))


@router.post(
    "/roll-outs/{int:roll_out_id}/cancel",
    response={200: RollOutOut},
    openapi_extra=DOCUMENTED,
    summary="Send nothing more, ever",
)
@idempotent
def roll_out_cancel_one(request: HttpRequest, roll_out_id: int) -> Status[Schema]:
    _may_steer(request)
    row = roll_out_cancel(roll_out_id=roll_out_of(roll_out_id).pk)
    return Status(200, RollOutOut.from_orm(row))
