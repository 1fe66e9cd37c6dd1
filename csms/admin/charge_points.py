"""Charge points: the fleet's list, and each one's page."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import action, display
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from unfold.decorators import action as detail_action

from csms.admin import sending, show
from csms.admin.base import FleetAdmin
from csms.admin.charge_point_parts import (
    MORE_ACTIONS,
    DeviationInline,
    PagesOfChargePoints,
    key_page,
    proof_badges,
    to_enter,
)
from csms.admin.charging_limits import ChargingOfChargePoints, InstalledProfileInline
from csms.admin.connectors import ConnectorInline, status_badge
from csms.admin.deletion import bounded_deletion
from csms.admin.filters import (
    CallbackFilter,
    FirmwareFilter,
    OnlineFilter,
    RegistrationFilter,
    SiteFilter,
    TransportFilter,
    VendorFilter,
)
from csms.admin.forms import ChargePointForm
from csms.admin.online import is_online
from csms.admin.reservations import ReservationInline, ReservationsOfChargePoints
from csms.admin.uploads import FilesOfChargePoints, UploadInline
from csms.models import ChargePoint, Connector
from csms.models.charge_points import Registration, Transport
from csms.services import callbacks, charge_points

REGISTRATION_KINDS: dict[str, str] = {
    Registration.ACCEPTED: "good",
    Registration.PENDING: "warn",
    Registration.REJECTED: "bad",
}
SHOWN_CONNECTORS = 4
MODEL_FIELDS = frozenset(field.name for field in ChargePoint._meta.concrete_fields)


@admin.register(ChargePoint)
class ChargePointAdmin(
    PagesOfChargePoints,
    ReservationsOfChargePoints,
    ChargingOfChargePoints,
    FilesOfChargePoints,
    FleetAdmin,
):
    """Both transports in one list."""

    form = ChargePointForm
    list_display = ("charge_point", "up", "status", "registered", "seen", "hardware", "firmware")
    sortable_by = ("charge_point", "registered")
    list_filter = (
        OnlineFilter,
        TransportFilter,
        RegistrationFilter,
        VendorFilter,
        SiteFilter,
        FirmwareFilter,
        CallbackFilter,
    )
    search_fields = ("identity",)
    search_help_text = "Identity or name, from its beginning"
    actions = (
        *("send_selected", "send_profile_selected", "roll_out_selected"),
        *("accept_selected", "reject_selected"),
    )
    actions_detail = ("send", MORE_ACTIONS)
    actions_submit_line = ("accept", "reject", "approve_callback", "discard_callback")
    inlines = (
        *(ConnectorInline, ReservationInline, InstalledProfileInline),
        *(UploadInline, DeviationInline),
    )
    readonly_fields = (
        "online",
        "registered",
        "seen",
        "booted",
        "connection",
        "facts",
        "transfers",
        "callback_state",
        "password_state",
        "related",
        "version",
    )
    fieldsets = (
        (None, {"fields": (("online", "registered"), ("seen", "booted"), "connection", "related")}),
        (
            "Identity",
            {"fields": (("identity", "name"), ("site", "transport"))},
        ),
        (
            "Security",
            {
                "fields": (
                    ("security_profile", "certificate_name"),
                    "password_state",
                    ("generate_key", "remove_password"),
                    "new_password",
                )
            },
        ),
        ("What it says of itself", {"fields": ("facts", "transfers")}),
        (
            "Protocol",
            {
                "fields": (
                    ("version", "strictness"),
                    "time_zone",
                    ("heartbeat_interval", "boot_retry_interval"),
                    "configuration_by_name",
                )
            },
        ),
    )
    soap_fieldset = (
        "SOAP callback and password",
        {"fields": ("soap_proof", "callback_state", "callback_url", "callback_pinned")},
    )
    add_fieldsets = (
        (None, {"fields": ("identity", "name", "site", "transport")}),
        (
            "Security",
            {"fields": (("security_profile", "certificate_name"), "new_password", "soap_proof")},
        ),
        ("Protocol", {"fields": ("strictness", "time_zone")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: ChargePoint | None = None) -> Any:
        """Of an existing one: what to enter in it, and what belongs to its transport."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        first, (name, options), *others = self.fieldsets
        identity = (name, {**options, "description": to_enter(request, obj)})
        soap = (self.soap_fieldset,) if obj.transport == Transport.SOAP else ()
        return (first, identity, *others, *soap)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ChargePoint]":
        connectors = Connector.objects.order_by("connector_id")
        rows: QuerySet[ChargePoint] = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("connectors", queryset=connectors))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Leaves room beside Save for what is done to a charge point."""
        context = {"show_save_and_add_another": object_id is None, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def get_inlines(self, request: HttpRequest, obj: ChargePoint | None) -> Any:
        return self.inlines if obj else ()

    def get_readonly_fields(self, request: HttpRequest, obj: ChargePoint | None = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
        return (*fields, "identity") if obj else fields

    def find(self, queryset: "QuerySet[ChargePoint]", term: str) -> "QuerySet[ChargePoint]":
        return queryset.filter(Q(identity__startswith=term) | Q(name__startswith=term))

    # What is shown

    @display(description="Charge point", ordering="identity")
    def charge_point(self, row: ChargePoint) -> SafeString | str:
        return show.two_lines(
            show.clip(row.identity, 28), show.clip(row.name, 32) if row.name else ""
        )

    @display(description="Online")
    def online(self, row: ChargePoint) -> SafeString:
        return show.badge("online", "good") if is_online(row) else show.badge("offline", "plain")

    @display(description="Connectors")
    def status(self, row: ChargePoint) -> SafeString | str:
        connectors = [
            c for c in row.connectors.all() if c.connector_id or c.status not in ("", "Available")
        ]
        items = [status_badge(c, f"{c.connector_id} ") for c in connectors[:SHOWN_CONNECTORS]]
        if len(connectors) > SHOWN_CONNECTORS:
            items.append(show.badge(f"+{len(connectors) - SHOWN_CONNECTORS}"))
        return show.badges(items)

    @display(description="Registration", ordering="registration")
    def registered(self, row: ChargePoint) -> SafeString:
        return show.badge(row.registration, REGISTRATION_KINDS.get(row.registration, "plain"))

    @display(description="Last seen")
    def seen(self, row: ChargePoint) -> SafeString | str:
        return show.when(row.last_seen)

    @display(description="Last boot")
    def booted(self, row: ChargePoint) -> SafeString | str:
        return show.when(row.booted_at)

    @display(description="Online")
    def up(self, row: ChargePoint) -> SafeString | str:
        return show.two_lines(self.online(row), f"{row.transport} {row.version}")

    @display(description="Vendor, model")
    def hardware(self, row: ChargePoint) -> SafeString | str:
        return show.two_lines(
            show.clip(row.vendor, 20), show.clip(row.model, 24) if row.model else ""
        )

    @display(description="Firmware")
    def firmware(self, row: ChargePoint) -> SafeString | str:
        return show.clip(row.firmware_version, 18)

    @display(description="Proof")
    def password_state(self, row: ChargePoint) -> SafeString | str:
        return proof_badges(row)

    @display(description="Connection")
    def connection(self, row: ChargePoint) -> SafeString | str:
        since = show.exact(row.connected_at) if row.connected and row.connected_at else ""
        return show.whole(
            ", ".join(
                filter(
                    None,
                    (
                        row.remote_address and f"from {row.remote_address}",
                        since and f"since {since}",
                    ),
                )
            )
        )

    @display(description="Facts")
    def facts(self, row: ChargePoint) -> SafeString | str:
        return show.facts(
            (
                ("Vendor", row.vendor),
                ("Model", row.model),
                ("Serial number", row.serial_number),
                ("Box serial number", row.box_serial_number),
                ("Firmware", row.firmware_version),
                ("ICCID", row.iccid),
                ("IMSI", row.imsi),
                ("Meter", " ".join(filter(None, (row.meter_type, row.meter_serial_number)))),
            )
        )

    @display(description="Firmware and diagnostics")
    def transfers(self, row: ChargePoint) -> SafeString | str:
        return show.facts(
            (("Firmware", row.firmware_status), ("Diagnostics", row.diagnostics_status))
        )

    @display(description="State")
    def callback_state(self, row: ChargePoint) -> SafeString | str:
        failed = show.exact(row.callback_failed_at) if row.callback_failed_at else ""
        return show.facts(
            (
                ("Called at", row.callback_url),
                ("Waits for approval", row.callback_proposed),
                ("Last failure", f"{row.callback_error} {failed}".strip()),
            )
        )

    # What is done

    def save_model(
        self, request: HttpRequest, obj: ChargePoint, form: ChargePointForm, change: bool
    ) -> None:
        """Only what the form changed is written: the inbox writes the rest at the same time."""
        entered = form.cleaned_data
        columns = {n: v for n, v in entered.items() if n in MODEL_FIELDS}
        if change:
            changed = sorted(set(form.changed_data) & set(columns))
            charge_points.charge_point_change(
                charge_point=obj, **{name: columns[name] for name in changed}
            )
            if form.new_key or entered["new_password"] or entered["remove_password"]:
                password = form.new_key or entered["new_password"]
                charge_points.password_set(charge_point=obj, password=password)
        else:
            password = form.new_key or entered["new_password"]
            created = charge_points.charge_point_add(password=password, **columns)
            obj.pk, obj._state.adding = created.pk, False
        obj.new_key = form.new_key  # type: ignore[attr-defined]  # for the page that shows it
        for submitted in self.get_actions_submit_line(request, obj.pk):
            if submitted.action_name in request.POST:
                submitted.method(request, obj)

    def response_add(
        self, request: HttpRequest, obj: ChargePoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        shown = key_page(self.admin_site, request, obj)
        return shown or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: ChargePoint) -> HttpResponse:
        return key_page(self.admin_site, request, obj) or super().response_change(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return bounded_deletion(objs)

    def _register(
        self, request: HttpRequest, rows: "list[ChargePoint]", registration: Registration
    ) -> None:
        for row in rows:
            charge_points.registration_set(charge_point=row, registration=registration)
            self.log_change(request, row, f"Registration: {registration}")
        what = show.visible(rows[0].identity) if len(rows) == 1 else f"{len(rows)} charge points"
        self.message_user(request, f"{registration}: {what}", messages.SUCCESS)

    @admin.action(description="Send a command", permissions=["send"])
    def send_selected(
        self, request: HttpRequest, queryset: "QuerySet[ChargePoint]"
    ) -> HttpResponse:
        keys = queryset.order_by().values_list("pk", flat=True)[: sending.MOST + 1]
        return sending.page_of(request, list(keys))

    @detail_action(description="Send a command", icon="send", permissions=["send"])
    def send(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Leads to the form; nothing is sent by this."""
        return HttpResponseRedirect(sending.send_url(str(object_id)))

    def has_send_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return bool(sending.offered(request))

    @admin.action(description="Registration: accept", permissions=["change"])
    def accept_selected(self, request: HttpRequest, queryset: "QuerySet[ChargePoint]") -> None:
        self._register(request, list(queryset), Registration.ACCEPTED)

    @admin.action(description="Registration: reject", permissions=["change"])
    def reject_selected(self, request: HttpRequest, queryset: "QuerySet[ChargePoint]") -> None:
        self._register(request, list(queryset), Registration.REJECTED)

    @action(description="Accept", permissions=["accept"])
    def accept(self, request: HttpRequest, obj: ChargePoint) -> None:
        self._register(request, [obj], Registration.ACCEPTED)

    @action(description="Reject", permissions=["reject"])
    def reject(self, request: HttpRequest, obj: ChargePoint) -> None:
        self._register(request, [obj], Registration.REJECTED)

    @action(description="Approve address", permissions=["approve_callback"])
    def approve_callback(self, request: HttpRequest, obj: ChargePoint) -> None:
        try:
            charge_points.callback_approve(charge_point=obj)
        except callbacks.CallbackRefused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return
        self.log_change(request, obj, "Callback address approved")
        self.message_user(
            request, "The new callback address is used from now on.", messages.SUCCESS
        )

    @action(description="Discard address", permissions=["approve_callback"])
    def discard_callback(self, request: HttpRequest, obj: ChargePoint) -> None:
        charge_points.callback_reject(charge_point=obj)
        self.log_change(request, obj, "Proposed callback address discarded")
        self.message_user(request, "The proposed address is forgotten.", messages.SUCCESS)

    def _may(self, request: HttpRequest, pk: Any, **state: Any) -> bool:
        """May change, and the row (when asked of one) is in that state."""
        if not self.has_change_permission(request):
            return False
        return pk is None or ChargePoint.objects.filter(pk=pk).exclude(**state).exists()

    def has_accept_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return self._may(request, pk, registration=Registration.ACCEPTED)

    def has_reject_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return self._may(request, pk, registration=Registration.REJECTED)

    def has_approve_callback_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return self._may(request, pk, callback_proposed="")
