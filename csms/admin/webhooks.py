"""Webhooks: who is told of events; the events, with the dead letters among them."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldBooleanSwitchWidget

from csms.admin import show
from csms.admin.base import ChoiceFilter, FleetAdmin, ReadOnlyAdmin, TermFilter
from csms.models import WebhookEvent, WebhookSubscription
from csms.models.webhooks import WebhookEventState, WebhookKind
from csms.services.webhook_queue import events_replay
from csms.services.webhooks import (
    WebhookInvalid,
    subscription_add,
    subscription_change,
    subscription_delete,
    subscription_secret,
    url_check,
)

FIELDS = ("name", "url", "kinds", "site", "charge_points", "active")


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """A subscription; its secret is made here, and shown once."""

    kinds = forms.MultipleChoiceField(
        label="Events", choices=WebhookKind.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    new_secret = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Make a new secret in place of the one there is; it is shown once, after saving. "
        "From then on signatures are made with it.",
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        try:
            url_check(url)
        except WebhookInvalid as invalid:
            raise forms.ValidationError(str(invalid)) from None
        return url


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
    list_display = ("title", "state", "target", "what", "queue")
    sortable_by = ("title",)
    search_fields = ("name",)
    search_help_text = "Name, from its beginning"
    autocomplete_fields = ("charge_points",)
    fieldsets = (
        (None, {"fields": ("name", "url", "active", "kinds")}),
        ("Of which charge points", {"fields": ("site", "charge_points")}),
    )
    secret_fieldset = ("Secret", {"fields": ("new_secret",)})

    def get_queryset(self, request: HttpRequest) -> "QuerySet[WebhookSubscription]":
        rows: QuerySet[WebhookSubscription] = super().get_queryset(request)
        events = WebhookEvent.objects.filter(subscription=OuterRef("pk"))
        return rows.annotate(
            waits=Exists(events.filter(state=WebhookEventState.WAITING)),
            died=Exists(events.filter(state=WebhookEventState.DEAD)),
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is None else (*fieldsets, self.secret_fieldset)

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(name__startswith=term)

    # What is asked of the services

    def save_model(
        self, request: HttpRequest, obj: WebhookSubscription, form: Any, change: bool
    ) -> None:
        columns = {name: form.cleaned_data[name] for name in FIELDS}
        if change:
            subscription_change(subscription=obj, **columns)
            secret = ""
            if form.cleaned_data["new_secret"]:
                secret = subscription_secret(subscription=obj)
        else:
            created, secret = subscription_add(**columns)
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

    @display(description="State")
    def state(self, row: WebhookSubscription) -> SafeString:
        if not row.active:
            return show.badge("off")
        if row.paused_until is not None and row.paused_until > timezone.now():
            return show.badge(
                f"paused until {row.paused_until:%H:%M:%S} UTC", "bad", row.last_error
            )
        if row.failures:
            return show.badge("failing", "warn", row.last_error)
        return show.badge("works", "good")

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


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    """What was, is to be, or could not be told; one action tells it again."""

    list_display = ("at", "what", "charger", "state_badge", "tries", "webhook", "problem")
    list_display_links = ("at",)
    list_select_related = ("subscription",)
    list_filter = (StateFilter, SubscriptionFilter)
    search_fields = ("identity",)
    search_help_text = "Identity of the charge point, exactly"
    actions = ("replay",)
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
        self.message_user(request, f"Delivered again: {count:,}.", messages.SUCCESS)

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
