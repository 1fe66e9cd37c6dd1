"""The configuration of charge points: what they told, where they drift from the templates."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter
from unfold.views import ChangeList

from csms.admin import sending, show
from csms.admin.base import FleetChangeList, ReadOnlyAdmin
from csms.admin.filters import SiteFilter, TransportFilter, VendorFilter
from csms.models import ChargePoint, ChargePointConfiguration, CommandBatch, ConfigurationKey
from csms.ocpp.configuration_keys import standard_key
from csms.services.configuration import (
    configuration_of,
    configuration_read,
    pending_now,
    reading_problem,
)
from csms.services.configuration_templates import (
    Drift,
    Repair,
    Templates,
    Why,
    drift_repair,
    drifts_of,
)
from csms.services.secrets import MASK, is_secret

NAMED = 10
"""Sentences about single charge points that messages have."""
READ, CHANGE = "GetConfiguration", "ChangeConfiguration"
LONGEST_KEY = 50
"""Characters of a key that ChangeConfiguration takes (§6.9)."""
KINDS = {
    Why.DIFFERS: "warn",
    Why.READ_ONLY: "bad",
    Why.UNKNOWN: "bad",
    Why.REBOOT: "info",
    Why.UNREAD: "plain",
}


class DriftFilter(DropdownFilter):
    title = "drift"
    parameter_name = "drift"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Other values than their templates"), ("unread", "Never read")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        if self.value() == "1":
            return queryset.filter(Templates().drifting())
        if self.value() == "unread":
            return queryset.filter(configuration_state__read_at=None)
        return None


class DriftList(FleetChangeList):
    """The rows of a page, each with `drifts`."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        found = drifts_of(self.result_list)
        for row in self.result_list:
            row.drifts = found[row.pk]


class ConfigurationActions:
    """What is done about the configuration of chosen charge points."""

    @admin.action(description="Read configuration", permissions=["read_configuration"])
    def read_configuration(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        chosen = _chosen(request, queryset)
        if not chosen:
            return None
        batches = configuration_read(charge_points=chosen, by=sending.by(request))
        return _outcome(request, batches, [])

    def has_read_configuration_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return sending.may_send(request, READ)

    @admin.action(description="Repair configuration", permissions=["repair_configuration"])
    def repair_configuration(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        chosen = _chosen(request, queryset)
        if not chosen:
            return None
        return _repaired(request, drift_repair(charge_points=chosen, by=sending.by(request)))

    def has_repair_configuration_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return sending.may_send(request, CHANGE)


def _chosen(request: HttpRequest, queryset: Any) -> list[ChargePoint]:
    """The chosen charge points; none, and a message, when they are too many."""
    rows = list(queryset[: sending.MOST + 1])
    if len(rows) > sending.MOST:
        text = f"This is for at most {sending.MOST:,} charge points: filter the list further."
        messages.error(request, text)
        return []
    return rows


def _repaired(request: HttpRequest, done: Repair) -> HttpResponse | None:
    if not done.batches and not done.left:
        messages.success(request, "Nothing drifts, as far as is known.")
    return _outcome(request, done.batches, done.left)


def _outcome(
    request: HttpRequest, batches: list[CommandBatch], left: Iterable[tuple[str, str]]
) -> HttpResponse | None:
    """Say what was sent and what was not; leads to where it is followed."""
    sentences = list(left)
    for identity, sentence in sentences[:NAMED]:
        messages.warning(request, f"{show.visible(identity)}: {show.visible(sentence)}")
    if len(sentences) > NAMED:
        messages.warning(request, f"And {len(sentences) - NAMED:,} more like these.")
    if not batches:
        return None
    if len(batches) == 1:
        return HttpResponseRedirect(show.change_url("commandbatch", batches[0].pk))
    text = f"Sent as {len(batches):,} batches, one for each different request."
    messages.success(request, text)
    return HttpResponseRedirect(show.list_url("commandbatch"))


@admin.register(ChargePointConfiguration)
class ChargePointConfigurationAdmin(ConfigurationActions, ReadOnlyAdmin):
    """Each charge point with when it was read and where it drifts."""

    list_display = ("charge_point", "hardware", "read", "drift")
    sortable_by = ("charge_point",)
    list_filter = (DriftFilter, VendorFilter, SiteFilter, TransportFilter)
    search_fields = ("identity",)
    search_help_text = "Identity or name, from its beginning"
    actions = ("read_configuration", "repair_configuration")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        name = "csms_chargepointconfiguration"
        return [
            path("<int:pk>/read/", view(require_POST(self.read_one)), name=f"{name}_read"),
            path("<int:pk>/repair/", view(require_POST(self.repair_one)), name=f"{name}_repair"),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return DriftList

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ChargePointConfiguration]":
        rows: QuerySet[ChargePointConfiguration] = super().get_queryset(request)
        return rows.select_related("configuration_state__command")

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(Q(identity__startswith=term) | Q(name__startswith=term))

    @display(description="Charge point", ordering="identity")
    def charge_point(self, row: ChargePoint) -> SafeString | str:
        return show.two_lines(
            show.clip(row.identity, 28), show.clip(row.name, 32) if row.name else ""
        )

    @display(description="Vendor, model, site")
    def hardware(self, row: ChargePoint) -> SafeString | str:
        below = ", ".join(filter(None, (row.model, row.site)))
        return show.two_lines(show.clip(row.vendor, 20), show.clip(below, 32) if below else "")

    @display(description="Read")
    def read(self, row: ChargePoint) -> SafeString | str:
        state = getattr(row, "configuration_state", None)
        problem = reading_problem(state)
        at = show.when(state.read_at) if state and state.read_at else "never"
        return show.two_lines(at, show.clip(problem, 60) if problem else "")

    @display(description="Drift")
    def drift(self, row: Any) -> SafeString | str:
        drifts: list[Drift] = row.drifts
        if not drifts:
            return (
                show.badge("none", "good")
                if getattr(row, "configuration_state", None)
                else (show.EMPTY)
            )
        counted = {why: [d for d in drifts if d.why is why] for why in KINDS}
        return show.badges(
            [
                show.badge(
                    f"{len(some)} {why}", KINDS[why], ", ".join(d.wish.key for d in some[:20])
                )
                for why, some in counted.items()
                if some
            ]
        )

    # One charge point

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """All of its keys, and its drift."""
        row = self._row(request, object_id)
        state = getattr(row, "configuration_state", None)
        drifts = drifts_of([row])[row.pk]
        name = "admin:csms_chargepointconfiguration"
        context = {
            **self.admin_site.each_context(request),
            "title": f"Configuration of {show.visible(row.identity)}",
            "opts": self.model._meta,
            "charger": show.link(show.change_url("chargepoint", row.pk), show.whole(row.identity)),
            "read_at": show.when(state.read_at) if state and state.read_at else "",
            "problem": reading_problem(state),
            "asked": state.command if state else None,
            "by_name": row.configuration_by_name,
            "drifts": [_drift_line(drift) for drift in drifts],
            "repairable": any(drift.repairable for drift in drifts),
            "keys": [_key_line(key, row) for key in configuration_of(row)],
            "may_read": sending.may_send(request, READ),
            "may_repair": sending.may_send(request, CHANGE),
            "change_url": _change_url(row),
            "read_url": reverse(f"{name}_read", args=(row.pk,)),
            "repair_url": reverse(f"{name}_repair", args=(row.pk,)),
            "templates_url": show.list_url("configurationtemplate"),
        }
        return TemplateResponse(request, "csms/configuration.html", context)

    def _row(self, request: HttpRequest, pk: Any) -> ChargePointConfiguration:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if not str(pk).isdecimal() or len(str(pk)) > 18:
            pk = 0
        return get_object_or_404(self.get_queryset(request), pk=pk)

    def read_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._row(request, pk)
        if not sending.may_send(request, READ):
            raise PermissionDenied
        (batch,) = configuration_read(charge_points=[row], by=sending.by(request))
        return _back(request, row, [batch], batch.refused)

    def repair_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._row(request, pk)
        if not sending.may_send(request, CHANGE):
            raise PermissionDenied
        done = drift_repair(charge_points=[row], by=sending.by(request))
        return _back(request, row, done.batches, done.left)


def _back(
    request: HttpRequest, row: ChargePoint, batches: list[CommandBatch], left: Iterable[Any]
) -> HttpResponse:
    for _, sentence in left:
        messages.warning(request, show.visible(sentence))
    sent = sum(batch.commands.count() for batch in batches)
    if sent:
        messages.success(request, f"{sent} command{'s' * (sent != 1)} on the way.")
    return HttpResponseRedirect(show.change_url("chargepointconfiguration", row.pk))


def _drift_line(drift: Drift) -> dict[str, Any]:
    return {
        "key": show.whole(drift.wish.key),
        "desired": show.whole(drift.wish.value),
        "actual": show.EMPTY if drift.actual is None else show.whole(drift.actual),
        "badge": show.badge(drift.why, KINDS[drift.why]),
        "why": drift.why.words,
        "template": show.whole(drift.wish.template),
    }


def _change_url(row: ChargePoint, **entered: str) -> str:
    """The form of ChangeConfiguration, with what stands in it at first."""
    url = sending.send_url(str(row.pk), CHANGE)
    return f"{url}&{urlencode({'fill_in': 1} | entered)}" if entered else url


def _key_line(key: ConfigurationKey, row: ChargePoint) -> dict[str, Any]:
    standard = standard_key(key.key)
    notes = []
    if not key.known:
        notes.append(show.badge("no such key", "plain"))
    if key.readonly:
        notes.append(show.badge("read-only", "plain"))
    if pending_now(key, row.booted_at):
        notes.append(show.badge("reboot required", "info", f"then: {key.pending}"))
    meaning = ""
    if standard:
        unit = f", {standard.unit}" if standard.unit else ""
        meaning = f"{standard.meaning} ({standard.kind}{unit})"
    secret = is_secret(key.key) and key.known
    entered = {"key": key.key} if secret else {"key": key.key, "value": key.value}
    changeable = key.known and not key.readonly and len(key.key) <= LONGEST_KEY
    return {
        "key": show.whole(key.key),
        "change_url": _change_url(row, **entered) if changeable else "",
        "value": MASK if secret else show.whole(key.value),
        "meaning": meaning,
        "notes": show.badges(notes) if notes else "",
        "read": show.when(key.read_at),
    }
