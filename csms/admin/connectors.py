"""Connectors, as last reported: their badge, their list, their rows on a charge point's page."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    charge_point_pk,
)
from csms.models import Connector
from csms.models.charge_points import ChargePointStatus
from csms.services.reservations import with_reservation

STATUS_KINDS: dict[str, str] = {
    ChargePointStatus.AVAILABLE: "good",
    ChargePointStatus.CHARGING: "info",
    ChargePointStatus.FAULTED: "bad",
    ChargePointStatus.UNAVAILABLE: "bad",
    "": "plain",
}


def status_badge(connector: Connector, prefix: str = "") -> SafeString:
    """The status in its colour; error code, information and time on hover."""
    details = [connector.status or "no status yet"]
    if connector.error_code and connector.error_code != "NoError":
        details.append(connector.error_code)
    details += [text for text in (connector.vendor_error_code, connector.info) if text]
    if connector.received_at:
        details.append(show.exact(connector.received_at))
    return show.badge(
        f"{prefix}{connector.status or '?'}",
        STATUS_KINDS.get(connector.status, "warn"),
        ", ".join(details),
    )


class ConnectorColumns:
    """Columns that the list and the charge point's page share."""

    @display(description="connectorId")
    def number(self, row: Connector) -> str:
        return f"{row.connector_id}" if row.connector_id else "0 (main controller)"

    @display(description="Status")
    def state(self, row: Connector) -> SafeString:
        return status_badge(row)

    @display(description="Reserved for")
    def reserved(self, row: Any) -> SafeString | str:
        """By an active reservation; `row` comes from `with_reservation`."""
        if row.reservation_key is None:
            return show.EMPTY
        url = show.change_url("reservation", row.reservation_key)
        until = f"until {row.reserved_until:%Y-%m-%d %H:%M} UTC"
        return show.two_lines(show.link(url, show.clip(row.reserved_for, 20)), until)

    @display(description="Error")
    def fault(self, row: Connector) -> SafeString | str:
        return show.clip(
            " · ".join(filter(None, (row.error_code, row.vendor_error_code, row.info))), 60
        )

    @display(description="Reported (UTC)")
    def reported(self, row: Connector) -> SafeString | str:
        return show.moment(row.reported_at)

    @display(description="Received")
    def received(self, row: Connector) -> SafeString | str:
        return show.when(row.received_at)


class ConnectorInline(ConnectorColumns, ReadOnlyInline):
    model = Connector
    fields = ("number", "state", "reserved", "fault", "reported", "received")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        return with_reservation(super().get_queryset(request))


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    options = {
        **{value: (label, {"status": value}) for value, label in ChargePointStatus.choices},
        "none": ("No status yet", {"status": ""}),
    }


@admin.register(Connector)
class ConnectorAdmin(ConnectorColumns, ReadOnlyAdmin):
    """All connectors of the fleet, so that what is faulted is found at once."""

    list_display = (
        "charge_point_column",
        "number",
        "state",
        "reserved",
        "fault",
        "reported",
        "received",
    )
    list_display_links = None
    list_filter = (StatusFilter, ChargePointFilter)
    list_select_related = ("charge_point",)
    ordering = ("charge_point_id", "connector_id")
    search_fields = ("charge_point",)
    search_help_text = "Identity of the charge point, exactly"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Connector]":
        return with_reservation(super().get_queryset(request))

    def find(self, queryset: "QuerySet[Connector]", term: str) -> "QuerySet[Connector]":
        return queryset.filter(charge_point_id=charge_point_pk(term))

    @display(description="Charge point")
    def charge_point_column(self, row: Connector) -> Any:
        return show.charge_point_link(row.charge_point_id, row.charge_point.identity)
