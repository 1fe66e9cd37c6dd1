"""Firmware images; how firmware updates, diagnostics and log uploads go."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.safestring import SafeString
from unfold.decorators import action as detail_action
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from csms.admin import sending, show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    FleetAdmin,
    PrefixFilter,
    ReadOnlyAdmin,
    charge_point_pk,
)
from csms.admin.files import size_text, status_badge
from csms.admin.roll_outs import begin_url, may_roll_out
from csms.attachments import attachment
from csms.conf import settings
from csms.models import FirmwareImage, TransferStatus
from csms.models.firmware import TransferKind
from csms.services.firmware_images import ImageRefused, image_add, image_change, image_delete

TEXTS = ("vendor", "model", "version", "notes", "signing_certificate", "signature")
"""What is entered of an image beside its file."""


class VendorFilter(PrefixFilter):
    title = "vendor (from its beginning)"
    parameter_name = "vendor"


class FirmwareImageForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new image with its file, or what may change of one."""

    by = ""
    """Who asks."""
    content = forms.FileField(label="File", widget=UnfoldAdminFileFieldWidget)

    class Meta:
        model = FirmwareImage
        fields = TEXTS
        widgets = {
            "vendor": UnfoldAdminTextInputWidget,
            "model": UnfoldAdminTextInputWidget,
            "version": UnfoldAdminTextInputWidget,
            "notes": UnfoldAdminTextareaWidget(attrs={"rows": 4}),
            "signing_certificate": UnfoldAdminTextareaWidget(
                attrs={"rows": 6, "spellcheck": "false"}
            ),
            "signature": UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "content" in self.fields and self.instance.pk is not None:
            del self.fields["content"]
        elif "content" in self.fields:
            text = f"At most {settings().firmware_max_mb:,} MiB (CSMS_FIRMWARE_MAX_MB)."
            self.fields["content"].help_text = text

    def _post_clean(self) -> None:
        """When all else is right the service decides; what it refuses is said at its field."""
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            self._keep(self.cleaned_data)
        except ImageRefused as refusal:
            field = "content" if refusal.field == "file" else refusal.field
            self.add_error(field if field in self.fields else None, str(refusal))

    def _keep(self, entered: dict[str, Any]) -> None:
        if self.instance.pk is not None:
            image_change(
                image=FirmwareImage.objects.get(pk=self.instance.pk),
                notes=entered["notes"],
                signing_certificate=entered["signing_certificate"],
                signature=entered["signature"],
            )
            return
        texts = {name: entered[name] for name in TEXTS}
        self.kept = image_add(content=entered["content"], by=self.by, **texts)


@admin.register(FirmwareImage)
class FirmwareImageAdmin(FleetAdmin):
    """What charge points can fetch."""

    form = FirmwareImageForm
    list_display = ("title", "for_whom", "length", "checksum", "used", "added")
    list_filter = (VendorFilter,)
    search_fields = ("version",)
    search_help_text = "Version, from its beginning"
    readonly_fields = ("length", "whole_checksum", "file_link", "added", "who", "rolled_out")
    actions_detail = ("roll_out", "download")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[FirmwareImage]":
        rows: QuerySet[FirmwareImage] = super().get_queryset(request)
        return rows.annotate(uses=Count("roll_outs"))

    def find(self, queryset: "QuerySet[FirmwareImage]", term: str) -> "QuerySet[FirmwareImage]":
        return queryset.filter(version__startswith=term)

    def get_fieldsets(self, request: HttpRequest, obj: FirmwareImage | None = None) -> Any:
        signature = ("Signature", {"fields": ("signing_certificate", "signature")})
        names = ("vendor", "model"), "version"
        if obj is None:
            return ((None, {"fields": (*names, "content", "notes")}), signature)
        file = ("length", "whole_checksum", "file_link", ("added", "who"), "rolled_out")
        return (
            (None, {"fields": (*names, "notes")}),
            ("File", {"fields": file}),
            signature,
        )

    def get_readonly_fields(self, request: HttpRequest, obj: FirmwareImage | None = None) -> Any:
        fixed = ("vendor", "model", "version") if obj else ()
        return (*super().get_readonly_fields(request, obj), *fixed)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """A class for this request, which knows who asks."""
        made = super().get_form(request, obj, change, **kwargs)
        return type(made.__name__, (made,), {"by": sending.by(request)})

    def save_model(self, request: HttpRequest, obj: FirmwareImage, form: Any, change: bool) -> None:
        """The form's check has kept it already."""
        if not change:
            obj.pk, obj._state.adding = form.kept.pk, False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.roll_outs.exists():
            return False
        return bool(super().has_delete_permission(request, obj))

    def delete_model(self, request: HttpRequest, obj: FirmwareImage) -> None:
        image_delete(image=obj)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[FirmwareImage]") -> None:
        for row in queryset:
            image_delete(image=row)

    # What is shown

    @display(description="Version")
    def title(self, row: FirmwareImage) -> SafeString | str:
        return show.two_lines(
            show.clip(row.version, 30), show.clip(row.notes, 36) if row.notes else ""
        )

    @display(description="Vendor, model")
    def for_whom(self, row: FirmwareImage) -> SafeString | str:
        return show.two_lines(show.clip(row.vendor or "any", 24), show.clip(row.model or "any", 24))

    @display(description="Size")
    def length(self, row: FirmwareImage) -> SafeString | str:
        return show.clip(size_text(row.size))

    @display(description="SHA-256")
    def checksum(self, row: FirmwareImage) -> SafeString | str:
        signed = show.badge("signed", "good") if row.signature else ""
        return show.two_lines(show.code(row.sha256), signed)

    @display(description="SHA-256")
    def whole_checksum(self, row: FirmwareImage) -> SafeString | str:
        return show.whole(row.sha256)

    @display(description="Roll-outs")
    def used(self, row: Any) -> SafeString | str:
        if not row.uses:
            return show.EMPTY
        return show.link(show.list_url("rollout", image=row.pk), f"{row.uses:,}")

    @display(description="Roll-outs")
    def rolled_out(self, row: FirmwareImage) -> SafeString | str:
        return show.link(show.list_url("rollout", image=row.pk), f"{row.roll_outs.count():,}")

    @display(description="Fetched as")
    def file_link(self, row: FirmwareImage) -> SafeString | str:
        return show.whole(row.file_name)

    @display(description="Added (UTC)")
    def added(self, row: FirmwareImage) -> SafeString | str:
        return show.moment(row.created_at)

    @display(description="By")
    def who(self, row: FirmwareImage) -> SafeString | str:
        return show.clip(row.created_by, 40)

    # What is done

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        place = path("<int:pk>/file/", view(self.file), name="csms_firmwareimage_file")
        return [place, *super().get_urls()]

    def file(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The file itself."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(FirmwareImage, pk=pk)
        try:
            return attachment(row.file, name=row.file_name, size=row.size)
        except OSError:
            messages.error(request, "The file is not in the storage any more.")
            return HttpResponseRedirect(show.change_url("firmwareimage", pk))

    @detail_action(description="Download", icon="download")
    def download(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        return self.file(request, object_id)

    @detail_action(description="Roll out", icon="rocket_launch", permissions=["roll_out"])
    def roll_out(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Leads to the form; nothing is sent by this."""
        return HttpResponseRedirect(begin_url(image=object_id))

    def has_roll_out_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return may_roll_out(request)


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    options = {value: (label, {"kind": value}) for value, label in TransferKind.choices}


@admin.register(TransferStatus)
class TransferStatusAdmin(ReadOnlyAdmin):
    """Every status notification of a transfer, the latest first."""

    list_display = ("received", "charger", "what", "state", "request_id")
    list_filter = (KindFilter, ChargePointFilter)
    list_select_related = ("charge_point",)
    search_fields = ("charge_point",)
    search_help_text = "Identity, exactly"
    fields = ("received", "charger", "what", "state", "request_id")

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(charge_point_id=charge_point_pk(term))

    @display(description="Received (UTC)")
    def received(self, row: TransferStatus) -> SafeString | str:
        return show.moment(row.received_at)

    @display(description="Charge point")
    def charger(self, row: TransferStatus) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.charge_point.identity)

    @display(description="Kind")
    def what(self, row: TransferStatus) -> str:
        return row.get_kind_display()

    @display(description="Status")
    def state(self, row: TransferStatus) -> SafeString:
        return status_badge(row.status)
