"""Who knocked without being known."""

from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import ReadOnlyAdmin, case_hint
from csms.admin.filters import TransportFilter
from csms.models import UnknownChargePoint
from csms.services import charge_points

NAMED = 20
"""Added charge points that are named, with a link to each."""


@admin.register(UnknownChargePoint)
class UnknownChargePointAdmin(ReadOnlyAdmin):
    """The list of those turned away; one action makes charge points of them."""

    list_display = ("knocker", "transport_badge", "hardware", "address", "times", "first", "last")
    sortable_by = ("last",)
    list_filter = (TransportFilter,)
    search_fields = ("identity",)
    search_help_text = "Identity, from its beginning"
    actions = ("add_selected",)
    fields = (
        "whole_identity",
        "like",
        "transport_badge",
        "hardware",
        "address",
        "times",
        "first",
        "last",
    )

    def find(
        self, queryset: "QuerySet[UnknownChargePoint]", term: str
    ) -> "QuerySet[UnknownChargePoint]":
        return queryset.filter(identity__startswith=term)

    def has_adopt_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("csms.add_chargepoint")

    @admin.action(description="Add as charge point", permissions=["adopt"])
    def add_selected(self, request: HttpRequest, queryset: "QuerySet[UnknownChargePoint]") -> None:
        added = []
        for row in queryset:
            try:
                created = charge_points.charge_point_add(
                    identity=row.identity, transport=row.transport
                )
            except ValueError as error:
                self.message_user(request, show.visible(str(error)), messages.WARNING)
                continue
            self.log_addition(request, created, "Added from the unknown charge points")
            added.append((show.change_url("chargepoint", created.pk), show.clip(row.identity, 40)))
        if added:
            self.message_user(
                request,
                format_html(
                    "{} added and accepted; each can connect once its page has made a key: {}{}",
                    len(added),
                    show.links(added[:NAMED]),
                    " …" if len(added) > NAMED else "",
                ),
                messages.SUCCESS,
            )

    @display(description="Identity")
    def knocker(self, row: UnknownChargePoint) -> SafeString | str:
        return show.clip(row.identity, 32)

    @display(description="Identity")
    def whole_identity(self, row: UnknownChargePoint) -> SafeString | str:
        return show.whole(row.identity)

    @display(description="Like one that is known")
    def like(self, row: UnknownChargePoint) -> SafeString | str:
        return case_hint(row.identity)

    @display(description="Transport")
    def transport_badge(self, row: UnknownChargePoint) -> SafeString:
        return show.badge(row.transport, "plain", row.get_transport_display())

    @display(description="Vendor, model")
    def hardware(self, row: UnknownChargePoint) -> SafeString | str:
        return show.two_lines(
            show.clip(row.vendor, 20), show.clip(row.model, 24) if row.model else ""
        )

    @display(description="Address")
    def address(self, row: UnknownChargePoint) -> SafeString | str:
        return show.clip(row.remote_address, 40)

    @display(description="Times")
    def times(self, row: UnknownChargePoint) -> str:
        return f"{row.count:,}"

    @display(description="First")
    def first(self, row: UnknownChargePoint) -> SafeString | str:
        return show.when(row.first_at)

    @display(description="Last", ordering="last_at")
    def last(self, row: UnknownChargePoint) -> SafeString | str:
        return show.when(row.last_at)
