"""Commands to charge points, and what became of them."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from csms.admin import sending, show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    TermFilter,
    charge_point_pk,
)
from csms.admin.pretty import pretty
from csms.admin.sending_once import page_token, sent_once
from csms.models import Command, CommandEvent
from csms.models.commands import FINAL_STATES, CommandState, Effect
from csms.ocpp import registry
from csms.ocpp.base import Role
from csms.services.commands import (
    CommandRefused,
    command_cancel,
    waiting_reason,
    with_outstanding,
)
from csms.services.secrets import masked
from csms.services.sending_again import command_repeat

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


EFFECT_KINDS: dict[str, str] = {
    Effect.WAITING: "info",
    Effect.SEEN: "good",
    Effect.MISSING: "bad",
    Effect.ASSUMED: "plain",
}
EFFECT_NAMES: dict[str, str] = {
    Effect.WAITING: "waiting for effect",
    Effect.SEEN: "effect seen",
    Effect.MISSING: "effect missing",
    Effect.ASSUMED: "effect assumed",
}
FOLLOWERS = 20
"""Following commands that a page lists."""


def state_badge(state: str) -> SafeString:
    return show.badge(state, STATE_KINDS.get(state, "plain"), CommandState(state).label)


def effect_badge(effect: str) -> SafeString:
    return show.badge(EFFECT_NAMES.get(effect, effect), EFFECT_KINDS.get(effect, "plain"))


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = {value: (label, {"state": value}) for value, label in CommandState.choices}


class EffectFilter(ChoiceFilter):
    title = "effect"
    parameter_name = "effect"
    options = {value: (label, {"effect": value}) for value, label in Effect.choices if value}


class ActionFilter(ChoiceFilter):
    title = "operation"
    parameter_name = "action"
    options = {
        name: (name, {"action": name})
        for name, declaration in sorted(registry.ACTIONS.items())
        if Role.CENTRAL_SYSTEM in declaration.senders
    }


class BatchFilter(TermFilter):
    title = "command batch (number)"
    parameter_name = "batch"

    def narrow(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        number = int(term) if term.isdecimal() and len(term) < 19 else -1
        return queryset.filter(batch_id=number)


class CommandEventInline(ReadOnlyInline):
    model = CommandEvent
    verbose_name_plural = "What happened"
    fields = ("when", "became", "who", "why")
    readonly_fields = fields

    @display(description="Time (UTC)")
    def when(self, row: CommandEvent) -> SafeString | str:
        return show.moment(row.at)

    @display(description="State or effect")
    def became(self, row: CommandEvent) -> SafeString:
        return effect_badge(row.state) if row.is_effect else state_badge(row.state)

    @display(description="Who")
    def who(self, row: CommandEvent) -> SafeString | str:
        return show.clip(row.by, 80)

    @display(description="Why")
    def why(self, row: CommandEvent) -> SafeString | str:
        return show.clip(row.reason, 80)


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    """The outbox: waiting, sent, answered."""

    list_display = ("asked", "charger", "action", "status", "outcome", "delivered", "problem")
    list_filter = (StateFilter, EffectFilter, ActionFilter, ChargePointFilter, BatchFilter)
    list_select_related = ("charge_point",)
    search_fields = ("charge_point",)
    search_help_text = "Identity, exactly"
    inlines = (CommandEventInline,)
    change_form_outer_before_template = "csms/command_actions.html"
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
                    "related",
                )
            },
        ),
        ("Effect", {"fields": (("outcome", "effect_seen"), "effect_whole")}),
        ("Request", {"fields": ("payload_text",)}),
        ("Answer", {"fields": ("answer_text", "raw_text")}),
    )

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("send/", view(sending.send), name="csms_command_send"),
            path("send/id-tags/", view(sending.id_tags), name="csms_command_id_tags"),
            path("<int:pk>/cancel/", view(require_POST(self.cancel)), name="csms_command_cancel"),
            path("<int:pk>/repeat/", view(require_POST(self.repeat)), name="csms_command_repeat"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Command]":
        rows: QuerySet[Command] = super().get_queryset(request)
        return with_outstanding(rows.select_related("charge_point", "transaction"))

    # What is done

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Buttons for what may be done with this command; the account's permissions decide."""
        text = object_id or ""
        number = int(text) if text.isdecimal() and len(text) < 19 else 0
        row = Command.objects.filter(pk=number).first()
        may_send = row is not None and sending.may_send(request, row.action)
        buttons = {
            "may_cancel": may_send and row is not None and row.state == CommandState.QUEUED,
            "may_repeat": may_send and row is not None and row.state in FINAL_STATES,
            "once": page_token(),
        }
        return super().changeform_view(
            request, object_id, form_url, buttons | (extra_context or {})
        )

    def _command(self, request: HttpRequest, pk: int) -> Command:
        command: Command = get_object_or_404(Command.objects.select_related("charge_point"), pk=pk)
        if not sending.may_send(request, command.action):
            raise PermissionDenied
        return command

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Cancel a command that was not sent yet."""
        command = self._command(request, pk)
        if command_cancel(command=command, by=sending.by(request)):
            messages.success(request, "The command is cancelled.")
        else:
            command.refresh_from_db()
            label = CommandState(command.state).label
            messages.error(request, f"It waits no more: {label}.")
        return HttpResponseRedirect(show.change_url("command", pk))

    def repeat(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a command again, as a new one."""
        command = self._command(request, pk)

        def act() -> int:
            return command_repeat(command=command, by=sending.by(request)).pk

        try:
            pk, _ = sent_once(request, act)
        except CommandRefused as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, "Sent again: this is the new command.")
        return HttpResponseRedirect(show.change_url("command", pk))

    # What is shown

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(charge_point_id=charge_point_pk(term))

    @display(description="Asked for (UTC), by")
    def asked(self, row: Command) -> SafeString | str:
        return show.two_lines(
            show.moment(row.created_at),
            show.clip(row.requested_by, 20) if row.requested_by else "",
        )

    @display(description="Sent, finished")
    def delivered(self, row: Command) -> SafeString | str:
        return show.two_lines(
            show.when(row.sent_at), show.when(row.finished_at) if row.finished_at else ""
        )

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
        return state_badge(row.state)

    @display(description="Effect")
    def outcome(self, row: Command) -> SafeString | str:
        return effect_badge(row.effect) if row.effect else show.EMPTY

    @display(description="Effect known")
    def effect_seen(self, row: Command) -> SafeString | str:
        if row.effect == Effect.WAITING:
            return show.whole(f"until {show.exact(row.effect_until)}" if row.effect_until else "")
        return show.when(row.effect_at)

    @display(description="In words")
    def effect_whole(self, row: Command) -> SafeString | str:
        return show.whole(row.effect_text)

    @display(description="See also")
    def related(self, row: Command) -> SafeString | str:
        pages = []
        if row.batch_id is not None:
            pages.append((show.change_url("commandbatch", row.batch_id), "Command batch"))
        if row.transaction is not None:
            url = show.change_url("transaction", row.transaction.pk)
            pages.append((url, f"Transaction {row.transaction}"))
        if row.follows_id is not None:
            pages.append((show.change_url("command", row.follows_id), "Reads back this command"))
        pages += [
            (show.change_url("command", pk), f"Read back: {name}, {state}")
            for pk, name, state in row.followers.values_list("pk", "action", "state")[:FOLLOWERS]
        ]
        return show.links(pages) if pages else show.EMPTY

    @display(description="By")
    def who(self, row: Command) -> SafeString | str:
        return show.clip(row.requested_by, 20)

    @display(description="Why it waits, or failed")
    def problem(self, row: Command) -> SafeString | str:
        return show.wrapped(waiting_reason(row, now=timezone.now()) or row.error, 120)

    @display(description="Why it waits, or failed")
    def problem_whole(self, row: Command) -> SafeString | str:
        return show.whole(waiting_reason(row, now=timezone.now()) or row.error)

    @display(description="Payload")
    def payload_text(self, row: Command) -> SafeString | str:
        return show.json_block(masked(row.payload))

    @display(description="Payload")
    def answer_text(self, row: Command) -> SafeString | str:
        return show.json_block(row.answer)

    @display(description="As it came")
    def raw_text(self, row: Command) -> SafeString | str:
        return show.block(pretty(row.raw_answer))
