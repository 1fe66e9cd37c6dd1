"""Commands to charge points: a durable outbox."""

from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint
from csms.models.transactions import Transaction
from csms.ocpp.base import Role
from csms.ocpp.registry import ACTIONS


class CommandState(models.TextChoices):
    QUEUED = "queued", "Queued"
    SENT = "sent", "Sent"
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Rejected"
    ERROR = "error", "Error"
    TIMED_OUT = "timed out", "Timed out: outcome unknown"
    EXPIRED = "expired", "Expired"
    CANCELLED = "cancelled", "Cancelled"


BY_CHARGE_POINT = "charge point"
BY_GATEWAY = "gateway"
BY_CLOCK = "clock"
"""Who changed a command when it was no user and no token: the charge point, by what it said; the
gateway that sent it, or could not; or the central system by itself, in its own time."""

FINAL_STATES = frozenset(CommandState) - {CommandState.QUEUED, CommandState.SENT}


class Effect(models.TextChoices):
    """Whether what an accepted command asked for was seen to happen."""

    NONE = "", "–"
    WAITING = "waiting", "Waiting for the effect"
    SEEN = "seen", "Effect seen"
    MISSING = "missing", "Effect missing"
    ASSUMED = "assumed", "Assumed: OCPP 1.6 cannot tell"


class CommandBatch(models.Model):
    """One request to many charge points, of both transports."""

    action = models.CharField(max_length=64)
    payload = models.JSONField()
    requested_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    refused = models.JSONField(
        default=list, help_text="Those it was not sent to: [identity, reason], …"
    )

    class Meta:
        verbose_name_plural = "command batches"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.created_at:%Y-%m-%d %H:%M}"


def permission_of(action: str) -> str:
    """The permission that sending an operation takes: `send_reset` for Reset."""
    return f"send_{action.lower()}"


class Command(models.Model):
    """One request of the central system to one charge point, and what became of it."""

    batch = models.ForeignKey(
        CommandBatch, on_delete=models.SET_NULL, null=True, blank=True, related_name="commands"
    )
    follows = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="followers",
        help_text="The command whose effect this one reads back.",
    )
    charge_point = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="commands")
    action = models.CharField(max_length=64)
    payload = models.JSONField(
        help_text="The request, valid by its declaration; its secrets are masked."
    )
    sealed = models.TextField(
        blank=True, editable=False, help_text="The request with its secrets, until it has ended."
    )
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

    effect = models.CharField(max_length=8, choices=Effect, default=Effect.NONE, blank=True)
    effect_text = models.CharField(max_length=255, blank=True)
    effect_at = models.DateTimeField(null=True, blank=True)
    effect_until = models.DateTimeField(
        null=True, blank=True, help_text="When the effect counts as missing."
    )
    transaction = models.ForeignKey(
        Transaction,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="commands",
        help_text="The transaction that it started, stopped, or reserved for.",
    )
    before = models.CharField(
        max_length=255, blank=True, editable=False, help_text="Firmware version before an update."
    )

    class Meta:
        ordering = ["-id"]
        permissions = [
            (permission_of(name), f"Can send {name}")
            for name, request in ACTIONS.items()
            if Role.CENTRAL_SYSTEM in request.senders
        ]
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
            models.Index(fields=["action", "-id"], name="command_action"),
            models.Index(
                fields=["effect", "-id"],
                name="command_effect_state",
                condition=~models.Q(effect=""),
            ),
            models.Index(
                fields=["charge_point"],
                name="command_reservation",
                condition=models.Q(action="ReserveNow", transaction=None),
            ),
            models.Index(
                fields=["charge_point", "action"],
                name="command_effect",
                condition=models.Q(effect="waiting"),
            ),
            models.Index(
                fields=["expires_at"], name="command_expiry", condition=models.Q(state="queued")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} → {self.charge_point}"


class CommandEvent(models.Model):
    """One change of a command's state or effect: who, when, why.

    `state` holds the value of a CommandState or, when it was the effect that changed, of an Effect.
    """

    command = models.ForeignKey(Command, on_delete=models.CASCADE, related_name="events")
    state = models.CharField(max_length=9, choices=CommandState)
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.command_id}: {self.state}"

    @property
    def is_effect(self) -> bool:
        """Whether it was the effect that changed."""
        return self.state in Effect.values
