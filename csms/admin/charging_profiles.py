"""Charging profiles that are kept as templates: edited with a drawing, sent to charge points."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import action as detail_action
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from csms.admin import charging_limits, sending, show
from csms.admin.base import ChoiceFilter, FleetAdmin
from csms.admin.charging_profile_form import ChargingProfileForm
from csms.admin.profile_words import schedule_words
from csms.admin.sending_form import LONGEST_WAIT
from csms.models import ChargePoint, ChargingProfileTemplate
from csms.models.smart_charging import KINDS, PURPOSES
from csms.services.commands import EXPIRES_IN, CommandRefused, PayloadRefused
from csms.services.profile_templates import (
    CONNECTORS,
    Sent,
    template_change,
    template_send,
    wire_of,
)

OPERATION = "SetChargingProfile"
NAMED = 20
"""Refused charge points that a message names."""


class PurposeFilter(ChoiceFilter):
    title = "purpose"
    parameter_name = "purpose"
    options = {value: (label, {"purpose": value}) for value, label in PURPOSES}


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    options = {value: (label, {"kind": value}) for value, label in KINDS}


class ProfileSendForm(forms.Form):
    """Which charging profile, to which connector of the chosen charge points."""

    template = forms.ModelChoiceField(
        ChargingProfileTemplate.objects.all(),
        label="Charging profile",
        widget=UnfoldAdminSelectWidget,
    )
    connector_id = forms.IntegerField(
        label="connectorId",
        min_value=0,
        max_value=CONNECTORS - 1,
        initial=0,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="0 for ChargePointMaxProfile and, with TxDefaultProfile, all connectors.",
    )
    identities = forms.CharField(
        label="Charge points",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="Identities, one a line. Many are chosen in the list of charge points, with its "
        "action “Send a charging profile”.",
    )
    expires_minutes = forms.IntegerField(
        label="Wait at most (minutes)",
        min_value=1,
        max_value=LONGEST_WAIT,
        initial=EXPIRES_IN // 60,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="What a charge point could not be sent by then expires.",
    )

    def __init__(self, *args: Any, chosen: list[ChargePoint], **options: Any) -> None:
        super().__init__(*args, **options)
        self.chosen = chosen
        if chosen:
            del self.fields["identities"]

    def clean_identities(self) -> str:
        text: str = self.cleaned_data["identities"]
        wanted = list(dict.fromkeys(filter(None, (line.strip() for line in text.splitlines()))))
        if len(wanted) > sending.MOST:
            raise forms.ValidationError(f"At most {sending.MOST:,} charge points.")
        known = {row.identity: row for row in ChargePoint.objects.filter(identity__in=wanted)}
        missing = [identity for identity in wanted if identity not in known]
        if missing:
            raise forms.ValidationError(f"There is no charge point {show.visible(missing[0])}.")
        if not wanted:
            raise forms.ValidationError("Name at least one charge point.")
        self.chosen = [known[identity] for identity in wanted]
        return text


def send_url(send_to: str = "", template: int | None = None) -> str:
    """The page that sends a charging profile to this choice of charge points."""
    query = {"send_to": send_to, "template": template}
    given = {name: value for name, value in query.items() if value}
    return reverse("admin:csms_chargingprofiletemplate_send", query=given or None)


@admin.register(ChargingProfileTemplate)
class ChargingProfileTemplateAdmin(FleetAdmin):
    """The templates; what of them is where is on the charge points' pages."""

    form = ChargingProfileForm
    list_display = ("title", "purpose", "stack_level", "repeats", "schedule")
    sortable_by = ("title",)
    list_filter = (PurposeFilter, KindFilter)
    search_fields = ("name",)
    search_help_text = "Name, from its beginning"
    actions_detail = ("send",)
    fieldsets = (
        (None, {"fields": ("name", ("purpose", "stack_level"), ("kind", "recurrency_kind"))}),
        (
            "Schedule",
            {
                "fields": (
                    ("charging_rate_unit", "start_schedule"),
                    ("duration", "min_charging_rate"),
                    "periods",
                )
            },
        ),
        ("Validity", {"fields": (("valid_from", "valid_to"), "charging_profile_id")}),
    )

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("send/", view(self.send_page), name="csms_chargingprofiletemplate_send"),
            *charging_limits.urls(self.admin_site),
            *super().get_urls(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only look at a profile reads its periods in words."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        first, (title, options), last = fieldsets
        shown = tuple("schedule" if name == "periods" else name for name in options["fields"])
        return first, (title, options | {"fields": shown}), last

    def find(
        self, queryset: "QuerySet[ChargingProfileTemplate]", term: str
    ) -> "QuerySet[ChargingProfileTemplate]":
        return queryset.filter(name__startswith=term)

    def save_model(
        self, request: HttpRequest, obj: ChargingProfileTemplate, form: Any, change: bool
    ) -> None:
        template_change(template=obj)

    @display(description="Name", ordering="name")
    def title(self, row: ChargingProfileTemplate) -> SafeString | str:
        return show.clip(row.name, 40)

    @display(description="Kind")
    def repeats(self, row: ChargingProfileTemplate) -> str:
        return f"{row.kind} {row.recurrency_kind}".strip()

    @display(description="Schedule")
    def schedule(self, row: ChargingProfileTemplate) -> SafeString | str:
        return show.wrapped(schedule_words(wire_of(row)), 120)

    # Sending

    @detail_action(description="Send to charge points", icon="send", permissions=["send"])
    def send(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Leads to the form; nothing is sent by this."""
        return HttpResponseRedirect(send_url(template=object_id))

    def has_send_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return sending.may_send(request, OPERATION)

    def send_page(self, request: HttpRequest) -> HttpResponse:
        """Choose profile, connector and charge points; a POST with `send_now` sends."""
        if not (self.has_send_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        if not request.user.has_perm("csms.view_chargepoint"):
            raise PermissionDenied
        posted = request.method == "POST"
        entered: QueryDict = request.POST if posted else request.GET
        text = entered.get("send_to", "")
        keys = sending.choice_keys(text)
        chosen = list(ChargePoint.objects.filter(pk__in=keys).order_by("identity"))
        sends = posted and "send_now" in entered
        form = ProfileSendForm(
            entered if sends else None,
            chosen=chosen,
            initial={"template": entered.get("template"), "connector_id": 0},
        )
        if sends and form.is_valid():
            sent = self._sent(request, form)
            if sent is not None:
                return HttpResponseRedirect(_outcome(request, sent))
        context = {
            **self.admin_site.each_context(request),
            "title": "Send a charging profile",
            "form": form,
            "send_to": text if chosen else "",
            "chosen": chosen,
            "names": [show.clip(row.identity, 40) for row in chosen[: sending.NAMED]],
            "unnamed": max(len(chosen) - sending.NAMED, 0),
            "send_url": reverse("admin:csms_chargingprofiletemplate_send"),
            "add_url": reverse("admin:csms_chargingprofiletemplate_add"),
        }
        return TemplateResponse(request, "csms/profile_send.html", context)

    def _sent(self, request: HttpRequest, form: ProfileSendForm) -> Sent | None:
        """What was sent; None when it was refused, which the form then says."""
        data = form.cleaned_data
        try:
            return template_send(
                template=data["template"],
                charge_points=form.chosen,
                connector_id=data["connector_id"],
                by=sending.by(request),
                expires_in=60 * data["expires_minutes"],
            )
        except PayloadRefused as refusal:
            form.add_error("connector_id" if refusal.path == "connectorId" else None, str(refusal))
        except CommandRefused as refusal:
            form.add_error(None, str(refusal))
        return None


def _outcome(request: HttpRequest, sent: Sent) -> str:
    """Where to follow what was sent; of a TxProfile a message says who was left out."""
    if sent.batch is not None:
        return show.change_url("commandbatch", sent.batch.pk)
    messages.success(request, f"Sent to {len(sent.commands):,} transactions.")
    for identity, reason in sent.refused[:NAMED]:
        messages.warning(request, f"Not sent to {show.visible(identity)}: {reason}")
    if len(sent.refused) > NAMED:
        messages.warning(request, f"Nor to {len(sent.refused) - NAMED:,} more.")
    return show.list_url("command", action=OPERATION)
