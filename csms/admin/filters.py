"""Filters of the charge points' list; others share the transport."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter

from csms.admin.base import ChoiceFilter, PrefixFilter
from csms.admin.online import online_condition
from csms.models import ChargePoint
from csms.models.charge_points import Registration, Transport


class OnlineFilter(DropdownFilter):
    title = "online"
    parameter_name = "online"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Online"), ("0", "Offline")]

    def queryset(
        self, request: HttpRequest, queryset: "QuerySet[ChargePoint]"
    ) -> "QuerySet[ChargePoint] | None":
        if self.value() not in ("0", "1"):
            return None
        online = queryset.filter(online_condition(timezone.now()))
        return online if self.value() == "1" else queryset.exclude(pk__in=online.values("pk"))


class TransportFilter(ChoiceFilter):
    title = "transport"
    parameter_name = "transport"
    options = {value: (label, {"transport": value}) for value, label in Transport.choices}


class RegistrationFilter(ChoiceFilter):
    title = "registration"
    parameter_name = "registration"
    options = {value: (label, {"registration": value}) for value, label in Registration.choices}


class CallbackFilter(ChoiceFilter):
    title = "callback address"
    parameter_name = "callback"
    options = {"proposed": ("New address waits for approval", {"callback_proposed__gt": ""})}


class VendorFilter(PrefixFilter):
    title = "vendor (begins with)"
    parameter_name = "vendor"


class SiteFilter(PrefixFilter):
    title = "site (begins with)"
    parameter_name = "site"


class FirmwareFilter(PrefixFilter):
    title = "firmware (begins with)"
    parameter_name = "firmware_version"
