"""idTags: who may charge."""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import require
from csms.api.charge_points import known
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment, checked
from csms.models import IdTag
from csms.models.authorization import fold
from csms.services.authorization import id_tag_add, id_tag_change

router = Router(tags=["idTags"])


class IdTagOut(Schema):
    id_tag: str
    parent_id_tag: str
    name: str
    blocked: bool
    expires_at: Moment | None
    max_transactions: int = Field(description="At one time; 0: any number.")
    charge_points: list[str] = Field(description="Where it may charge; none: everywhere.")
    created_at: Moment

    @staticmethod
    def resolve_charge_points(obj: IdTag) -> list[str]:
        return [row.identity for row in obj.charge_points.all()]


class IdTagChange(Schema):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    parent_id_tag: str = Field("", max_length=20, description="The group.")
    name: str = Field("", max_length=255)
    blocked: bool = False
    expires_at: Moment | None = Field(None, description="null: never.")
    max_transactions: int = Field(1, ge=0, le=2_147_483_647, description="0: any number.")
    charge_points: list[str] = Field([], description="Identities; none: everywhere.")

    def columns(self) -> dict[str, Any]:
        """What was given, without charge_points."""
        return self.model_dump(exclude_unset=True, exclude={"charge_points"})


class IdTagIn(IdTagChange):
    """A new idTag."""

    id_tag: str = Field(
        min_length=1, max_length=255, description="Upper and lower case are the same."
    )


class IdTagFilter(Listing):
    blocked: bool | None = None
    parent: str | None = Field(None, description="parentIdTag, exactly.")
    prefix: str | None = Field(None, description="Beginning of the idTag, in any case.")


def id_tag_of(text: str) -> IdTag:
    """The idTag of a path, or 404."""
    key = fold(checked(text))
    return found_or_404(lambda: IdTag.objects.get(key=key), f"There is no idTag {text}.", IdTag)


@router.get("/id-tags", response=Page[IdTagOut], summary="List idTags")
def id_tag_list(request: HttpRequest, filters: Query[IdTagFilter]) -> Any:
    require(request, "view_idtag")
    rows = IdTag.objects.prefetch_related("charge_points")
    if filters.blocked is not None:
        rows = rows.filter(blocked=filters.blocked)
    if filters.parent is not None:
        rows = rows.filter(parent_id_tag=filters.parent)
    if filters.prefix is not None:
        rows = rows.filter(key__startswith=fold(filters.prefix))
    return page_of(request, rows, filters)


@router.post(
    "/id-tags", response={201: IdTagOut}, openapi_extra=DOCUMENTED, summary="Make an idTag"
)
@idempotent
def id_tag_create(request: HttpRequest, body: IdTagIn) -> Status[Schema]:
    require(request, "add_idtag")
    if not fold(body.id_tag):
        raise Refusal(422, "An idTag has at least one character.", "id_tag")
    charge_points = known(body.charge_points, "charge_points")
    row = id_tag_add(**body.columns())
    if charge_points:
        id_tag_change(row=row, charge_points=charge_points)
    return Status(201, IdTagOut.from_orm(row))


@router.get("/id-tags/{any:id_tag}", response=IdTagOut, summary="One idTag")
def id_tag_detail(request: HttpRequest, id_tag: str) -> Any:
    require(request, "view_idtag")
    return id_tag_of(id_tag)


@router.patch("/id-tags/{any:id_tag}", response=IdTagOut, summary="Change or block one")
def id_tag_update(request: HttpRequest, id_tag: str, body: IdTagChange) -> Any:
    require(request, "change_idtag")
    row = id_tag_of(id_tag)
    given = "charge_points" in body.model_fields_set
    charge_points = known(body.charge_points, "charge_points") if given else None
    return id_tag_change(row=row, charge_points=charge_points, **body.columns())
