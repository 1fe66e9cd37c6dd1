"""Templates of configuration values: edited as lines of key and value."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from csms.admin import show
from csms.admin.base import FleetAdmin, PrefixFilter
from csms.models import ConfigurationTemplate
from csms.services.configuration_templates import (
    TemplateInvalid,
    Values,
    template_change,
    values_checked,
)

SHOWN = 3
"""Keys that the list names."""


class ValuesField(forms.CharField):
    """Lines of `key = value`, as a template keeps them."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 12, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(f"{key} = {text}" for key, text in value)
        return value

    def clean(self, value: Any) -> Values:
        text = super().clean(value)
        numbers: list[int] = []
        pairs: Values = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            key, equals, content = line.partition("=")
            if not equals:
                raise forms.ValidationError(f"Line {number}: write a key, =, and its value.")
            numbers.append(number)
            pairs.append([key, content])
        try:
            return values_checked(pairs)
        except TemplateInvalid as invalid:
            place = "" if invalid.place is None else f"Line {numbers[invalid.place]}: "
            raise forms.ValidationError(f"{place}{invalid}") from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except forms.ValidationError:
            return True


class ConfigurationTemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A template; its values are checked by what the specification says of each standard key."""

    values = ValuesField(
        strip=False,  # lines are counted
        help_text="One line for each key, as HeartbeatInterval = 300. They are sent in this order. "
        "Secrets are not kept here: AuthorizationKey is changed on the charge point's page.",
    )

    class Meta:
        model = ConfigurationTemplate
        fields = ("name", "site", "model", "vendor", "values")


class TemplateVendorFilter(PrefixFilter):
    title = "vendor (begins with)"
    parameter_name = "vendor"


class TemplateSiteFilter(PrefixFilter):
    title = "site (begins with)"
    parameter_name = "site"


@admin.register(ConfigurationTemplate)
class ConfigurationTemplateAdmin(FleetAdmin):
    """The templates; where charge points drift from them is in the list of configurations."""

    form = ConfigurationTemplateForm
    list_display = ("title", "holds_for", "keys")
    sortable_by = ("title",)
    list_filter = (TemplateVendorFilter, TemplateSiteFilter)
    search_fields = ("name",)
    search_help_text = "Name, from its beginning"
    fieldsets = (
        (None, {"fields": ("name",)}),
        (
            "Holds for the charge points with",
            {
                "description": "All that are given must be so. Where several templates say "
                "something of a key, one with a site goes before those without, then one with a "
                "model, then one with a vendor; of equal ones the latest.",
                "fields": (("site", "model", "vendor"),),
            },
        ),
        ("Values", {"fields": ("values",)}),
    )

    def find(
        self, queryset: "QuerySet[ConfigurationTemplate]", term: str
    ) -> "QuerySet[ConfigurationTemplate]":
        return queryset.filter(name__startswith=term)

    def save_model(
        self, request: HttpRequest, obj: ConfigurationTemplate, form: Any, change: bool
    ) -> None:
        template_change(template=obj)

    @display(description="Name", ordering="name")
    def title(self, row: ConfigurationTemplate) -> SafeString | str:
        return show.clip(row.name, 40)

    @display(description="Holds for")
    def holds_for(self, row: ConfigurationTemplate) -> SafeString | str:
        given = [
            f"{name} {value}"
            for name in ("site", "model", "vendor")
            if (value := getattr(row, name))
        ]
        return show.wrapped(", ".join(given) or "all charge points", 80)

    @display(description="Values")
    def keys(self, row: ConfigurationTemplate) -> SafeString | str:
        named = [f"{key} = {value}" for key, value in row.values[:SHOWN]]
        more = len(row.values) - SHOWN
        return show.wrapped(
            "; ".join(named) + (f" and {more} more" if more > 0 else ""),
            160,
        )
