"""Vendors' messages (DataTransfer): those that no handler knows, and those that may be sent."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import ReadOnlyAdmin
from csms.models import UnknownTransfer
from csms.services.vendor_messages import requests_known


def vendor_picks() -> dict[str, list[tuple[Any, str]]]:
    """What the form of a DataTransfer offers: the requests that installed handlers declare."""
    known = requests_known()
    vendors = dict.fromkeys(vendor_id for vendor_id, _ in known)
    return {
        "vendorId": [(vendor_id, "") for vendor_id in vendors],
        "messageId": [
            (request.message_id, f"{vendor_id}: {request.help}") for vendor_id, request in known
        ],
    }


@admin.register(UnknownTransfer)
class UnknownTransferAdmin(ReadOnlyAdmin):
    """The list; who deletes a row has it counted anew."""

    list_display = ("names", "times", "charger", "said", "span")
    list_horizontal_scrollbar_top = True
    sortable_by = ("span",)
    search_fields = ("vendor_id",)
    search_help_text = "vendorId, from its beginning"
    fields = ("vendor", "message", "times", "charger", "said_whole", "first", "last")

    def find(self, queryset: "QuerySet[UnknownTransfer]", term: str) -> "QuerySet[UnknownTransfer]":
        return queryset.filter(vendor_id__startswith=term)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("csms.delete_unknowntransfer")

    @display(description="vendorId, messageId")
    def names(self, row: UnknownTransfer) -> SafeString | str:
        message = show.clip(row.message_id, 36) if row.message_id else ""
        return show.two_lines(show.clip(row.vendor_id, 30), message)

    @display(description="vendorId")
    def vendor(self, row: UnknownTransfer) -> SafeString | str:
        return show.clip(row.vendor_id, 40)

    @display(description="messageId")
    def message(self, row: UnknownTransfer) -> SafeString | str:
        return show.clip(row.message_id, 50)

    @display(description="Times")
    def times(self, row: UnknownTransfer) -> str:
        return f"{row.count:,}"

    @display(description="Last from")
    def charger(self, row: UnknownTransfer) -> SafeString | str:
        return show.link(
            show.list_url("message", charger=row.identity), show.clip(row.identity, 24)
        )

    @display(description="Data")
    def said(self, row: UnknownTransfer) -> SafeString | str:
        return show.wrapped(row.example, 80)

    @display(description="Beginning of its data")
    def said_whole(self, row: UnknownTransfer) -> SafeString | str:
        return show.block(row.example) or show.EMPTY

    @display(description="First")
    def first(self, row: UnknownTransfer) -> SafeString | str:
        return show.when(row.first_at)

    @display(description="Last", ordering="last_at")
    def last(self, row: UnknownTransfer) -> SafeString | str:
        return show.when(row.last_at)

    @display(description="Last, first", ordering="last_at")
    def span(self, row: UnknownTransfer) -> SafeString | str:
        return show.two_lines(self.last(row), self.first(row))
