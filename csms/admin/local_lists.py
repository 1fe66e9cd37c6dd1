"""Local authorization lists: how each charge point's stands, and bringing them up to date."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action as unfold_action
from unfold.views import ChangeList

from csms.admin import sending, show
from csms.admin.base import FleetChangeList, ReadOnlyAdmin
from csms.admin.filters import SiteFilter, TransportFilter, VendorFilter
from csms.models import ChargePoint, ChargePointLocalList
from csms.services.local_list_states import ListState, State, charge_points_in, list_states
from csms.services.local_lists import Update, lists_update

NAMED = 10
"""Charge points that messages name."""
OPERATION = "SendLocalList"
KINDS = {
    State.CURRENT: "good",
    State.STALE: "warn",
    State.NONE: "plain",
    State.UPDATING: "info",
    State.FAILED: "bad",
    State.OFF: "plain",
    State.UNSUPPORTED: "plain",
}


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.name.lower(), state.value) for state in State]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        name = (self.value() or "").upper()
        if name not in State.__members__:
            return None
        return queryset.filter(pk__in=charge_points_in([State[name]]))


class StateList(FleetChangeList):
    """The rows of a page, each with `standing`."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        found = list_states(self.result_list)
        for row in self.result_list:
            row.standing = found[row.pk]


@admin.register(ChargePointLocalList)
class ChargePointLocalListAdmin(ReadOnlyAdmin):
    """Each charge point with the version and state of its list."""

    list_display = ("charge_point", "list_version", "list_state", "entries", "updated")
    sortable_by = ("charge_point",)
    list_filter = (StateFilter, VendorFilter, SiteFilter, TransportFilter)
    search_fields = ("identity",)
    search_help_text = "Identity or name, from its beginning"
    actions = ("update_lists",)
    actions_list = ("update_all",)
    list_display_links = None

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        name = "csms_chargepointlocallist_update"
        return [path("update/", view(self.update_page), name=name), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return StateList

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(Q(identity__startswith=term) | Q(name__startswith=term))

    @display(description="Charge point", ordering="identity")
    def charge_point(self, row: ChargePoint) -> SafeString | str:
        link = show.charge_point_link(row.pk, row.identity, 28)
        return show.two_lines(link, show.clip(row.name, 32) if row.name else "")

    @display(description="Version")
    def list_version(self, row: Any) -> str:
        one: ListState = row.standing
        return show.EMPTY if one.version is None else str(one.version)

    @display(description="State")
    def list_state(self, row: Any) -> SafeString | str:
        one: ListState = row.standing
        badge = show.badge(one.state, KINDS[one.state])
        return show.two_lines(badge, show.wrapped(one.why, 160) if one.why else "")

    @display(description="idTags")
    def entries(self, row: Any) -> SafeString | str:
        one: ListState = row.standing
        has = "?" if one.entries is None else f"{one.entries:,}"
        return show.two_lines(has, f"of {one.wanted:,}")

    @display(description="Updated")
    def updated(self, row: Any) -> SafeString | str:
        one: ListState = row.standing
        if one.row is None:
            return show.EMPTY
        if one.row.command_id is None:
            return show.when(one.row.updated_at)
        url = show.change_url("command", one.row.command_id)
        return show.two_lines(show.when(one.row.updated_at), show.link(url, "latest step"))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A list has no page of its own: its line says all."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(show.list_url("chargepointlocallist", q=row.identity))

    # What is done

    @admin.action(description="Bring lists up to date", permissions=["update_lists"])
    def update_lists(self, request: HttpRequest, queryset: Any) -> None:
        rows = list(queryset[: sending.MOST + 1])
        if len(rows) > sending.MOST:
            text = f"This is for at most {sending.MOST:,} charge points: filter the list further."
            messages.error(request, text)
            return
        _outcome(request, lists_update(charge_points=rows, by=sending.by(request)))

    def has_update_lists_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return sending.may_send(request, OPERATION)

    @unfold_action(description="Bring all up to date", permissions=["update_lists"])
    def update_all(self, request: HttpRequest) -> HttpResponse:
        """Leads to the question; nothing is sent by this."""
        return HttpResponseRedirect(reverse("admin:csms_chargepointlocallist_update"))

    def update_page(self, request: HttpRequest) -> HttpResponse:
        """Bring all lists up to date, after a question."""
        if not (self.has_update_lists_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        if request.method == "POST":
            rows = ChargePoint.objects.order_by("identity")
            done = lists_update(charge_points=rows, by=sending.by(request))
            _outcome(request, done)
            return HttpResponseRedirect(show.list_url("chargepointlocallist"))
        due = charge_points_in([State.STALE, State.NONE, State.FAILED])
        context = {
            **self.admin_site.each_context(request),
            "title": "Bring all local lists up to date",
            "opts": self.model._meta,
            "number": len(due),
            "list_url": show.list_url("chargepointlocallist"),
        }
        return TemplateResponse(request, "csms/local_lists_update.html", context)


def _outcome(request: HttpRequest, done: Update) -> None:
    """Say what was begun, and for whom nothing is done and why."""
    begun = sum(batch.commands.count() for batch in done.batches)
    if begun:
        messages.success(request, f"{begun:,} update{'s' * (begun != 1)} begun.")
    if done.current:
        messages.info(request, f"{done.current:,} need none, or are being updated already.")
    for identity, reason in done.left[:NAMED]:
        messages.warning(request, f"{show.visible(identity)}: {show.visible(reason)}")
    if len(done.left) > NAMED:
        messages.warning(request, f"And {len(done.left) - NAMED:,} more that take no list.")
