"""Users and groups of the admin, in the same look; the roles are groups that we keep."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from csms.admin import show
from csms.admin.history import AuditHistory
from csms.services.roles import ROLES
from csms.services.two_factor import two_factor_reset

for model in (User, Group, TOTPDevice, StaticDevice):  # the devices' pages would show their keys
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(AuditHistory, DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Django's own, with the theme's forms, the roles and the second factor."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "roles", "logs_in", "second_factor", "last_seen")
    list_filter = ("groups", "is_staff", "is_superuser", "is_active")
    actions = ("reset_second_factor",)
    add_fieldsets = (
        *DjangoUserAdmin.add_fieldsets,
        ("What the user may do", {"fields": ("is_staff", "groups")}),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[User]":
        devices = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.prefetch_related("groups").annotate(enrolled=Exists(devices))

    @display(description="Roles and groups")
    def roles(self, row: User) -> SafeString | str:
        names = [group.name for group in row.groups.all()]
        return show.badges(
            [show.badge("superuser", "warn")] * row.is_superuser
            + [show.badge(name, "info" if name in ROLES else "plain") for name in names]
        )

    @display(description="May log in")
    def logs_in(self, row: User) -> SafeString:
        if not row.is_active:
            return show.badge("inactive", "bad")
        return show.badge("yes", "good") if row.is_staff else show.badge("no")

    @display(description="Second factor")
    def second_factor(self, row: Any) -> SafeString:
        return show.badge("set up", "good") if row.enrolled else show.badge("none")

    @display(description="Last login")
    def last_seen(self, row: User) -> SafeString | str:
        return show.when(row.last_login)

    @admin.action(description="Reset the second factor", permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, queryset: "QuerySet[User]") -> None:
        """For who has lost app and backup codes; it signs them out everywhere."""
        rows = list(queryset)
        for row in rows:
            two_factor_reset(user=row)
        self.message_user(request, f"Second factor reset: {len(rows)}.", messages.SUCCESS)


@admin.register(Group)
class GroupAdmin(AuditHistory, DjangoGroupAdmin, ModelAdmin):
    """Django's own, in the theme. The roles are made anew with each migration: not to be changed
    here; another selection of permissions is a group of its own."""

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and (obj is None or obj.name not in ROLES)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or obj.name not in ROLES)
