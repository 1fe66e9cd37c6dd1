"""The history of one object: what the audit noted of it."""

from typing import Any

from django.apps import apps
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_otp.plugins.otp_totp.models import TOTPDevice

from csms.admin import show
from csms.models import AuditAction, AuditEntry
from csms.services.audit import AUDITED, entries_of, kind_of

SHOWN = 200
"""The newest entries that a page has; the list of changes has all."""

KINDS: dict[str, str] = {
    AuditAction.ADDED: "good",
    AuditAction.CHANGED: "info",
    AuditAction.DELETED: "bad",
    AuditAction.SIGNED_IN: "plain",
}


def who(entry: AuditEntry) -> SafeString | str:
    return show.clip(entry.by or "the central system", 32)


def action_badge(entry: AuditEntry) -> SafeString:
    return show.badge(entry.action, KINDS.get(entry.action, "plain"))


def changes_list(entry: AuditEntry) -> SafeString | str:
    """Field by field: what it was, what it became; whole."""
    rows = [
        (show.visible(name.replace("_", " ")), _change(before, after))
        for name, (before, after) in entry.changes.items()
    ]
    if not rows:
        return show.EMPTY
    return format_html(
        '<dl class="cs-facts">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows)
    )


def _change(before: str, after: str) -> SafeString | str:
    if not before:
        return show.whole(after)
    return format_html(
        '<s class="cs-gone">{}</s> → {}', show.whole(before), show.whole(after) if after else "–"
    )


def kind_name(kind: str) -> str:
    """The name of a model that an entry is about: `charge point`."""
    if kind == kind_of(TOTPDevice):
        return "second factor"
    try:
        return str(apps.get_model(kind)._meta.verbose_name)
    except (LookupError, ValueError):
        return kind


class AuditHistory:
    """An admin whose history pages show the audit, where the model is audited."""

    model: Any
    admin_site: Any

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.model not in AUDITED:
            response: HttpResponse = super().history_view(  # type: ignore[misc]
                request, object_id, extra_context
            )
            return response
        row = self.get_object(request, unquote(object_id))  # type: ignore[attr-defined]
        if row is None:
            missing: HttpResponse = self._get_obj_does_not_exist_redirect(  # type: ignore[attr-defined]
                request, self.model._meta, object_id
            )
            return missing
        if not self.has_view_or_change_permission(request, row):  # type: ignore[attr-defined]
            raise PermissionDenied
        entries = list(entries_of(row)[: SHOWN + 1])
        context = {
            **self.admin_site.each_context(request),
            "title": f"Changes: {show.visible(str(row))}",
            "opts": self.model._meta,
            "lines": [
                (show.moment(entry.at), who(entry), action_badge(entry), changes_list(entry))
                for entry in entries[:SHOWN]
            ],
            "more": len(entries) > SHOWN,
            "shown": SHOWN,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "csms/history.html", context)
