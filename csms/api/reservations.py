"""Reservations: asked for, looked at, cancelled; each of the two is a durable command."""

from typing import Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import name_of, require
from csms.api.charge_points import charge_point_of, charge_point_pk
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment
from csms.models import Reservation
from csms.models.authorization import fold
from csms.models.commands import permission_of
from csms.services.commands import PayloadRefused
from csms.services.reservations import reservation_cancel, reservation_create

router = Router(tags=["Reservations"])

State = Literal[
    "requested",
    "active",
    "used",
    "expired",
    "cancelled",
    "refused",
    "replaced",
    "ended",
    "unknown",
]
FIELDS = {"connectorId": "connector_id", "idTag": "id_tag", "expiryDate": "expiry_date"}
"""Path on the wire → field of the body."""


class ReservationOut(Schema):
    id: int
    charge_point: str = Field(alias="charge_point.identity")
    connector_id: int = Field(description="0: any connector.")
    id_tag: str
    parent_id_tag: str = Field(description="Whose idTags may use it as well; empty: nobody's.")
    expiry_date: Moment
    reservation_id: int
    state: State = Field(
        description="requested: not answered yet; refused: it was never made; ended: the charge "
        "point has ended it; unknown: no answer came."
    )
    reason: str = Field(description="Why it is so, in words.")
    transaction_id: int | None = Field(
        alias="transaction.transaction_id",
        default=None,
        description="The transaction that used it.",
    )
    command: int | None = Field(alias="command_id", description="Its ReserveNow.")
    cancellation: int | None = Field(
        alias="cancellation_id", description="The latest CancelReservation for it."
    )
    requested_at: Moment
    held_from: Moment | None = Field(description="When the charge point accepted it.")
    ended_at: Moment | None


class ReservationIn(Schema):
    """What to keep free, for whom, and until when."""

    model_config = ConfigDict(extra="forbid")

    connector_id: int = Field(ge=0, le=2_147_483_647, description="0: any connector.")
    id_tag: str = Field(min_length=1, max_length=20)
    expiry_date: Moment
    parent_id_tag: str | None = Field(
        None,
        max_length=20,
        description="Whose idTags may use it as well. Without it: the idTag's own parentIdTag, "
        "where it is known and has one; empty: nobody's.",
    )


class ReservationFilter(Listing):
    charge_point: str | None = Field(None, description="Identity.")
    state: State | None = None
    id_tag: str | None = Field(None, description="Upper and lower case are the same.")


def reservation_of(pk: int) -> Reservation:
    """The reservation of a path, or 404."""
    return found_or_404(
        lambda: Reservation.objects.select_related("charge_point", "transaction").get(pk=pk),
        f"There is no reservation {pk}.",
        Reservation,
    )


@router.get(
    "/reservations", response=Page[ReservationOut], summary="List reservations, newest first"
)
def reservation_list(request: HttpRequest, filters: Query[ReservationFilter]) -> Any:
    require(request, "view_reservation")
    given = filters.given()
    if "charge_point" in given:
        given["charge_point"] = charge_point_pk(given["charge_point"])
    if "id_tag" in given:
        given["id_tag_key"] = fold(given.pop("id_tag"))
    rows = Reservation.objects.filter(**given).select_related("charge_point", "transaction")
    return page_of(request, rows, filters, newest_first=True)


@router.get(
    "/reservations/{int:reservation}",
    response=ReservationOut,
    summary="One reservation, by its `id`",
)
def reservation_detail(request: HttpRequest, reservation: int) -> Any:
    require(request, "view_reservation")
    return reservation_of(reservation)


@router.post(
    "/charge-points/{identity}/reservations",
    response={202: ReservationOut},
    openapi_extra=DOCUMENTED,
    summary="Reserve a connector",
    description="With ReserveNow, which waits for the charge point until `expiry_date`, at most 30 "
    "days; its reservationId is made here.",
)
@idempotent
def reservation_make(request: HttpRequest, identity: str, body: ReservationIn) -> Status[Schema]:
    require(request, permission_of("ReserveNow"))
    try:
        row = reservation_create(
            charge_point=charge_point_of(identity),
            connector_id=body.connector_id,
            id_tag=body.id_tag,
            expiry_date=body.expiry_date,
            parent_id_tag=body.parent_id_tag,
            by=name_of(request),
            now=timezone.now(),
        )
    except PayloadRefused as refusal:
        raise Refusal(422, str(refusal), FIELDS.get(refusal.path)) from None
    return Status(202, ReservationOut.from_orm(row))


@router.post(
    "/reservations/{int:reservation}/cancel",
    response={202: ReservationOut},
    openapi_extra=DOCUMENTED,
    summary="Cancel a reservation",
    description="One that was not sent yet is cancelled at once; for the others a "
    "CancelReservation is sent, and `state` tells later what became of it.",
)
@idempotent
def reservation_cancel_one(request: HttpRequest, reservation: int) -> Status[Schema]:
    require(request, permission_of("CancelReservation"))
    row = reservation_cancel(
        reservation=reservation_of(reservation), by=name_of(request), now=timezone.now()
    )
    return Status(202, ReservationOut.from_orm(row))
