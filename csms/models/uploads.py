"""Uploads: diagnostics and logs that charge points deliver to us."""

import uuid

from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint
from csms.models.commands import Command
from csms.models.firmware import files_storage


class UploadKind(models.TextChoices):
    DIAGNOSTICS = "diagnostics", "Diagnostics"
    DIAGNOSTICS_LOG = "DiagnosticsLog", "Log: diagnostics"
    SECURITY_LOG = "SecurityLog", "Log: security"


class UploadState(models.TextChoices):
    WAITING = "waiting", "Waiting for the file"
    RECEIVING = "receiving", "Receiving"
    RECEIVED = "received", "Received"
    EXPIRED = "expired", "Expired: nothing came in time"
    ENDED = "ended", "Ended without a file"


OPEN_STATES = (UploadState.WAITING, UploadState.RECEIVING)


def upload_name(upload: "Upload", file_name: str) -> str:
    """The name in the storage: of ours, whatever a charge point called the file."""
    return f"uploads/{uuid.uuid4().hex}"


class Upload(models.Model):
    """One file that one charge point was asked for; it may be written once."""

    charge_point = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="uploads")
    kind = models.CharField(max_length=14, choices=UploadKind)
    command = models.ForeignKey(
        Command, on_delete=models.SET_NULL, null=True, blank=True, related_name="uploads"
    )
    key = models.CharField(max_length=16, unique=True, editable=False)
    secret = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the password.")
    scheme = models.CharField("protocol", max_length=5)
    state = models.CharField(max_length=9, choices=UploadState, default=UploadState.WAITING)
    reason = models.CharField(max_length=255, blank=True)
    attempt = models.PositiveIntegerField(default=0, editable=False)
    busy_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Somebody writes, or has died by then."
    )
    file = models.FileField(
        storage=files_storage, upload_to=upload_name, max_length=255, blank=True
    )
    file_name = models.CharField(max_length=255, blank=True, help_text="As the charge point said.")
    size = models.BigIntegerField("size (bytes)", default=0, help_text="Received so far.")
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    requested_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    expires_at = models.DateTimeField(help_text="The file must have come by then.")
    received_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["charge_point", "-id"], name="upload_charge_point"),
            models.Index(
                fields=["expires_at"],
                name="upload_open",
                condition=models.Q(state__in=["waiting", "receiving"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.charge_point}"
