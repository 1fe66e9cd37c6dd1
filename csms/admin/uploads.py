"""Diagnostics and logs that charge points deliver: the list, and what a charge point's page has."""

from copy import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import action as detail_action
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from csms.admin import sending, show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    charge_point_pk,
)
from csms.admin.commands import state_badge
from csms.admin.files import size_text
from csms.admin.roll_outs import begin_url, may_roll_out
from csms.admin.sending_fields import MomentField
from csms.admin.sending_form import LONGEST_WAIT
from csms.attachments import attachment
from csms.models import ChargePoint, Upload
from csms.models.commands import CommandState
from csms.models.roll_outs import Scheme
from csms.models.uploads import UploadKind, UploadState
from csms.services.commands import EXPIRES_IN, CommandRefused
from csms.services.uploads import upload_request, uploads_forget, uploads_told

OPERATIONS = {
    UploadKind.DIAGNOSTICS: "GetDiagnostics",
    UploadKind.DIAGNOSTICS_LOG: "GetLog",
    UploadKind.SECURITY_LOG: "GetLog",
}
KINDS: dict[str, str] = {
    UploadState.WAITING: "info",
    UploadState.RECEIVING: "info",
    UploadState.RECEIVED: "good",
    UploadState.EXPIRED: "bad",
    UploadState.ENDED: "bad",
}


def offered(request: HttpRequest) -> list[tuple[str, str]]:
    """What the account may ask charge points for."""
    return [
        (kind.value, kind.label)
        for kind, name in OPERATIONS.items()
        if sending.may_send(request, name)
    ]


def state_of(row: Any) -> SafeString | str:
    """State, and what is known beside it; of an upload with `told`."""
    badge = show.badge(UploadState(row.state).label, KINDS[row.state])
    said = row.reason
    if row.state == UploadState.RECEIVING and row.size:
        said = f"{size_text(row.size)} so far"
    elif row.state == UploadState.WAITING and row.command is not None:
        state = CommandState(row.command.state)
        said = state.label if state != CommandState.ACCEPTED else row.told or ""
    return show.two_lines(badge, show.clip(said, 60) if said else "")


def file_of(row: Upload) -> SafeString | str:
    """The file, leading to its download."""
    if row.state != UploadState.RECEIVED:
        return show.EMPTY
    url = reverse("admin:csms_upload_file", args=(row.pk,))
    return show.two_lines(show.link(url, show.clip(row.file_name, 32)), size_text(row.size))


class RequestForm(forms.Form):
    """What to ask a charge point for."""

    kind = forms.ChoiceField(label="What", widget=UnfoldAdminSelectWidget)
    oldest = MomentField(label="From (UTC)", required=False)
    latest = MomentField(label="Until (UTC)", required=False)
    scheme = forms.ChoiceField(
        label="Protocol",
        required=False,
        choices=Scheme.choices,
        widget=UnfoldAdminSelectWidget,
        help_text="Automatic: by SupportedFileTransferProtocols, where it told it.",
    )
    retries = forms.IntegerField(
        min_value=0, max_value=100, initial=3, widget=UnfoldAdminIntegerFieldWidget
    )
    retry_interval = forms.IntegerField(
        label="retryInterval",
        min_value=0,
        max_value=86_400,
        initial=60,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Seconds between two attempts to deliver it.",
    )
    expires_minutes = forms.IntegerField(
        label="Wait at most (minutes)",
        min_value=1,
        max_value=LONGEST_WAIT,
        initial=EXPIRES_IN // 60,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="For a charge point that is offline.",
    )

    def __init__(self, *args: Any, kinds: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["kind"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = kinds

    def clean(self) -> dict[str, Any]:
        entered: dict[str, Any] = super().clean() or {}
        oldest, latest = entered.get("oldest"), entered.get("latest")
        if oldest and latest and oldest >= latest:
            self.add_error("latest", "It lies after “From”.")
        return entered


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = {value: (label, {"state": value}) for value, label in UploadState.choices}


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    options = {value: (label, {"kind": value}) for value, label in UploadKind.choices}


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    """All of them, the latest first."""

    list_display = ("asked", "charger", "what", "state_badge", "file_link", "who")
    list_display_links = ("asked",)
    list_filter = (StateFilter, KindFilter, ChargePointFilter)
    list_select_related = ("charge_point", "command")
    search_fields = ("charge_point",)
    search_help_text = "Identity, exactly"
    fields = (
        ("asked", "who"),
        ("charger", "what"),
        ("state_badge", "file_link"),
        ("scheme", "until"),
        "checksum",
        "command_link",
    )
    readonly_fields = (
        *("asked", "who", "charger", "what", "state_badge", "file_link", "scheme", "until"),
        *("checksum", "command_link"),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Upload]":
        return uploads_told(super().get_queryset(request))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Its heading says what the navigation says."""
        heading = copy(self.opts)
        heading.verbose_name_plural = "diagnostics"
        page: HttpResponse = super().changelist_view(
            request, {**(extra_context or {}), "opts": heading}
        )
        return page

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(charge_point_id=charge_point_pk(term))

    @display(description="Asked for (UTC)")
    def asked(self, row: Upload) -> SafeString | str:
        return show.moment(row.created_at)

    @display(description="Charge point")
    def charger(self, row: Upload) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.charge_point.identity)

    @display(description="What")
    def what(self, row: Upload) -> str:
        return row.get_kind_display()

    @display(description="State")
    def state_badge(self, row: Upload) -> SafeString | str:
        return state_of(row)

    @display(description="File")
    def file_link(self, row: Upload) -> SafeString | str:
        return file_of(row)

    @display(description="By")
    def who(self, row: Upload) -> SafeString | str:
        return show.clip(row.requested_by, 30)

    @display(description="May come until (UTC)")
    def until(self, row: Upload) -> SafeString | str:
        return show.moment(row.expires_at)

    @display(description="SHA-256")
    def checksum(self, row: Upload) -> SafeString | str:
        return show.whole(row.sha256)

    @display(description="Command")
    def command_link(self, row: Upload) -> SafeString | str:
        if row.command is None:
            return show.EMPTY
        return show.link(show.change_url("command", row.command.pk), state_badge(row.command.state))

    # Asking, downloading

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("ask/<int:pk>/", view(self.ask), name="csms_upload_ask"),
            path("<int:pk>/file/", view(self.file), name="csms_upload_file"),
            *super().get_urls(),
        ]

    def file(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The file; for who may ask for it."""
        row = get_object_or_404(Upload, pk=pk)
        name = OPERATIONS[UploadKind(row.kind)]
        if not (self.has_view_permission(request) and sending.may_send(request, name)):
            raise PermissionDenied
        try:
            if row.state == UploadState.RECEIVED:
                return attachment(row.file, name=row.file_name, size=row.size)
        except OSError:
            messages.error(request, "The file is not in the storage any more.")
        return HttpResponseRedirect(show.change_url("upload", pk))

    def ask(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask one charge point for diagnostics or a log."""
        kinds = offered(request)
        if not kinds or not request.user.has_perm("csms.view_chargepoint"):
            raise PermissionDenied
        charge_point = get_object_or_404(ChargePoint, pk=pk)
        form = RequestForm(request.POST if request.method == "POST" else None, kinds=kinds)
        if request.method == "POST" and form.is_valid():
            try:
                self._ask(request, charge_point, form.cleaned_data)
            except CommandRefused as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(request, "It was asked for; the list shows when it is here.")
                return HttpResponseRedirect(show.list_url("upload", charger=charge_point.identity))
        context = {
            **self.admin_site.each_context(request),
            "title": "Get diagnostics",
            "form": form,
            "charger": show.charge_point_link(charge_point.pk, charge_point.identity, 60),
        }
        return TemplateResponse(request, "csms/upload_ask.html", context)

    def _ask(self, request: HttpRequest, charge_point: ChargePoint, data: dict[str, Any]) -> None:
        upload_request(
            charge_point=charge_point,
            kind=UploadKind(data["kind"]),
            oldest=data["oldest"],
            latest=data["latest"],
            scheme=data["scheme"],
            retries=data["retries"],
            retry_interval=data["retry_interval"],
            by=sending.by(request),
            expires_in=60 * data["expires_minutes"],
        )


class UploadInline(ReadOnlyInline):
    """What a charge point delivered, and what it was asked for."""

    model = Upload
    verbose_name_plural = "Diagnostics and logs"
    fields = ("asked", "what", "state_badge", "file_link")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Upload]":
        rows: QuerySet[Upload] = super().get_queryset(request)
        return uploads_told(rows.select_related("command", "charge_point"))

    @display(description="Asked for")
    def asked(self, row: Upload) -> SafeString | str:
        return show.when(row.created_at)

    @display(description="What")
    def what(self, row: Upload) -> str:
        return row.get_kind_display()

    @display(description="State")
    def state_badge(self, row: Upload) -> SafeString | str:
        return state_of(row)

    @display(description="File")
    def file_link(self, row: Upload) -> SafeString | str:
        return file_of(row)


class FilesOfChargePoints:
    """What the pages of charge points offer of files."""

    @admin.action(description="Roll out firmware", permissions=["roll_out"])
    def roll_out_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        """Leads to the form with the chosen charge points."""
        keys = list(queryset.order_by().values_list("pk", flat=True)[: sending.MOST + 1])
        if len(keys) > sending.MOST:
            text = f"A roll-out goes to at most {sending.MOST:,} charge points: filter the list."
            messages.error(request, text)
            return HttpResponseRedirect(request.get_full_path())
        text = sending.choice_text(keys)
        if len(text) <= sending.LONGEST_QUERY:
            return HttpResponseRedirect(begin_url(send_to=text))
        context = {"title": "Roll out firmware", "send_to": text, "begin_url": begin_url()}
        context |= admin.site.each_context(request)
        return TemplateResponse(request, "csms/roll_out_chosen.html", context)

    def has_roll_out_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return may_roll_out(request)

    @detail_action(description="Diagnostics", icon="troubleshoot", permissions=["get_files"])
    def get_diagnostics(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Leads to the form; nothing is sent by this."""
        return HttpResponseRedirect(reverse("admin:csms_upload_ask", args=(object_id,)))

    def has_get_files_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return bool(offered(request))

    def delete_model(self, request: HttpRequest, obj: ChargePoint) -> None:
        """Its files go with it."""
        uploads_forget(charge_points=[obj])
        super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        uploads_forget(charge_points=queryset)
        super().delete_queryset(request, queryset)  # type: ignore[misc]
