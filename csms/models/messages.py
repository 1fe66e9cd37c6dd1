"""The message log, and the quarantine of what could not be attributed."""

from django.db import models

from csms.models.charge_points import ChargePoint, Transport


class Direction(models.TextChoices):
    IN = "in", "from charge point"
    OUT = "out", "to charge point"


class Message(models.Model):
    """One exchange: a request and its answer, as they were on the wire; partitioned by month on
    PostgreSQL. `charge_point` is empty for those who are not known."""

    bucket_at = models.DateTimeField("time", help_text="When the request was received or sent.")
    charge_point = models.ForeignKey(
        ChargePoint,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        related_name="+",
        db_index=False,
    )
    identity = models.CharField(max_length=255)
    transport = models.CharField(max_length=4, choices=Transport)
    direction = models.CharField(max_length=3, choices=Direction)
    action = models.CharField(max_length=64, blank=True)
    message_id = models.CharField(max_length=255, blank=True)
    request = models.TextField(help_text="The frame or envelope of the request.")
    answer = models.TextField(blank=True, help_text="The frame or envelope of the answer.")
    duration = models.FloatField(null=True, help_text="ms between request and answer")
    error = models.CharField(
        max_length=255,
        blank=True,
        help_text="Why there was no ordinary answer; empty when all is well.",
    )
    notes = models.JSONField(default=list, help_text="Tolerances that were used, in words.")
    remote_address = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["charge_point", "-id"], name="message_charge_point"),
            models.Index(fields=["action", "-id"], name="message_action"),
            models.Index(fields=["bucket_at"], name="message_time"),
            models.Index(fields=["-id"], name="message_error", condition=~models.Q(error="")),
            models.Index(fields=["message_id"], name="message_message_id"),
        ]

    def __str__(self) -> str:
        return f"{self.identity} {self.action} {self.message_id}"


class QuarantinedMessage(models.Model):
    """A message whose meaning could not be had safely: kept as evidence, never billed."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, null=True, related_name="quarantined_messages"
    )
    identity = models.CharField(max_length=255)
    transport = models.CharField(max_length=4, choices=Transport)
    action = models.CharField(max_length=64, blank=True)
    message_id = models.CharField(max_length=255, blank=True)
    raw = models.TextField(help_text="The frame or envelope as it came.")
    reason = models.CharField(max_length=255)
    received_at = models.DateTimeField(db_index=True)
    digest = models.BigIntegerField(editable=False)
    count = models.PositiveBigIntegerField(default=1, help_text="How often the same came again.")
    resolved = models.BooleanField(default=False, db_index=True)

    class Meta:
        verbose_name = "quarantined message"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["identity", "action", "digest"], name="quarantined_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.identity} {self.action}: {self.reason}"
