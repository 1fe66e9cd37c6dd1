"""Who changed what, and when."""

from django.db import models
from django.utils import timezone


class AuditAction(models.TextChoices):
    ADDED = "added", "Added"
    CHANGED = "changed", "Changed"
    DELETED = "deleted", "Deleted"
    SIGNED_IN = "signed in", "Signed in"


class AuditEntry(models.Model):
    """One change of one object that people manage; never changed itself."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    by = models.CharField(
        max_length=150,
        blank=True,
        db_index=True,
        help_text="`admin: ann`, `API: billing`, `shell: root`; empty: the central system itself.",
    )
    remote_address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=9, choices=AuditAction)
    kind = models.CharField(max_length=64, help_text="The model, such as `csms.chargepoint`.")
    object_key = models.CharField(max_length=64, help_text="Its primary key.")
    object_text = models.CharField(
        max_length=255, db_index=True, help_text="What it was called then."
    )
    changes = models.JSONField(
        default=dict, help_text="Field → [before, after] as texts; secrets are masked."
    )

    class Meta:
        verbose_name = "change"
        ordering = ["-id"]
        indexes = [models.Index(fields=["kind", "object_key", "-id"], name="audit_of_object")]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_key}: {self.action}"
