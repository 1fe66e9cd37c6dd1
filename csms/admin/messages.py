"""The message log of both transports, and the quarantine."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    DayFilter,
    ReadOnlyAdmin,
    TermFilter,
    case_hint,
    charge_point_pk,
)
from csms.admin.filters import TransportFilter
from csms.admin.pretty import pretty
from csms.models import Message, QuarantinedMessage
from csms.models.messages import Direction

ARROWS: dict[str, tuple[str, str]] = {
    Direction.IN: ("→", "from the charge point"),
    Direction.OUT: ("←", "to the charge point"),
}


NEWEST = 1_000
"""Quarantined messages of one identity among which a message is looked for."""


def quarantined_pk(message: Message) -> int | None:
    """The quarantine's row of this message; None when it has none."""
    if message.direction != Direction.IN or not message.message_id:
        return None
    of_it = QuarantinedMessage.objects.filter(identity=message.identity).order_by("-id")
    newest = of_it.values_list("pk", "message_id")[:NEWEST]
    return next((pk for pk, message_id in newest if message_id == message.message_id), None)


def of_identity(queryset: "QuerySet[Message]", identity: str) -> "QuerySet[Message]":
    """Messages of one identity, by the index; of unknown charge points too."""
    pk = charge_point_pk(identity)
    if pk > 0:
        return queryset.filter(charge_point_id=pk)
    return queryset.filter(charge_point__isnull=True, identity=identity)


class MessageChargePointFilter(ChargePointFilter):
    """Unlike elsewhere, the charge point may be one that nobody knows."""

    def narrow(self, queryset: "QuerySet[Message]", term: str) -> "QuerySet[Message]":
        return of_identity(queryset, term)


class DirectionFilter(ChoiceFilter):
    title = "direction"
    parameter_name = "direction"
    options = {value: (label, {"direction": value}) for value, label in Direction.choices}


class ActionFilter(TermFilter):
    title = "action (exactly)"
    parameter_name = "action_name"

    def narrow(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(action=term)


class ResultFilter(ChoiceFilter):
    title = "result"
    parameter_name = "result"
    options = {"error": ("Errors only", {})}

    def queryset(
        self, request: HttpRequest, queryset: "QuerySet[Message]"
    ) -> "QuerySet[Message] | None":
        return queryset.exclude(error="") if self.value() == "error" else None


class NotesFilter(ChoiceFilter):
    title = "tolerance notes"
    parameter_name = "notes"
    options = {"1": ("With notes", {})}

    def queryset(
        self, request: HttpRequest, queryset: "QuerySet[Message]"
    ) -> "QuerySet[Message] | None":
        return queryset.exclude(notes=[]) if self.value() == "1" else None


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Every exchange of every charge point, the latest first."""

    list_display = (
        "at",
        "charger",
        "arrow",
        "called",
        "identifier",
        "took",
        "outcome",
        "noted",
    )
    list_display_links = ("at",)
    list_filter = (
        MessageChargePointFilter,
        DirectionFilter,
        TransportFilter,
        ActionFilter,
        ResultFilter,
        NotesFilter,
        ("bucket_at", DayFilter),
    )
    search_fields = ("message_id",)
    search_help_text = "Identity or message id, exactly"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("at", "charger_whole"),
                    ("arrow", "transport"),
                    ("called_whole", "identifier_whole"),
                    ("took", "remote_address"),
                    "error_whole",
                    "noted_whole",
                    "related",
                )
            },
        ),
        ("Request", {"fields": ("request_text",)}),
        ("Answer", {"fields": ("answer_text",)}),
    )

    def find(self, queryset: "QuerySet[Message]", term: str) -> "QuerySet[Message]":
        """A message id, else the identity of a charge point: each by its own index."""
        if charge_point_pk(term) < 0 and Message.objects.filter(message_id=term).exists():
            return queryset.filter(message_id=term)
        return of_identity(queryset, term)

    @display(description="Time (UTC)")
    def at(self, row: Message) -> SafeString | str:
        return show.moment(row.bucket_at)

    @display(description="Charge point")
    def charger(self, row: Message) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.identity)

    @display(description="Charge point")
    def charger_whole(self, row: Message) -> SafeString | str:
        hint = show.EMPTY if row.charge_point_id else case_hint(row.identity)
        return show.two_lines(show.whole(row.identity), "" if hint == show.EMPTY else hint)

    @display(description="Direction")
    def arrow(self, row: Message) -> SafeString:
        arrow, words = ARROWS.get(row.direction, ("?", ""))
        return format_html(
            '<span class="cs-nowrap"><span class="cs-arrow" title="{}">{}</span> {}</span>',
            words,
            arrow,
            show.badge(row.transport, "plain", row.get_transport_display()),
        )

    @display(description="Action")
    def called(self, row: Message) -> SafeString | str:
        return show.clip(row.action, 30)

    @display(description="Action")
    def called_whole(self, row: Message) -> SafeString | str:
        return show.whole(row.action)

    @display(description="Message id")
    def identifier(self, row: Message) -> SafeString | str:
        return show.code(row.message_id)

    @display(description="Message id")
    def identifier_whole(self, row: Message) -> SafeString | str:
        return show.whole(row.message_id)

    @display(description="Took")
    def took(self, row: Message) -> str:
        return show.EMPTY if row.duration is None else f"{row.duration:,.0f} ms"

    @display(description="Error")
    def outcome(self, row: Message) -> SafeString | str:
        return show.badge(row.error[:60], "bad", row.error) if row.error else show.EMPTY

    @display(description="Error")
    def error_whole(self, row: Message) -> SafeString | str:
        return show.whole(row.error)

    @display(description="Notes")
    def noted(self, row: Message) -> SafeString | str:
        notes = [str(note) for note in row.notes or []]
        return show.badge(len(notes), "warn", "; ".join(notes)) if notes else show.EMPTY

    @display(description="Tolerances used")
    def noted_whole(self, row: Message) -> SafeString | str:
        return show.whole("\n".join(str(note) for note in row.notes or []))

    @display(description="See also")
    def related(self, row: Message) -> SafeString:
        pages = [(show.list_url("message", charger=row.identity), "All messages of this charger")]
        if row.charge_point_id:
            pages.append((show.change_url("chargepoint", row.charge_point_id), "The charge point"))
        quarantined = quarantined_pk(row)
        if quarantined is not None:
            pages.append((show.change_url("quarantinedmessage", quarantined), "In quarantine"))
        return show.links(pages)

    @display(description="As it was on the wire, indented")
    def request_text(self, row: Message) -> SafeString | str:
        return show.block(pretty(row.request))

    @display(description="As it was on the wire, indented")
    def answer_text(self, row: Message) -> SafeString | str:
        return show.block(pretty(row.answer))


class ResolvedFilter(ChoiceFilter):
    title = "resolved"
    parameter_name = "resolved"
    options = {"0": ("Open", {"resolved": False}), "1": ("Resolved", {"resolved": True})}


@admin.register(QuarantinedMessage)
class QuarantinedMessageAdmin(ReadOnlyAdmin):
    """What could not be attributed: evidence that somebody looks at and marks as resolved."""

    list_display = ("at", "charger", "called", "why", "times", "state")
    list_filter = (ResolvedFilter, ChargePointFilter)
    search_fields = ("identity",)
    search_help_text = "Identity, exactly"
    actions = ("resolve", "reopen")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("at", "charger_link"),
                    ("called", "message_id_whole"),
                    "reason_whole",
                    ("times", "state"),
                )
            },
        ),
        ("Message", {"fields": ("raw_text",)}),
    )

    def find(
        self, queryset: "QuerySet[QuarantinedMessage]", term: str
    ) -> "QuerySet[QuarantinedMessage]":
        return queryset.filter(identity=term)

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("csms.change_quarantinedmessage")

    @admin.action(description="Mark as resolved", permissions=["resolve"])
    def resolve(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        self._mark(request, queryset, resolved=True)

    @admin.action(description="Open again", permissions=["resolve"])
    def reopen(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        self._mark(request, queryset, resolved=False)

    def _mark(self, request: HttpRequest, queryset: "QuerySet[Any]", *, resolved: bool) -> None:
        rows = list(queryset.only("pk", "identity", "action", "reason"))
        QuarantinedMessage.objects.filter(pk__in=[row.pk for row in rows]).update(resolved=resolved)
        for row in rows:
            self.log_change(request, row, "Resolved" if resolved else "Opened again")
        word = "resolved" if resolved else "opened again"
        self.message_user(request, f"{len(rows)} {word}.", messages.SUCCESS)

    @display(description="Received (UTC)")
    def at(self, row: QuarantinedMessage) -> SafeString | str:
        return show.moment(row.received_at)

    @display(description="Charge point")
    def charger(self, row: QuarantinedMessage) -> SafeString | str:
        return show.clip(row.identity, 24)

    @display(description="Charge point")
    def charger_link(self, row: QuarantinedMessage) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.identity, 255)

    @display(description="Action")
    def called(self, row: QuarantinedMessage) -> SafeString | str:
        return show.clip(row.action, 30)

    @display(description="Message id")
    def message_id_whole(self, row: QuarantinedMessage) -> SafeString | str:
        return show.whole(row.message_id)

    @display(description="Reason")
    def why(self, row: QuarantinedMessage) -> SafeString | str:
        return show.clip(row.reason, 60)

    @display(description="Reason")
    def reason_whole(self, row: QuarantinedMessage) -> SafeString | str:
        return show.whole(row.reason)

    @display(description="Times")
    def times(self, row: QuarantinedMessage) -> str:
        return f"{row.count:,}"

    @display(description="State")
    def state(self, row: QuarantinedMessage) -> SafeString:
        return show.badge("resolved", "good") if row.resolved else show.badge("open", "warn")

    @display(description="As it came, indented")
    def raw_text(self, row: QuarantinedMessage) -> SafeString | str:
        return show.block(pretty(row.raw))
