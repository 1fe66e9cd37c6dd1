"""Commands to charge points, and what became of them."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    charge_point_pk,
)
from csms.admin.pretty import pretty
from csms.models import Command, CommandEvent
from csms.models.commands import CommandState
from csms.services.secrets import masked

STATE_KINDS: dict[str, str] = {
    CommandState.QUEUED: "plain",
    CommandState.SENT: "info",
    CommandState.ACCEPTED: "good",
    CommandState.REJECTED: "bad",
    CommandState.ERROR: "bad",
    CommandState.TIMED_OUT: "warn",
    CommandState.EXPIRED: "warn",
    CommandState.CANCELLED: "plain",
}


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = {value: (label, {"state": value}) for value, label in CommandState.choices}


class CommandEventInline(ReadOnlyInline):
    model = CommandEvent
    verbose_name_plural = "What happened"
    fields = ("when", "became", "who", "why")
    readonly_fields = fields

    @display(description="Time (UTC)")
    def when(self, row: CommandEvent) -> SafeString | str:
        return show.moment(row.at)

    @display(description="State")
    def became(self, row: CommandEvent) -> SafeString:
        return show.badge(row.state, STATE_KINDS.get(row.state, "plain"))

    @display(description="Who")
    def who(self, row: CommandEvent) -> SafeString | str:
        return show.clip(row.by, 30)

    @display(description="Why")
    def why(self, row: CommandEvent) -> SafeString | str:
        return show.clip(row.reason, 80)


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    """The outbox: waiting, sent, answered."""

    list_display = ("created", "charger", "action", "status", "who", "sent", "finished", "problem")
    list_filter = (StateFilter, ChargePointFilter)
    list_select_related = ("charge_point",)
    search_fields = ("charge_point",)
    search_help_text = "Identity, exactly"
    inlines = (CommandEventInline,)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("charger", "action"),
                    ("status", "who"),
                    ("created", "expires"),
                    ("sent", "finished"),
                    "problem_whole",
                )
            },
        ),
        ("Request", {"fields": ("payload_text",)}),
        ("Answer", {"fields": ("answer_text", "raw_text")}),
    )

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(charge_point_id=charge_point_pk(term))

    @display(description="Asked for (UTC)")
    def created(self, row: Command) -> SafeString | str:
        return show.moment(row.created_at)

    @display(description="Expires")
    def expires(self, row: Command) -> SafeString | str:
        return show.when(row.expires_at)

    @display(description="Sent")
    def sent(self, row: Command) -> SafeString | str:
        return show.when(row.sent_at)

    @display(description="Finished")
    def finished(self, row: Command) -> SafeString | str:
        return show.when(row.finished_at)

    @display(description="Charge point")
    def charger(self, row: Command) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.charge_point.identity)

    @display(description="State")
    def status(self, row: Command) -> SafeString:
        return show.badge(row.state, STATE_KINDS.get(row.state, "plain"), row.get_state_display())

    @display(description="By")
    def who(self, row: Command) -> SafeString | str:
        return show.clip(row.requested_by, 20)

    @display(description="Error")
    def problem(self, row: Command) -> SafeString | str:
        return show.clip(row.error, 40)

    @display(description="Error")
    def problem_whole(self, row: Command) -> SafeString | str:
        return show.whole(row.error)

    @display(description="Payload")
    def payload_text(self, row: Command) -> SafeString | str:
        return show.json_block(masked(row.payload))

    @display(description="Payload")
    def answer_text(self, row: Command) -> SafeString | str:
        return show.json_block(row.answer)

    @display(description="As it came")
    def raw_text(self, row: Command) -> SafeString | str:
        return show.block(pretty(row.raw_answer))
