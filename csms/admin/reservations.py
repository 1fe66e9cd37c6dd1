"""Reservations: who keeps which connector until when, and what became of it."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.decorators import action as page_action

from csms.admin import reserving, sending, show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    DayFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    charge_point_pk,
)
from csms.admin.transactions import LARGEST_ID, id_tag_keys
from csms.models import ChargePoint, Command, Reservation
from csms.models.commands import CommandState
from csms.models.reservations import OPEN_STATES, ReservationState
from csms.services.commands import CommandRefused
from csms.services.reservations import ReservationOver, reservation_cancel

OPERATION = "CancelReservation"
MOST = 500
"""Reservations that are cancelled at once."""

STATE_KINDS: dict[str, str] = {
    ReservationState.REQUESTED: "info",
    ReservationState.ACTIVE: "good",
    ReservationState.USED: "plain",
    ReservationState.EXPIRED: "plain",
    ReservationState.CANCELLED: "plain",
    ReservationState.REFUSED: "bad",
    ReservationState.REPLACED: "plain",
    ReservationState.ENDED: "warn",
    ReservationState.UNKNOWN: "warn",
}


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = {
        "open": ("Requested, active or unknown", {"state__in": sorted(OPEN_STATES)}),
        **{value: (label, {"state": value}) for value, label in ReservationState.choices},
    }


def being_cancelled(row: Reservation) -> bool:
    """Whether a CancelReservation for it is under way."""
    asked = row.cancellation
    waiting = (CommandState.QUEUED, CommandState.SENT)
    return row.is_open and asked is not None and asked.state in waiting


class ReservationColumns:
    """Columns that the list and the charge point's page share."""

    @display(description="Charge point")
    def place(self, row: Reservation) -> SafeString | str:
        identity = show.charge_point_link(row.charge_point_id, row.charge_point.identity, 20)
        return show.two_lines(identity, self.connector(row))

    @display(description="connectorId")
    def connector(self, row: Reservation) -> str:
        return f"connector {row.connector_id}" if row.connector_id else "0: any connector"

    @display(description="idTag")
    def tag(self, row: Reservation) -> SafeString | str:
        parent = f"or parent {show.visible(row.parent_id_tag)}" if row.parent_id_tag else ""
        return show.two_lines(show.clip(row.id_tag, 20), parent)

    @display(description="Until (UTC)")
    def until(self, row: Reservation) -> SafeString | str:
        return show.moment(row.expiry_date)

    @display(description="State")
    def status(self, row: Reservation) -> SafeString | str:
        badges = [show.badge(row.get_state_display(), STATE_KINDS.get(row.state, "plain"))]
        if being_cancelled(row):
            badges.append(show.badge("being cancelled", "info"))
        return show.badges(badges)

    @display(description="In words")
    def words(self, row: Reservation) -> SafeString | str:
        if row.transaction is not None:
            url = show.change_url("transaction", row.transaction.pk)
            return show.link(url, f"Transaction {row.transaction}")
        return show.wrapped(row.reason, 90)

    @display(description="State")
    def standing(self, row: Reservation) -> SafeString | str:
        words = self.words(row)
        return show.two_lines(self.status(row), "" if words == show.EMPTY else words)

    @display(description="reservationId")
    def number(self, row: Reservation) -> SafeString | str:
        return show.link(show.change_url("reservation", row.pk), row.reservation_id)


class ReservationInline(ReservationColumns, ReadOnlyInline):
    """Those of a charge point of which something may still become."""

    model = Reservation
    verbose_name_plural = "Reservations: requested, active or unknown"
    fields = ("number", "connector", "tag", "until", "standing")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).filter(state__in=OPEN_STATES)
        return rows.select_related("transaction", "cancellation")


class ReservationsOfChargePoints:
    """What the pages of charge points offer of reservations."""

    @page_action(description="Reserve", permissions=["reserve"])
    def reserve(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Leads to the form; nothing is sent by this."""
        row = get_object_or_404(ChargePoint, pk=object_id)
        return HttpResponseRedirect(reserving.reserve_url(row.identity))

    def has_reserve_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return reserving.may_reserve(request)


@admin.register(Reservation)
class ReservationAdmin(ReservationColumns, ReadOnlyAdmin):
    """All reservations, the latest first."""

    list_display = ("numbered", "place", "tag", "times", "standing")
    list_display_links = None
    list_horizontal_scrollbar_top = True
    list_filter = (StateFilter, ("expiry_date", DayFilter), ChargePointFilter)
    list_select_related = ("charge_point", "transaction", "command", "cancellation")
    search_fields = ("reservation_id",)
    search_help_text = "reservationId or identity exactly, or an idTag from its beginning"
    actions = ("cancel_selected",)
    actions_list = ("reserve_one",)
    change_form_outer_before_template = "csms/reservation_actions.html"
    fields = (
        ("place", "status"),
        ("id_tag_whole", "parent_whole"),
        ("until", "reservation_id"),
        "reason_whole",
        ("asked", "held"),
        ("seen_reserved", "ended"),
        "related",
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Reservation]":
        rows: QuerySet[Reservation] = super().get_queryset(request)
        return rows.select_related(*self.list_select_related)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("reserve/", view(reserving.page), name=reserving.NAME),
            path(
                "<int:pk>/cancel/", view(require_POST(self.cancel)), name="csms_reservation_cancel"
            ),
            *super().get_urls(),
        ]

    def find(self, queryset: "QuerySet[Reservation]", term: str) -> "QuerySet[Reservation]":
        found = Q(id_tag_key__in=id_tag_keys(term)) | Q(charge_point_id=charge_point_pk(term))
        if term.isdecimal() and len(term) < LARGEST_ID and int(term) < 2**31:
            found |= Q(reservation_id=int(term))
        return queryset.filter(found)

    # What is done

    @page_action(description="Reserve", icon="event_seat", permissions=["reserve"])
    def reserve_one(self, request: HttpRequest) -> HttpResponse:
        """Leads to the form; nothing is sent by this."""
        return HttpResponseRedirect(reserving.reserve_url())

    def has_reserve_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return reserving.may_reserve(request)

    def has_cancel_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return sending.may_send(request, OPERATION)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """A button to cancel what can be; the account's permissions decide."""
        known = object_id is not None and object_id.isdecimal() and len(object_id) < 19
        number = int(object_id or 0) if known else 0
        row = Reservation.objects.select_related("cancellation").filter(pk=number).first()
        may_cancel = (
            row is not None
            and row.is_open
            and not being_cancelled(row)
            and self.has_cancel_permission(request)
        )
        buttons = {"may_cancel": may_cancel}
        return super().changeform_view(
            request, object_id, form_url, buttons | (extra_context or {})
        )

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Cancel one."""
        if not (self.has_cancel_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        row = get_object_or_404(Reservation, pk=pk)
        self._cancelled(request, [row])
        return HttpResponseRedirect(show.change_url("reservation", pk))

    @admin.action(description="Cancel", permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: "QuerySet[Reservation]") -> None:
        rows = list(queryset.filter(state__in=OPEN_STATES)[: MOST + 1])
        if len(rows) > MOST:
            text = f"At most {MOST} are cancelled at once: filter the list further."
            messages.error(request, text)
            return
        self._cancelled(request, rows)

    def _cancelled(self, request: HttpRequest, rows: list[Reservation]) -> None:
        """Cancel these, and say what becomes of them."""
        ended = asked = 0
        for row in rows:
            try:
                after = reservation_cancel(
                    reservation=row, by=sending.by(request), now=timezone.now()
                )
            except (ReservationOver, CommandRefused) as refusal:
                messages.warning(request, f"{row}: {show.visible(str(refusal))}")
            else:
                ended, asked = ended + (not after.is_open), asked + after.is_open
        if ended:
            messages.success(request, f"Cancelled before it was sent: {ended}")
        if asked:
            messages.success(request, f"CancelReservation is on its way: {asked}")
        if not rows:
            messages.warning(request, "There is nothing to cancel: they are over.")

    # What is shown

    @display(description="reservationId, by")
    def numbered(self, row: Reservation) -> SafeString | str:
        by = row.command.requested_by if row.command else ""
        return show.two_lines(self.number(row), show.clip(by, 18) if by else "")

    @display(description="Until, asked (UTC)")
    def times(self, row: Reservation) -> SafeString | str:
        return show.two_lines(self.until(row), show.moment(row.requested_at))

    @display(description="Asked for (UTC), by")
    def asked(self, row: Reservation) -> SafeString | str:
        by = row.command.requested_by if row.command else ""
        return show.two_lines(show.moment(row.requested_at), show.clip(by, 20) if by else "")

    @display(description="idTag")
    def id_tag_whole(self, row: Reservation) -> SafeString | str:
        return show.whole(row.id_tag)

    @display(description="parentIdTag")
    def parent_whole(self, row: Reservation) -> SafeString | str:
        return show.whole(row.parent_id_tag)

    @display(description="In words")
    def reason_whole(self, row: Reservation) -> SafeString | str:
        return show.whole(row.reason)

    @display(description="Held from (UTC)")
    def held(self, row: Reservation) -> SafeString | str:
        return show.moment(row.held_from)

    @display(description="Seen to be Reserved (UTC)")
    def seen_reserved(self, row: Reservation) -> SafeString | str:
        return show.moment(row.shown_at)

    @display(description="Ended (UTC)")
    def ended(self, row: Reservation) -> SafeString | str:
        return show.moment(row.ended_at)

    @display(description="See also")
    def related(self, row: Reservation) -> SafeString | str:
        commands = (("ReserveNow", row.command), ("CancelReservation", row.cancellation))
        pages = [
            (show.change_url("command", command.pk), f"{name}: {self._state(command)}")
            for name, command in commands
            if command is not None
        ]
        if row.transaction is not None:
            url = show.change_url("transaction", row.transaction.pk)
            pages.append((url, f"Transaction {row.transaction}"))
        return show.links(pages) if pages else show.EMPTY

    def _state(self, command: Command) -> str:
        by = f", by {show.visible(command.requested_by)}" if command.requested_by else ""
        return f"{command.state}{by}"
