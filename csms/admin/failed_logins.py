"""Failed logins: which pair of user and address must wait; one action lets it in at once."""

from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import ReadOnlyAdmin
from csms.conf import settings
from csms.models import AuditAction
from csms.services import audit


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin):
    """What django-axes keeps, without what was posted."""

    list_display = ("whose", "address", "times", "last", "state")
    search_fields = ("username",)
    search_help_text = "User name, exactly"
    actions = ("let_in",)
    fields = ("whose", "address", "times", "last", "state")

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(username=term)

    def has_let_in_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")

    @admin.action(description="Let in again", permissions=["let_in"])
    def let_in(self, request: HttpRequest, queryset: "QuerySet[AccessAttempt]") -> None:
        rows = list(queryset)
        for row in rows:  # without the name that was given: it may be a password
            changes = {"address": [row.ip_address or "", ""]}
            audit.entry_add(action=AuditAction.DELETED, subject=row, changes=changes)
            row.delete()
        self.message_user(request, f"Forgotten: {len(rows)}.", messages.SUCCESS)

    @display(description="User name as given")
    def whose(self, row: AccessAttempt) -> SafeString | str:
        return show.clip(row.username or "", 40)

    @display(description="Address")
    def address(self, row: AccessAttempt) -> SafeString | str:
        return show.clip(row.ip_address or "", 40)

    @display(description="Wrong passwords")
    def times(self, row: AccessAttempt) -> str:
        return f"{row.failures_since_start:,}"

    @display(description="Last")
    def last(self, row: AccessAttempt) -> SafeString | str:
        return show.when(row.attempt_time)

    @display(description="State")
    def state(self, row: AccessAttempt) -> SafeString | str:
        config = settings()
        until = row.attempt_time + timedelta(minutes=config.login_wait_minutes)
        if until <= timezone.now():
            return show.badge("over", "plain")
        if row.failures_since_start >= config.login_failures:
            return show.badge("must wait", "warn")
        return show.badge("counted", "plain")
