"""Vendors' messages (DataTransfer) that no handler knows."""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from csms.api.access import require
from csms.api.pages import Listing, Page, page_of
from csms.api.wire import Moment
from csms.models import UnknownTransfer

router = Router(tags=["Vendor messages"])


class UnknownTransferOut(Schema):
    id: int
    vendor_id: str
    message_id: str = Field(description="Empty: it had none.")
    charge_point: str = Field(alias="identity", description="The one that sent it last.")
    count: int = Field(
        description="How often it came; written once a minute at most, with the next."
    )
    example: str = Field(description="Beginning of its latest data, without secrets.")
    first_at: Moment
    last_at: Moment


class UnknownTransferFilter(Listing):
    vendor_id: str | None = Field(None, description="As sent.")
    charge_point: str | None = Field(None, description="Identity of the one that sent it last.")


@router.get(
    "/unknown-vendor-messages",
    response=Page[UnknownTransferOut],
    summary="List the DataTransfer messages that no handler knows",
)
def unknown_transfer_list(request: HttpRequest, filters: Query[UnknownTransferFilter]) -> Any:
    require(request, "view_unknowntransfer")
    given = filters.given()
    if "charge_point" in given:
        given["identity"] = given.pop("charge_point")
    return page_of(request, UnknownTransfer.objects.filter(**given), filters)
