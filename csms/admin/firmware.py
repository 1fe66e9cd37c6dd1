"""Progress of firmware updates, diagnostics and log uploads."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import ChargePointFilter, ChoiceFilter, ReadOnlyAdmin, charge_point_pk
from csms.models import TransferStatus
from csms.models.firmware import TransferKind

GOOD = {"Installed", "Uploaded", "Idle"}


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    options = {value: (label, {"kind": value}) for value, label in TransferKind.choices}


@admin.register(TransferStatus)
class TransferStatusAdmin(ReadOnlyAdmin):
    """Every status notification of a transfer, the latest first."""

    list_display = ("received", "charger", "what", "state", "request_id")
    list_filter = (KindFilter, ChargePointFilter)
    list_select_related = ("charge_point",)
    search_fields = ("charge_point",)
    search_help_text = "Identity, exactly"
    fields = ("received", "charger", "what", "state", "request_id")

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(charge_point_id=charge_point_pk(term))

    @display(description="Received (UTC)")
    def received(self, row: TransferStatus) -> SafeString | str:
        return show.moment(row.received_at)

    @display(description="Charge point")
    def charger(self, row: TransferStatus) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.charge_point.identity)

    @display(description="Kind")
    def what(self, row: TransferStatus) -> str:
        return row.get_kind_display()

    @display(description="Status")
    def state(self, row: TransferStatus) -> SafeString:
        if row.status in GOOD:
            return show.badge(row.status, "good")
        bad = "fail" in row.status.lower() or "invalid" in row.status.lower()
        return show.badge(row.status, "bad" if bad else "info")
