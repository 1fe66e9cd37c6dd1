"""Tokens of the REST API: who holds one, when it was used; `api_token add` makes them."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import ReadOnlyAdmin
from csms.models import ApiToken
from csms.services.tokens import token_revoke


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """The list of tokens; one action revokes them."""

    list_display = ("label", "state", "whose", "may", "used", "expires", "created")
    list_select_related = ("user",)
    search_fields = ("name",)
    search_help_text = "Name, from its beginning"
    actions = ("revoke_selected",)
    fields = ("label", "state", "whose", "may", "used", "expires", "created")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ApiToken]":
        rows: QuerySet[ApiToken] = super().get_queryset(request)
        return rows.prefetch_related("user__groups", "user__user_permissions")

    def find(self, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return queryset.filter(name__startswith=term)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("csms.change_apitoken")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: "QuerySet[ApiToken]") -> None:
        rows = list(queryset.filter(revoked=False))
        for row in rows:
            token_revoke(token=row)
            self.log_change(request, row, "Revoked")
        self.message_user(request, f"Revoked: {len(rows)}.", messages.SUCCESS)

    @display(description="Name")
    def label(self, row: ApiToken) -> SafeString | str:
        return show.clip(row.name, 40)

    @display(description="State")
    def state(self, row: ApiToken) -> SafeString:
        if row.revoked:
            return show.badge("revoked", "bad")
        if row.expires_at is not None and row.expires_at <= timezone.now():
            return show.badge("expired", "warn")
        return show.badge("valid", "good")

    @display(description="Acts as")
    def whose(self, row: ApiToken) -> SafeString | str:
        return show.clip(row.user.username, 40)

    @display(description="May")
    def may(self, row: ApiToken) -> SafeString | str:
        """Its user's roles and groups; without any, how many permissions it has."""
        if row.user.is_superuser:
            return show.badge("everything", "warn")
        groups = [show.badge(group.name, "info") for group in row.user.groups.all()]
        single = len(row.user.user_permissions.all())
        return show.badges(groups + [show.badge(f"permissions: {single}")] * bool(single))

    @display(description="Last used")
    def used(self, row: ApiToken) -> SafeString | str:
        return show.when(row.last_used_at)

    @display(description="Expires (UTC)")
    def expires(self, row: ApiToken) -> SafeString | str:
        return show.moment(row.expires_at)

    @display(description="Made (UTC)")
    def created(self, row: ApiToken) -> SafeString | str:
        return show.moment(row.created_at)
