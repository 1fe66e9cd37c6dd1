"""Vendors' messages (DataTransfer, OCPP 1.6 §4.3, §5.6) that nobody here understands."""

from django.db import models


class UnknownTransfer(models.Model):
    """A vendorId and messageId that charge points sent and no handler knows."""

    vendor_id = models.CharField("vendorId", max_length=255)
    message_id = models.CharField("messageId", max_length=50, blank=True)
    identity = models.CharField(max_length=255, help_text="Of the charge point that sent it last.")
    example = models.CharField(max_length=500, blank=True, help_text="Beginning of its data.")
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "unknown vendor message"
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["vendor_id", "message_id"], name="unknown_transfer_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.vendor_id} {self.message_id}".strip()
