"""Progress of firmware updates, diagnostics and log uploads, as charge points report it."""

from django.db import models

from csms.models.charge_points import ChargePoint


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
