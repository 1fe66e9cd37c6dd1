"""What all pages share: bounded counts, indexed search, filters without distinct scans."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, TextFilter
from unfold.views import ChangeList
from unfold.widgets import INPUT_CLASSES

from csms.admin import show
from csms.admin.history import AuditHistory
from csms.admin.paginator import BoundedPaginator
from csms.models import ChargePoint


def plain_term(text: str | None) -> str:
    """A search term as the databases take it: PostgreSQL knows no NUL."""
    return (text or "").replace("\0", "").strip()


class FleetChangeList(ChangeList):
    """A list that offers "Show all" beside its count only when something narrows it."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class FleetAdmin(AuditHistory, ModelAdmin):
    """A list that stays fast with a million rows.

    No count goes beyond 10,000; only columns with an index sort; search is exact or by prefix
    (`find`), because `icontains` and `istartswith` read every row of both databases.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    list_fullwidth = True
    list_filter_submit = True
    sortable_by: Sequence[str] = ()
    compressed_fields = False

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        """The rows a search term names."""
        raise NotImplementedError

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FleetChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> "tuple[QuerySet[Any], bool]":
        term = plain_term(search_term)
        return (self.find(queryset, term) if term else queryset), False


class ReadOnlyAdmin(FleetAdmin):
    """What charge points told us, and what we noted: to be read, never changed."""

    actions: Sequence[Any] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyInline(TabularInline):
    """Rows below a detail page, to be read; without any it says so."""

    template = "csms/read_only_inline.html"
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class TermFilter(TextFilter):
    """A filter with a box to type in; `narrow` says what is looked for."""

    def value(self) -> str:
        return plain_term(super().value())

    def narrow(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        term = self.value()
        return self.narrow(queryset, term) if term else None


class PrefixFilter(TermFilter):
    """Rows whose `parameter_name` begins with what was typed."""

    def narrow(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(**{f"{self.parameter_name}__startswith": term})


class ChargePointFilter(TermFilter):
    """Rows of the charge point with exactly this identity."""

    title = "charge point (exact identity)"
    parameter_name = "charger"

    def narrow(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(charge_point_id=charge_point_pk(term))


class ChoiceFilter(DropdownFilter):
    """One of a few named conditions; `options` holds value → (label, conditions)."""

    options: dict[str, tuple[str, dict[str, Any]]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, label) for value, (label, _) in self.options.items()]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        option = self.options.get(self.value() or "")
        return queryset.filter(**option[1]) if option else None


class DayForm(forms.Form):
    """Two dates, as the browser's own date fields: no script, any phone."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for end, label in (("from", "From"), ("to", "To")):
            self.fields[f"{name}_{end}"] = forms.DateField(
                label=label,
                required=False,
                widget=forms.DateInput(
                    attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}, format="%Y-%m-%d"
                ),
            )


class DayFilter(RangeDateFilter):
    """From one day to another, both included (UTC), over an indexed time."""

    form_class = DayForm
    template = "csms/filter_days.html"

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        limits = {}
        for end, lookup, at in (("from", "gte", time.min), ("to", "lte", time.max)):
            text = self.used_parameters.get(f"{self.parameter_name}_{end}")
            try:
                day = parse_date(text) if isinstance(text, str) else None
            except ValueError:
                day = None
            if day:
                limits[f"{self.field_path}__{lookup}"] = datetime.combine(day, at, UTC)
        return queryset.filter(**limits)


def charge_point_pk(identity: str) -> int:
    """The row of exactly this identity; -1, which no row has, when there is none."""
    pk = ChargePoint.objects.filter(identity=identity).values_list("pk", flat=True).first()
    return -1 if pk is None else pk


def same_but_for_case(identity: str) -> ChargePoint | None:
    """A charge point whose identity differs from this one only in case.

    Reads the identities of the fleet once (thousands), so it is for pages of one row.
    """
    return ChargePoint.objects.filter(identity__iexact=identity).exclude(identity=identity).first()


def case_hint(identity: str) -> SafeString | str:
    """What is said of an unknown identity when a known one differs only in case."""
    known = same_but_for_case(identity)
    if known is None:
        return show.EMPTY
    return format_html(
        "{} is known, and differs only in case: case counts.",
        show.charge_point_link(known.pk, known.identity, 255),
    )
