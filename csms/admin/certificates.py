"""Security events and certificate signing requests."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Max, QuerySet
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    DayFilter,
    ReadOnlyAdmin,
    TermFilter,
    charge_point_pk,
)
from csms.models import CertificateSigningRequest, SecurityEvent
from csms.services.security_events import GROUPS

NEWEST = 50_000
"""Events among which an address is looked for."""


class SourceFilter(ChoiceFilter):
    title = "seen by"
    parameter_name = "ours"
    options = {"1": ("Central system", {"ours": True}), "0": ("Charge point", {"ours": False})}


class RefusalFilter(ChoiceFilter):
    title = "refusals"
    parameter_name = "refused"
    options = {
        key: (name, {"kind__in": kinds, "ours": True}) for key, (name, kinds) in GROUPS.items()
    }


class AddressFilter(TermFilter):
    """Among the newest only: addresses have no index."""

    title = f"address (of the newest {NEWEST:,})"
    parameter_name = "address"

    def narrow(self, queryset: "QuerySet[SecurityEvent]", term: str) -> "QuerySet[SecurityEvent]":
        newest = SecurityEvent.objects.aggregate(n=Max("pk"))["n"] or 0
        return queryset.filter(pk__gt=newest - NEWEST, remote_address=term)


class TypeFilter(TermFilter):
    title = "type (exactly)"
    parameter_name = "kind"

    def narrow(self, queryset: "QuerySet[SecurityEvent]", term: str) -> "QuerySet[SecurityEvent]":
        return queryset.filter(kind=term)


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    """What charge points reported, and what the central system saw itself."""

    list_display = ("received", "charger", "what", "information", "source", "address")
    list_filter = (
        ChargePointFilter,
        RefusalFilter,
        TypeFilter,
        AddressFilter,
        SourceFilter,
        ("received_at", DayFilter),
    )
    search_fields = ("identity",)
    search_help_text = "Identity, exactly"
    fields = (
        "received",
        "happened",
        "charger",
        "what_whole",
        "information_whole",
        "source",
        "address",
    )

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        pk = charge_point_pk(term)
        if pk > 0:
            return queryset.filter(charge_point_id=pk)
        return queryset.filter(charge_point__isnull=True, identity=term)

    @display(description="Received (UTC)")
    def received(self, row: SecurityEvent) -> SafeString | str:
        return show.moment(row.received_at)

    @display(description="Happened (UTC)")
    def happened(self, row: SecurityEvent) -> SafeString | str:
        return show.moment(row.happened_at)

    @display(description="Charge point")
    def charger(self, row: SecurityEvent) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.identity)

    @display(description="Type")
    def what(self, row: SecurityEvent) -> SafeString | str:
        return show.clip(row.kind, 40)

    @display(description="Type")
    def what_whole(self, row: SecurityEvent) -> SafeString | str:
        return show.whole(row.kind)

    @display(description="techInfo")
    def information(self, row: SecurityEvent) -> SafeString | str:
        return show.clip(row.tech_info, 60)

    @display(description="techInfo")
    def information_whole(self, row: SecurityEvent) -> SafeString | str:
        return show.whole(row.tech_info)

    @display(description="Seen by")
    def source(self, row: SecurityEvent) -> SafeString:
        return show.badge("us", "info") if row.ours else show.badge("charge point")

    @display(description="Address")
    def address(self, row: SecurityEvent) -> SafeString | str:
        return show.clip(row.remote_address, 40)


@admin.register(CertificateSigningRequest)
class CertificateSigningRequestAdmin(ReadOnlyAdmin):
    """CSRs as charge points sent them."""

    list_display = ("received", "charger", "beginning")
    list_filter = (ChargePointFilter,)
    list_select_related = ("charge_point",)
    search_fields = ("charge_point",)
    search_help_text = "Identity, exactly"
    fields = ("received", "charger", "whole_csr")

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(charge_point_id=charge_point_pk(term))

    @display(description="Received (UTC)")
    def received(self, row: CertificateSigningRequest) -> SafeString | str:
        return show.moment(row.received_at)

    @display(description="Charge point")
    def charger(self, row: CertificateSigningRequest) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.charge_point.identity)

    @display(description="CSR")
    def beginning(self, row: CertificateSigningRequest) -> SafeString | str:
        body = row.csr.replace("-----BEGIN CERTIFICATE REQUEST-----", "").strip()
        return show.clip(body, 48)

    @display(description="CSR (PEM)")
    def whole_csr(self, row: CertificateSigningRequest) -> SafeString | str:
        return show.block(row.csr[:100_000])
