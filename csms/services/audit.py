"""The audit: who changed what in the objects that people manage, through whichever door.

It listens to Django's signals, since a change made from the shell goes through no service; only
models named in AUDITED are listened to, and of them a save that concerns no audited field costs
nothing. What the inbox writes goes past all this: it is what charge points say, and is in the
message log. Passwords, keys and tokens are never repeated: that they changed is.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django_otp.plugins.otp_totp.models import TOTPDevice

from csms.models import (
    ApiToken,
    AuditAction,
    AuditEntry,
    ChargePoint,
    ChargingProfileTemplate,
    ConfigurationTemplate,
    FirmwareImage,
    IdTag,
    RollOut,
    WebhookSubscription,
)
from csms.services.actors import actor
from csms.services.secrets import MASK

LONGEST = 500
"""Characters kept of a value."""
MOST_NAMES = 20
"""Names kept of objects that were linked or unlinked at once."""


@dataclass(frozen=True, slots=True)
class Audited:
    """What is noted of a model."""

    fields: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    """That these changed is noted, and nothing of them."""
    links: tuple[str, ...] = ()
    """Many-to-many fields."""
    left_out: tuple[str, ...] = ()
    """Fields of forms that machines write, or that follow from others."""


AUDITED: dict[type[Model], Audited] = {
    ChargePoint: Audited(
        fields=(
            "identity",
            "name",
            "site",
            "transport",
            "version",
            "registration",
            "strictness",
            "security_profile",
            "soap_proof",
            "certificate_name",
            "time_zone",
            "heartbeat_interval",
            "boot_retry_interval",
            "configuration_by_name",
            "callback_url",
            "callback_pinned",
        ),
        secrets=("password",),
        left_out=(
            "vendor",
            "model",
            "serial_number",
            "box_serial_number",
            "firmware_version",
            "iccid",
            "imsi",
            "meter_type",
            "meter_serial_number",
            "firmware_status",
            "diagnostics_status",
        ),
    ),
    IdTag: Audited(
        fields=("id_tag", "parent_id_tag", "name", "blocked", "expires_at", "max_transactions"),
        links=("charge_points",),
    ),
    ChargingProfileTemplate: Audited(
        fields=(
            "name",
            "charging_profile_id",
            "purpose",
            "stack_level",
            "kind",
            "recurrency_kind",
            "valid_from",
            "valid_to",
            "charging_rate_unit",
            "start_schedule",
            "duration",
            "min_charging_rate",
            "periods",
        ),
    ),
    ConfigurationTemplate: Audited(fields=("name", "vendor", "model", "site", "values")),
    WebhookSubscription: Audited(
        fields=("name", "url", "kinds", "site", "active", "paused"),
        secrets=("secret",),
        links=("charge_points",),
    ),
    FirmwareImage: Audited(
        fields=(
            "vendor",
            "model",
            "version",
            "notes",
            "sha256",
            "signing_certificate",
            "signature",
        ),
        left_out=("file",),
    ),
    RollOut: Audited(
        fields=(
            "image",
            "state",
            "reason",
            "scheme",
            "method",
            "first_wave",
            "wave_size",
            "max_failures",
            "patience",
            "rest",
            "expires_hours",
            "not_before",
            "retries",
            "retry_interval",
        ),
    ),
    ApiToken: Audited(fields=("name", "user", "expires_at", "revoked")),
    User: Audited(
        fields=(
            "username",
            "first_name",
            "last_name",
            "email",
            "is_active",
            "is_staff",
            "is_superuser",
        ),
        secrets=("password",),
        links=("groups", "user_permissions"),
        left_out=("last_login", "date_joined"),
    ),
    Group: Audited(fields=("name",), links=("permissions",)),
    TOTPDevice: Audited(
        fields=("user", "name", "confirmed"),
        left_out=(
            "key",
            "step",
            "t0",
            "digits",
            "tolerance",
            "drift",
            "last_t",
            "throttling_failure_timestamp",
            "throttling_failure_count",
            "last_used_at",
        ),
    ),
}
"""What is audited, and how much of it."""


def kind_of(model: type[Model] | Model) -> str:
    """A model as entries name it: `csms.chargepoint`."""
    return model._meta.label_lower


def entry_add(
    *, action: AuditAction, subject: Model, changes: dict[str, list[str]] | None = None
) -> None:
    """Note one change of one object, by whoever acts."""
    by = actor()
    AuditEntry.objects.create(
        by=by.by[:150],
        remote_address=by.remote_address[:64],
        action=action,
        kind=kind_of(subject),
        object_key=str(subject.pk)[:64],
        object_text=str(subject)[:255],
        changes=changes or {},
    )


def entries_of(subject: Model) -> "QuerySet[AuditEntry]":
    """What was noted of one object, newest first."""
    return AuditEntry.objects.filter(kind=kind_of(subject), object_key=str(subject.pk))


# --------------------------------------------------------------------------- listening


def listen() -> None:
    """Listen to the audited models; called once, when Django is ready."""
    for model, audited in AUDITED.items():
        pre_save.connect(_before_save, sender=model)
        post_save.connect(_after_save, sender=model)
        post_delete.connect(_after_delete, sender=model)
        for name in audited.links:
            m2m_changed.connect(_links_changed, sender=getattr(model, name).through)


def _before_save(
    sender: type[Model], instance: Any, update_fields: Iterable[str] | None, **_: Any
) -> None:
    """Remember what the row was, when an audited field may change."""
    instance._audit_before = None
    if instance._state.adding or instance.pk is None:
        return
    audited = AUDITED[sender]
    watched = {*audited.fields, *audited.secrets}
    if update_fields is not None and watched.isdisjoint(update_fields):
        return
    instance._audit_before = sender._base_manager.filter(pk=instance.pk).first()


def _after_save(
    sender: type[Model],
    instance: Any,
    created: bool,
    update_fields: Iterable[str] | None,
    **_: Any,
) -> None:
    if created:
        entry_add(
            action=AuditAction.ADDED,
            subject=instance,
            changes=_changes(sender, None, instance, None),
        )
        return
    before, instance._audit_before = instance._audit_before, None
    if before is None:
        return
    changes = _changes(sender, before, instance, update_fields)
    if changes:
        entry_add(action=AuditAction.CHANGED, subject=instance, changes=changes)


def _after_delete(sender: type[Model], instance: Any, **_: Any) -> None:
    entry_add(
        action=AuditAction.DELETED,
        subject=instance,
        changes=_changes(sender, instance, None, None),
    )


def _changes(
    model: type[Model], before: Any, after: Any, update_fields: Iterable[str] | None
) -> dict[str, list[str]]:
    """Field → [before, after], of the audited fields that differ and were written."""
    audited = AUDITED[model]
    written = None if update_fields is None else set(update_fields)
    changes = {}
    for name in (*audited.fields, *audited.secrets):
        if written is not None and name not in written:
            continue
        old, new = _text(before, name), _text(after, name)
        if old == new:
            continue
        if name in audited.secrets:
            old, new = (MASK if old else ""), (MASK if new else "")
        changes[name] = [old[:LONGEST], new[:LONGEST]]
    return changes


def _text(instance: Any, name: str) -> str:
    """A field's value in words; empty where there is none."""
    if instance is None:
        return ""
    value = getattr(instance, name)
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        case dict() | list():  # PostgreSQL keeps no order of keys
            return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str(value)


def _links_changed(
    sender: type[Model],
    instance: Any,
    action: str,
    reverse: bool,
    model: type[Model],
    pk_set: set[Any] | None,
    **_: Any,
) -> None:
    """Objects were linked or unlinked, from either side."""
    word = {"post_add": "added", "post_remove": "removed", "pre_clear": "removed"}.get(action)
    if word is None:
        return
    audited_model = model if reverse else type(instance)
    name = next(
        link
        for link in AUDITED[audited_model].links
        if getattr(audited_model, link).through is sender
    )
    others = model._base_manager.all()
    if pk_set is not None:
        others = others.filter(pk__in=pk_set)
    elif reverse:
        others = others.filter(**{name: instance})
    else:
        others = getattr(instance, name).all()
    subjects = list(others) if reverse else [instance]
    linked = [instance] if reverse else list(others)
    if not linked:
        return
    text = ", ".join(str(other) for other in linked[:MOST_NAMES])
    if len(linked) > MOST_NAMES:
        text += f" and {len(linked) - MOST_NAMES} more"
    pair = ["", text] if word == "added" else [text, ""]
    for subject in subjects:
        entry_add(action=AuditAction.CHANGED, subject=subject, changes={f"{name} {word}": pair})
