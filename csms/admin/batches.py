"""Commands to many charge points at once: the list, and the page that follows one."""

from collections import Counter
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from csms.admin import sending, show
from csms.admin.base import ReadOnlyAdmin
from csms.admin.commands import effect_badge, state_badge
from csms.models import Command, CommandBatch
from csms.models.commands import CommandState, Effect
from csms.services.commands import (
    CommandRefused,
    commands_cancel,
    waiting_reason,
    with_outstanding,
)
from csms.services.sending_again import FAILED, FAILED_STATES, batch_repeat

PAGE = 100
"""Commands of one page."""
LISTED = 200
"""Refused charge points that a page names."""

OPEN = Q(state__in=[CommandState.QUEUED, CommandState.SENT]) | Q(effect=Effect.WAITING)


def clock(at: datetime | None) -> SafeString | str:
    """The time of day, in UTC; the date on hover. It does not change while somebody watches."""
    if at is None:
        return show.EMPTY
    day = "" if at.date() == timezone.now().date() else f"{at:%Y-%m-%d} "
    return format_html(
        '<time class="cs-nowrap" title="{}">{}{}</time>', show.exact(at), day, f"{at:%H:%M:%S}"
    )


def _counted(condition: Q) -> Subquery:
    rows = Command.objects.filter(condition, batch=OuterRef("pk")).order_by().values("batch")
    return Subquery(rows.annotate(number=Count("pk")).values("number"))


@admin.register(CommandBatch)
class CommandBatchAdmin(ReadOnlyAdmin):
    """What was sent to a selection of charge points."""

    list_display = ("created", "operation", "who", "sent_to", "refused_by", "open", "failed")
    list_display_links = ("created",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[CommandBatch]":
        rows: QuerySet[CommandBatch] = super().get_queryset(request)
        return rows.annotate(
            total=_counted(Q()), open_count=_counted(OPEN), failed_count=_counted(FAILED)
        )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who sent it sees what became of it, whatever else the account may see."""
        if obj is not None and obj.requested_by == sending.by(request):
            return True
        allowed: bool = super().has_view_permission(request, obj)
        return allowed

    @display(description="Sent at (UTC)")
    def created(self, row: CommandBatch) -> SafeString | str:
        return show.moment(row.created_at)

    @display(description="Operation")
    def operation(self, row: CommandBatch) -> str:
        return row.action

    @display(description="By")
    def who(self, row: CommandBatch) -> SafeString | str:
        return show.clip(row.requested_by, 30)

    @display(description="Commands")
    def sent_to(self, row: Any) -> str:
        return f"{row.total or 0:,}"

    @display(description="Not sent")
    def refused_by(self, row: CommandBatch) -> SafeString | str:
        return show.badge(f"{len(row.refused):,}", "warn") if row.refused else show.EMPTY

    @display(description="Open")
    def open(self, row: Any) -> SafeString | str:
        return show.badge(f"{row.open_count:,}", "info") if row.open_count else show.EMPTY

    @display(description="Failed")
    def failed(self, row: Any) -> SafeString | str:
        return show.badge(f"{row.failed_count:,}", "bad") if row.failed_count else show.EMPTY

    # One batch

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/progress/", view(self.progress), name="csms_commandbatch_progress"),
            path(
                "<int:pk>/cancel/", view(require_POST(self.cancel)), name="csms_commandbatch_cancel"
            ),
            path(
                "<int:pk>/repeat/", view(require_POST(self.repeat)), name="csms_commandbatch_repeat"
            ),
            *super().get_urls(),
        ]

    def _batch(self, request: HttpRequest, pk: int, *, to_send: bool = False) -> CommandBatch:
        batch = get_object_or_404(CommandBatch, pk=pk)
        allowed = (
            sending.may_send(request, batch.action)
            if to_send
            else self.has_view_permission(request, batch)
        )
        if not allowed:
            raise PermissionDenied
        return batch

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What became of each command; it follows by itself while anything is open."""
        if not object_id.isdecimal() or len(object_id) > 18:
            return HttpResponseRedirect(show.list_url("commandbatch"))
        batch = self._batch(request, int(object_id))
        context = {
            **self.admin_site.each_context(request),
            "title": batch.action,
            "payload": show.json_block(batch.payload) if batch.payload else "",
            "when": show.moment(batch.created_at),
            "who": show.clip(batch.requested_by, 40),
            "refused": [
                (show.clip(identity, 40), show.clip(reason, sending.REASON))
                for identity, reason in batch.refused[:LISTED]
            ],
            "refused_count": len(batch.refused),
            "refused_more": max(len(batch.refused) - LISTED, 0),
            **self._progress(request, batch),
        }
        return TemplateResponse(request, "csms/command_batch.html", context)

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes."""
        batch = self._batch(request, pk)
        context = self._progress(request, batch)
        return TemplateResponse(request, "csms/command_progress.html", context)

    def _progress(self, request: HttpRequest, batch: CommandBatch) -> dict[str, Any]:
        states: Counter[str] = Counter()
        effects: Counter[str] = Counter()
        failed = 0
        counted = batch.commands.order_by().values("state", "effect").annotate(number=Count("pk"))
        for row in counted:
            states[row["state"]] += row["number"]
            effects[row["effect"]] += row["number"]
            if row["state"] in FAILED_STATES or row["effect"] == Effect.MISSING:
                failed += row["number"]
        rows = batch.commands.select_related("charge_point", "transaction")
        pages = Paginator(with_outstanding(rows.order_by("id")), PAGE)
        pages.count = states.total()  # counted already
        shown = pages.get_page(request.GET.get("p"))
        may_send = sending.may_send(request, batch.action)
        return {
            "batch": batch,
            "total": states.total(),
            "counts": self._counts(batch, states, effects),
            "open": states[CommandState.QUEUED]
            + states[CommandState.SENT]
            + effects[Effect.WAITING],
            "queued": states[CommandState.QUEUED] if may_send else 0,
            "failed": failed if may_send else 0,
            "commands": [_line(command, timezone.now()) for command in shown],
            "page": shown,
            "progress_url": reverse("admin:csms_commandbatch_progress", args=(batch.pk,)),
        }

    def _counts(
        self, batch: CommandBatch, states: Counter[str], effects: Counter[str]
    ) -> list[tuple[str, SafeString, int]]:
        """URL, badge and number of each state and effect that there is."""
        found = [
            (show.list_url("command", batch=batch.pk, state=state.value), state_badge(state), n)
            for state in CommandState
            if (n := states[state])
        ]
        return found + [
            (show.list_url("command", batch=batch.pk, effect=effect.value), effect_badge(effect), n)
            for effect in Effect
            if effect and (n := effects[effect])
        ]

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Cancel what is queued."""
        batch = self._batch(request, pk, to_send=True)
        number = commands_cancel(commands=batch.commands.all(), by=sending.by(request))
        messages.success(request, f"Cancelled: {number:,}")
        return HttpResponseRedirect(show.change_url("commandbatch", batch.pk))

    def repeat(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send what failed again, as a new batch."""
        batch = self._batch(request, pk, to_send=True)
        try:
            batch = batch_repeat(batch=batch, by=sending.by(request))
        except CommandRefused as refusal:
            messages.error(request, str(refusal))
        return HttpResponseRedirect(show.change_url("commandbatch", batch.pk))


def _line(command: Command, now: datetime) -> dict[str, Any]:
    """One command as its row shows it."""
    status = str((command.answer or {}).get("status", ""))
    answered = "" if status.lower() == command.state else status
    said = waiting_reason(command, now=now) or command.error or answered
    row = command.transaction
    return {
        "url": show.change_url("command", command.pk),
        "charger": show.charge_point_link(
            command.charge_point_id, command.charge_point.identity, 30
        ),
        "transport": command.charge_point.transport,
        "state": state_badge(command.state),
        "said": show.clip(said, 160) if said else "",
        "queued": clock(command.created_at),
        "sent": clock(command.sent_at),
        "finished": clock(command.finished_at),
        "effect": effect_badge(command.effect) if command.effect else "",
        "effect_text": show.clip(command.effect_text, 80) if command.effect_text else "",
        "transaction": show.link(show.change_url("transaction", row.pk), row) if row else "",
    }
