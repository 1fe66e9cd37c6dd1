"""Webhooks: who is told of events; the events, with the dead letters among them."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from csms.admin import show
from csms.admin.base import ChoiceFilter, FleetAdmin, ReadOnlyAdmin, TermFilter
from csms.admin.webhook_form import WebhookForm, is_of_none
from csms.models import WebhookEvent, WebhookSubscription
from csms.models.webhooks import WebhookEventState, WebhookKind
from csms.services.webhook_queue import events_give_up, events_replay
from csms.services.webhook_trial import subscription_try
from csms.services.webhooks import (
    subscription_add,
    subscription_change,
    subscription_delete,
    subscription_pause,
    subscription_resume,
    subscription_secret,
)

FIELDS = ("name", "url", "kinds", "site", "active")
COUNTED = 10_000
"""Waiting events are counted up to here."""


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = {
        value: (label, {"state": value})
        for value, label in ((state.value, str(state.label)) for state in WebhookEventState)
    }


class SubscriptionFilter(TermFilter):
    title = "webhook (exact name)"
    parameter_name = "webhook"

    def narrow(self, queryset: "QuerySet[WebhookEvent]", term: str) -> "QuerySet[WebhookEvent]":
        found = WebhookSubscription.objects.filter(name=term).values_list("pk", flat=True).first()
        return queryset.filter(subscription=found or -1)


@admin.register(WebhookSubscription)
class WebhookSubscriptionAdmin(FleetAdmin):
    """The subscriptions, and how each of them does."""

    form = WebhookForm
    list_display = ("title", "standing", "target", "what", "queue")
    sortable_by = ("title",)
    search_fields = ("name",)
    search_help_text = "Name, from its beginning"
    autocomplete_fields = ("charge_points",)
    fieldsets = (
        (None, {"fields": ("name", "url", "active", "kinds")}),
        ("Of which charge points", {"fields": ("site", "charge_points")}),
    )
    secret_fieldset = ("Secret", {"fields": ("new_secret",)})
    change_form_outer_before_template = "csms/webhook_state.html"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[WebhookSubscription]":
        rows: QuerySet[WebhookSubscription] = super().get_queryset(request)
        events = WebhookEvent.objects.filter(subscription=OuterRef("pk"))
        chosen = WebhookSubscription.charge_points.through.objects
        return rows.annotate(
            waits=Exists(events.filter(state=WebhookEventState.WAITING)),
            died=Exists(events.filter(state=WebhookEventState.DEAD)),
            aims=Exists(chosen.filter(webhooksubscription=OuterRef("pk"))),
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        main, (of_which, options) = fieldsets
        if is_of_none(obj):
            options = {"fields": (*options["fields"], "of_all")}
        return (main, (of_which, options), self.secret_fieldset)

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(name__startswith=term)

    # What is asked of the services

    def save_model(
        self, request: HttpRequest, obj: WebhookSubscription, form: Any, change: bool
    ) -> None:
        columns = {name: form.cleaned_data[name] for name in FIELDS}
        chosen = form.cleaned_data["charge_points"]
        if change:
            said = chosen or not is_of_none(obj) or form.cleaned_data["of_all"]
            subscription_change(subscription=obj, charge_points=chosen if said else None, **columns)
            secret = ""
            if form.cleaned_data["new_secret"]:
                secret = subscription_secret(subscription=obj)
        else:
            created, secret = subscription_add(charge_points=chosen, **columns)
            obj.pk, obj._state.adding = created.pk, False
        obj.new_secret = secret  # type: ignore[attr-defined]  # for the page that shows it

    def response_add(
        self, request: HttpRequest, obj: WebhookSubscription, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._secret_page(request, obj) or super().response_add(
            request, obj, post_url_continue
        )

    def response_change(self, request: HttpRequest, obj: WebhookSubscription) -> HttpResponse:
        return self._secret_page(request, obj) or super().response_change(request, obj)

    def _secret_page(self, request: HttpRequest, row: WebhookSubscription) -> HttpResponse | None:
        """The page with a secret that was just made; it is in this answer and nowhere else."""
        secret = getattr(row, "new_secret", "")
        if not secret:
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"Secret of {show.visible(row.name)}",
            "secret": secret,
            "url": show.change_url("webhooksubscription", row.pk),
        }
        response = TemplateResponse(request, "csms/webhook_secret.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def delete_model(self, request: HttpRequest, obj: WebhookSubscription) -> None:
        subscription_delete(subscription=obj)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        for row in queryset:
            subscription_delete(subscription=row)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Their events are too many to be listed."""
        names = [show.visible(row.name) for row in objs]
        return names, {"webhooks": len(names)}, set(), []

    # How one does, and what can be done with it

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        known = object_id is not None and object_id.isdecimal() and len(object_id) < 19
        number = int(object_id or 0) if known else 0
        row = self.get_queryset(request).filter(pk=number).first()
        shown = {} if row is None else self._standing(request, row)
        return super().changeform_view(request, object_id, form_url, shown | (extra_context or {}))

    def _standing(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        waiting = WebhookEvent.objects.filter(subscription=row, state=WebhookEventState.WAITING)
        count = waiting[: COUNTED + 1].count()
        oldest = waiting.order_by("id").first()
        return {
            "webhook": row,
            "badge": self.state(row),
            "delivered": show.when(row.last_delivered_at),
            "last_error": show.whole(row.last_error),
            "failed_at": show.when(row.last_error_at),
            "waiting": f"{COUNTED:,}+" if count > COUNTED else f"{count:,}",
            "oldest": show.when(oldest.created_at) if oldest else "",
            "pages": self.queue(row),
            "of_none": is_of_none(row),
            "may_steer": self.has_change_permission(request, row),
            "stands": row.paused or row.failures > 0,
        }

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            *(
                path(
                    f"<int:pk>/{name}/",
                    view(require_POST(self._step(act))),
                    name=f"csms_webhooksubscription_{name}",
                )
                for name, act in (("test", _test), ("pause", _pause), ("resume", _resume))
            ),
            *super().get_urls(),
        ]

    def _step(self, act: Callable[[HttpRequest, WebhookSubscription], None]) -> Any:
        def step(request: HttpRequest, pk: int) -> HttpResponse:
            row = get_object_or_404(WebhookSubscription, pk=pk)
            if not self.has_change_permission(request, row):
                raise PermissionDenied
            act(request, row)
            return HttpResponseRedirect(show.change_url("webhooksubscription", pk))

        return step

    # Columns

    @display(description="Name", ordering="name")
    def title(self, row: WebhookSubscription) -> SafeString | str:
        return show.clip(row.name, 24)

    @display(description="URL")
    def target(self, row: WebhookSubscription) -> SafeString | str:
        return show.wrapped(row.url, 60)

    @display(description="Events")
    def what(self, row: WebhookSubscription) -> SafeString | str:
        if len(row.kinds) == len(WebhookKind):
            return "all"
        return show.wrapped(", ".join(row.kinds), 120)

    def state(self, row: Any) -> SafeString:
        """In a word or two; of rows of `get_queryset`."""
        if not row.active:
            return show.badge("off")
        if row.paused:
            return show.badge("paused", "warn")
        if row.paused_until is not None and row.paused_until > timezone.now():
            until = f"fails; next try {row.paused_until:%H:%M:%S} UTC"
            return show.badge(until, "bad", row.last_error)
        if row.failures:
            return show.badge("failing", "warn", row.last_error)
        if row.chosen_only and not row.aims:
            return show.badge("told of none", "warn")
        if row.last_delivered_at is None:
            return show.badge("nothing sent yet", "info")
        return show.badge("works", "good")

    @display(description="State")
    def standing(self, row: Any) -> SafeString | str:
        delivered = row.last_delivered_at
        below = format_html("delivered {}", show.when(delivered)) if delivered else ""
        return show.two_lines(self.state(row), below)

    @display(description="See also")
    def queue(self, row: Any) -> SafeString:
        pages = [(show.list_url("webhookevent", webhook=row.name), "events")]
        for known, state, label in (
            (row.waits, WebhookEventState.WAITING, "waiting"),
            (row.died, WebhookEventState.DEAD, "dead letters"),
        ):
            if known:
                url = show.list_url("webhookevent", webhook=row.name, state=state.value)
                pages.append((url, label))
        return show.links(pages)


def _test(request: HttpRequest, row: WebhookSubscription) -> None:
    tried = subscription_try(subscription=row)
    if tried.problem:
        messages.error(request, f"The test event was not taken. {tried.problem}")
    else:
        messages.success(request, f"The test event was taken within {tried.seconds:.1f} s.")


def _pause(request: HttpRequest, row: WebhookSubscription) -> None:
    subscription_pause(subscription=row)
    messages.success(request, "Paused: events are kept, and sent when you resume it.")


def _resume(request: HttpRequest, row: WebhookSubscription) -> None:
    subscription_resume(subscription=row)
    messages.success(request, "It goes on: what waits is sent now.")


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    """What was, is to be, or could not be told; one action tells it again."""

    list_display = ("at", "what", "charger", "state_badge", "tries", "webhook", "problem")
    list_display_links = ("at",)
    list_select_related = ("subscription",)
    list_filter = (StateFilter, SubscriptionFilter)
    search_fields = ("identity",)
    search_help_text = "Identity of the charge point, exactly"
    actions = ("replay", "give_up")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("at", "what"),
                    ("charger_whole", "webhook_whole"),
                    ("state_badge", "tries"),
                    ("ended", "given_up"),
                    "problem_whole",
                    "event_id",
                )
            },
        ),
        ("Body", {"fields": ("body_text",)}),
    )

    def find(self, queryset: "QuerySet[WebhookEvent]", term: str) -> "QuerySet[WebhookEvent]":
        return queryset.filter(identity=term)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("csms.change_webhookevent")

    @admin.action(description="Deliver again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: "QuerySet[WebhookEvent]") -> None:
        count = events_replay(events=WebhookEvent.objects.filter(pk__in=queryset.values("pk")))
        self.message_user(request, f"Sent again: {count:,}.", messages.SUCCESS)

    @admin.action(description="Give up what waits", permissions=["replay"])
    def give_up(self, request: HttpRequest, queryset: "QuerySet[WebhookEvent]") -> None:
        count = events_give_up(events=WebhookEvent.objects.filter(pk__in=queryset.values("pk")))
        self.message_user(request, f"Dead letters now: {count:,}.", messages.SUCCESS)

    @display(description="At (UTC)")
    def at(self, row: WebhookEvent) -> SafeString | str:
        return show.moment(row.created_at)

    @display(description="Charge point")
    def charger(self, row: WebhookEvent) -> SafeString | str:
        return show.clip(row.identity, 24)

    @display(description="Charge point")
    def charger_whole(self, row: WebhookEvent) -> SafeString | str:
        return show.whole(row.identity)

    @display(description="Webhook")
    def webhook(self, row: WebhookEvent) -> SafeString | str:
        return show.clip(row.subscription.name, 24)

    @display(description="Webhook")
    def webhook_whole(self, row: WebhookEvent) -> SafeString | str:
        return show.whole(row.subscription.name)

    @display(description="Event")
    def what(self, row: WebhookEvent) -> SafeString | str:
        return show.clip(row.kind, 32)

    @display(description="State")
    def state_badge(self, row: WebhookEvent) -> SafeString:
        kind = {"delivered": "good", "dead": "bad"}.get(row.state, "info")
        return show.badge(row.get_state_display().lower(), kind)

    @display(description="Attempts")
    def tries(self, row: WebhookEvent) -> str:
        return f"{row.attempts:,}"

    @display(description="Last error")
    def problem(self, row: WebhookEvent) -> SafeString | str:
        return show.wrapped(row.error, 60)

    @display(description="Last error")
    def problem_whole(self, row: WebhookEvent) -> SafeString | str:
        return show.whole(row.error)

    @display(description="Ended (UTC)")
    def ended(self, row: WebhookEvent) -> SafeString | str:
        return show.moment(row.ended_at)

    @display(description="Tried until (UTC)")
    def given_up(self, row: WebhookEvent) -> SafeString | str:
        return show.moment(row.expires_at)

    @display(description="As it is sent, indented")
    def body_text(self, row: WebhookEvent) -> SafeString | str:
        return show.json_block(json.loads(row.body))
