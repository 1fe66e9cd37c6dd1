"""idTags: who may charge."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import ChoiceFilter, FleetAdmin, TermFilter
from csms.models import IdTag
from csms.models.authorization import fold
from csms.services import authorization


class BlockedFilter(ChoiceFilter):
    title = "blocked"
    parameter_name = "blocked"
    options = {"1": ("Blocked", {"blocked": True}), "0": ("Not blocked", {"blocked": False})}


class ParentFilter(TermFilter):
    title = "parentIdTag (exactly)"
    parameter_name = "parent"

    def narrow(self, queryset: "QuerySet[IdTag]", term: str) -> "QuerySet[IdTag]":
        return queryset.filter(parent_id_tag=term)


@admin.register(IdTag)
class IdTagAdmin(FleetAdmin):
    """The tags, with blocking in bulk."""

    list_display = ("tag", "state", "holder", "parent", "expires", "at_one_time", "transactions")
    sortable_by = ("tag",)
    list_filter = (BlockedFilter, ParentFilter)
    search_fields = ("key",)
    search_help_text = "idTag or name, from its beginning"
    actions = ("block", "unblock")
    autocomplete_fields = ("charge_points",)
    fieldsets = (
        (None, {"fields": (("id_tag", "name"), "blocked")}),
        (
            "Limits",
            {"fields": (("expires_at", "max_transactions"), "parent_id_tag", "charge_points")},
        ),
    )

    def find(self, queryset: "QuerySet[IdTag]", term: str) -> "QuerySet[IdTag]":
        return queryset.filter(Q(key__startswith=fold(term)) | Q(name__startswith=term))

    @display(description="idTag", ordering="key")
    def tag(self, row: IdTag) -> SafeString | str:
        return show.clip(row.id_tag, 24)

    @display(description="State")
    def state(self, row: IdTag) -> SafeString:
        if row.blocked:
            return show.badge("blocked", "bad")
        if row.expires_at and row.expires_at <= timezone.now():
            return show.badge("expired", "warn")
        return show.badge("valid", "good")

    @display(description="Name")
    def holder(self, row: IdTag) -> SafeString | str:
        return show.clip(row.name, 24)

    @display(description="parentIdTag")
    def parent(self, row: IdTag) -> SafeString | str:
        return show.clip(row.parent_id_tag, 20)

    @display(description="Expires")
    def expires(self, row: IdTag) -> SafeString | str:
        return show.when(row.expires_at)

    @display(description="At one time")
    def at_one_time(self, row: IdTag) -> str:
        return f"{row.max_transactions}" if row.max_transactions else "any number"

    @display(description="See also")
    def transactions(self, row: IdTag) -> SafeString:
        return show.link(show.list_url("transaction", q=row.id_tag), "transactions")

    def _block(self, request: HttpRequest, queryset: "QuerySet[Any]", blocked: bool) -> None:
        word = "blocked" if blocked else "unblocked"
        rows = list(queryset)
        for row in rows:
            authorization.id_tag_block(id_tag=row.id_tag, blocked=blocked)
            self.log_change(request, row, word.capitalize())
        self.message_user(request, f"{len(rows)} idTags {word}.", messages.SUCCESS)

    @admin.action(description="Block", permissions=["change"])
    def block(self, request: HttpRequest, queryset: "QuerySet[IdTag]") -> None:
        self._block(request, queryset, blocked=True)

    @admin.action(description="Unblock", permissions=["change"])
    def unblock(self, request: HttpRequest, queryset: "QuerySet[IdTag]") -> None:
        self._block(request, queryset, blocked=False)
