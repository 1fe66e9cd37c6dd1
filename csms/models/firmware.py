"""Firmware: images that charge points fetch; how that and uploads go, as they report it."""

import uuid

from django.core.files.storage import Storage, storages
from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint

STORAGE = "files"
"""The alias in Django's STORAGES."""


def files_storage() -> Storage:
    """Where files are kept: CSMS_FILE_STORAGE."""
    return storages[STORAGE]


def firmware_name(image: "FirmwareImage", file_name: str) -> str:
    """The name in the storage: of ours, whatever somebody called the file."""
    return f"firmware/{uuid.uuid4().hex}"


class FirmwareImage(models.Model):
    """A firmware image; its file never changes."""

    vendor = models.CharField(
        max_length=255, blank=True, help_text="As charge points tell it; empty: any."
    )
    model = models.CharField(
        max_length=255, blank=True, help_text="As charge points tell it; empty: any."
    )
    version = models.CharField(
        max_length=100, help_text="As charge points tell it (firmwareVersion) once it is installed."
    )
    notes = models.TextField(blank=True)
    file = models.FileField(storage=files_storage, upload_to=firmware_name, max_length=255)
    file_name = models.CharField(max_length=64, editable=False, help_text="What it is fetched as.")
    size = models.BigIntegerField("size (bytes)", editable=False)
    sha256 = models.CharField("SHA-256", max_length=64, editable=False)
    signing_certificate = models.TextField(
        blank=True, help_text="PEM; for SignedUpdateFirmware (security extension, JSON only)."
    )
    signature = models.CharField(
        max_length=800, blank=True, help_text="Of the file, by the certificate's key; base64."
    )
    created_by = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "firmware image"
        ordering = ["vendor", "model", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "model", "version"],
                name="firmware_once",
                violation_error_message="There is an image of this vendor, model and version.",
            ),
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, (self.vendor, self.model, self.version)))


class TransferKind(models.TextChoices):
    FIRMWARE = "firmware", "Firmware update"
    SIGNED_FIRMWARE = "signed firmware", "Signed firmware update"
    DIAGNOSTICS = "diagnostics", "Diagnostics upload"
    LOG = "log", "Log upload"


class TransferStatus(models.Model):
    """One status notification of a transfer (OCPP 1.6 §4.4, §4.5; WP L01, N01)."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, related_name="transfer_statuses"
    )
    kind = models.CharField(max_length=16, choices=TransferKind)
    status = models.CharField(max_length=50)
    request_id = models.BigIntegerField("requestId", null=True, blank=True)
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "transfer statuses"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind}: {self.status}"
