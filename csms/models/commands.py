"""Commands to charge points: a durable outbox."""

from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint


class CommandState(models.TextChoices):
    QUEUED = "queued", "Queued"
    SENT = "sent", "Sent"
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Rejected"
    ERROR = "error", "Error"
    TIMED_OUT = "timed out", "Timed out: outcome unknown"
    EXPIRED = "expired", "Expired"
    CANCELLED = "cancelled", "Cancelled"


FINAL_STATES = frozenset(CommandState) - {CommandState.QUEUED, CommandState.SENT}


class Command(models.Model):
    """One request of the central system to one charge point, and what became of it."""

    charge_point = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="commands")
    action = models.CharField(max_length=64)
    payload = models.JSONField(help_text="The request, valid by its declaration.")
    state = models.CharField(max_length=9, choices=CommandState, default=CommandState.QUEUED)
    message_id = models.CharField(max_length=36, blank=True)
    answer = models.JSONField(null=True, blank=True)
    raw_answer = models.TextField(blank=True, help_text="Kept when the answer could not be read.")
    error = models.CharField(max_length=500, blank=True)
    requested_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["charge_point"],
                condition=models.Q(state="sent"),
                name="one_outstanding_command",
            ),
        ]
        indexes = [
            models.Index(fields=["charge_point", "-id"], name="command_charge_point"),
            models.Index(fields=["state", "id"], name="command_state"),
            models.Index(
                fields=["expires_at"], name="command_expiry", condition=models.Q(state="queued")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} → {self.charge_point}"


class CommandEvent(models.Model):
    """One change of a command's state: who, when, why."""

    command = models.ForeignKey(Command, on_delete=models.CASCADE, related_name="events")
    state = models.CharField(max_length=9, choices=CommandState)
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.command_id}: {self.state}"
