"""Changes: who changed what, and when; to be read only."""

import contextlib
from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import ChoiceFilter, DayFilter, PrefixFilter, ReadOnlyAdmin
from csms.admin.history import action_badge, changes_list, kind_name, who
from csms.models import AuditAction, AuditEntry
from csms.services.audit import AUDITED, kind_of


class WhatFilter(ChoiceFilter):
    title = "kind of object"
    parameter_name = "kind"
    options = {kind: (kind_name(kind), {"kind": kind}) for kind in map(kind_of, AUDITED)}


class ActionFilter(ChoiceFilter):
    title = "change"
    parameter_name = "change"
    options = {value: (label, {"action": value}) for value, label in AuditAction.choices}


class ByFilter(PrefixFilter):
    title = "who (admin: ann, API: …, shell: …)"
    parameter_name = "by"


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The list of changes; an object's own are on its page, under History."""

    list_display = ("moment", "whom", "what_happened", "subject", "fields_changed")
    list_filter = (WhatFilter, ActionFilter, ByFilter, ("at", DayFilter))
    search_fields = ("object_text",)
    search_help_text = "Name of what was changed, from its beginning"
    fields = ("moment", "whom", "address", "what_happened", "subject", "changed")

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(object_text__startswith=term)

    @display(description="When (UTC)")
    def moment(self, row: AuditEntry) -> SafeString | str:
        return show.moment(row.at)

    @display(description="Who")
    def whom(self, row: AuditEntry) -> SafeString | str:
        return who(row)

    @display(description="From")
    def address(self, row: AuditEntry) -> SafeString | str:
        return show.whole(row.remote_address)

    @display(description="What")
    def what_happened(self, row: AuditEntry) -> SafeString:
        return action_badge(row)

    @display(description="Object")
    def subject(self, row: AuditEntry) -> SafeString | str:
        """Its name then, leading to its page now, when there is one."""
        text = show.clip(row.object_text, 32)
        if row.action != AuditAction.DELETED:
            view = f"admin:{row.kind.replace('.', '_')}_change"
            with contextlib.suppress(NoReverseMatch):
                text = show.link(reverse(view, args=(row.object_key,)), text)
        return show.two_lines(text, kind_name(row.kind))

    @display(description="Fields")
    def fields_changed(self, row: AuditEntry) -> SafeString | str:
        return show.wrapped(", ".join(row.changes).replace("_", " "), 60)

    @display(description="Changes")
    def changed(self, row: AuditEntry) -> SafeString | str:
        return changes_list(row)
