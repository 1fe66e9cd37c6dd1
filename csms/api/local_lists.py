"""Local authorization lists: how they stand, and bringing them up to date."""

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from csms.api.access import name_of, require
from csms.api.batches import BatchOut, RefusedOut, batch_out
from csms.api.charge_points import charge_point_of
from csms.api.chosen import Chosen
from csms.api.pages import Listing, Page, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment
from csms.models import ChargePoint
from csms.models.commands import permission_of
from csms.services.local_list_states import ListState, State, charge_points_in, list_states
from csms.services.local_lists import lists_update

router = Router(tags=["Local lists"])

StateName = Literal[
    "up to date", "stale", "never sent", "updating", "failed", "switched off", "not supported"
]


class LocalListOut(Schema):
    charge_point: str
    state: StateName
    why: str = Field(description="In words; empty where there is nothing to say.")
    version: int | None = Field(description="listVersion as last told or accepted.")
    entries: int | None = Field(description="idTags that it has; null: not known.")
    wanted: int = Field(description="idTags that belong on it.")
    updated_at: Moment | None
    command: int | None = Field(description="The latest step of the latest update.")


class LocalListFilter(Listing):
    state: StateName | None = None


class LocalListUpdate(Chosen):
    """Whose lists: `identities`, `filter`, or `"all": true`."""

    full: bool = Field(False, description="Send whole lists, even where they are up to date.")


class LocalListsBegun(Schema):
    begun: int = Field(description="Updates whose first step is on its way.")
    current: int = Field(description="Lists that need nothing, or are being updated already.")
    batches: list[BatchOut] = Field(description="The first steps.")
    left: list[RefusedOut] = Field(description="Those that take no list, and why.")


def _out(row: ChargePoint, one: ListState) -> LocalListOut:
    return LocalListOut(
        charge_point=row.identity,
        state=one.state.value,
        why=one.why,
        version=one.version,
        entries=one.entries,
        wanted=one.wanted,
        updated_at=one.row.updated_at if one.row else None,
        command=one.row.command_id if one.row else None,
    )


@router.get("/local-lists", response=Page[LocalListOut], summary="How local lists stand")
def local_list_list(request: HttpRequest, filters: Query[LocalListFilter]) -> Any:
    require(request, "view_locallist")
    rows = ChargePoint.objects.all()
    if filters.state is not None:
        rows = rows.filter(pk__in=charge_points_in([State(filters.state)]))
    page = page_of(request, rows, filters)
    found = list_states(page["items"])
    page["items"] = [_out(row, found[row.pk]) for row in page["items"]]
    return page


@router.get(
    "/charge-points/{identity}/local-list",
    response=LocalListOut,
    summary="How the local list of a charge point stands",
)
def local_list_detail(request: HttpRequest, identity: str) -> Any:
    require(request, "view_locallist")
    row = charge_point_of(identity)
    return _out(row, list_states([row])[row.pk])


@router.post(
    "/local-lists/update",
    response={202: LocalListsBegun},
    openapi_extra=DOCUMENTED,
    summary="Bring local lists up to date",
    description="Each charge point is asked for its version and sent what is missing, step by "
    "step, as soon as it can be reached.",
)
@idempotent
def local_list_update(request: HttpRequest, body: LocalListUpdate) -> Status[Schema]:
    require(request, permission_of("SendLocalList"))
    done = lists_update(
        charge_points=body.rows(),
        by=name_of(request),
        expires_in=body.expires_in,
        full=body.full,
    )
    batches = [batch_out(batch) for batch in done.batches]
    return Status(
        202,
        LocalListsBegun(
            begun=sum(sum(batch.states.values()) for batch in batches),
            current=done.current,
            batches=batches,
            left=[RefusedOut(identity=who, message=why) for who, why in done.left],
        ),
    )
