"""Webhooks: who is told of events, and the events that wait to be told, were, or could not be."""

import uuid

from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint


class WebhookKind(models.TextChoices):
    """What can be told."""

    TRANSACTION_STARTED = "transaction.started", "Transaction started"
    TRANSACTION_UPDATED = "transaction.updated", "Transaction updated (each MeterValues)"
    TRANSACTION_STOPPED = "transaction.stopped", "Transaction stopped"
    STATUS_CHANGED = "status.changed", "Connector's status changed"
    ONLINE = "charge_point.online", "Charge point online"
    OFFLINE = "charge_point.offline", "Charge point offline"
    COMMAND_FINISHED = "command.finished", "Command finished"
    SECURITY_EVENT = "security.event", "Security event"


class WebhookSubscription(models.Model):
    """Events of some kinds, of some charge points or all, are sent to a URL."""

    name = models.CharField(max_length=100, unique=True)
    url = models.CharField(
        "URL", max_length=500, help_text="Write the https:// address that takes the events."
    )
    secret = models.TextField(
        editable=False, help_text="Sealed: signatures are made with it; it is shown only once."
    )
    kinds = models.JSONField(help_text="Those of WebhookKind that are sent.")
    site = models.CharField(
        max_length=100,
        blank=True,
        help_text="Write a site to be told of its charge points only, or leave it empty.",
    )
    charge_points = models.ManyToManyField(
        ChargePoint,
        blank=True,
        related_name="+",
        help_text="Choose those to be told of, or leave it empty to be told of all.",
    )
    chosen_only = models.BooleanField(
        default=False,
        editable=False,
        help_text="Charge points were chosen. When they are deleted it is told of none, not of "
        "all.",
    )
    active = models.BooleanField(
        default=True,
        help_text="Switch it off to keep no events for it; to have them later, pause it instead.",
    )
    paused = models.BooleanField(
        default=False, editable=False, help_text="By a person: events are kept, and not sent."
    )
    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="In a row; the next success makes it 0."
    )
    paused_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="After failures: the next attempt."
    )
    last_error = models.CharField(max_length=255, blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_delivered_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="To the second; tests count too."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "webhook"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class WebhookEventState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    DEAD = "dead", "Dead letter"


class WebhookEvent(models.Model):
    """One event for one subscription.

    Rows are only appended, in bulk, by those who acknowledge charge points' messages: nothing is
    checked by the database that could fail there.
    """

    subscription = models.ForeignKey(
        WebhookSubscription,
        on_delete=models.DO_NOTHING,  # the upkeep removes them, a few at a time
        db_constraint=False,
        db_index=False,
        related_name="events",
    )
    event_id = models.UUIDField(
        default=uuid.uuid4, editable=False, help_text="The same each time it is sent."
    )
    kind = models.CharField(max_length=32, choices=WebhookKind)
    identity = models.CharField(max_length=255, blank=True, help_text="Of the charge point.")
    body = models.TextField(help_text="JSON, as it is sent.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="A failure after this makes it a dead letter.")
    state = models.CharField(
        max_length=9, choices=WebhookEventState, default=WebhookEventState.WAITING
    )
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=255, blank=True, help_text="Of the last attempt.")
    ended_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was delivered or given up."
    )

    class Meta:
        verbose_name = "webhook event"
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["subscription", "identity", "id"],
                name="webhook_event_lane",
                condition=models.Q(state="waiting"),
            ),
            models.Index(
                fields=["subscription", "id"],
                name="webhook_event_waiting",
                condition=models.Q(state="waiting"),
            ),
            models.Index(fields=["subscription", "-id"], name="webhook_event_subscription"),
            models.Index(fields=["state", "-id"], name="webhook_event_state"),
            models.Index(fields=["identity", "-id"], name="webhook_event_identity"),
            models.Index(
                fields=["ended_at"],
                name="webhook_event_ended",
                condition=models.Q(ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


class WebhookLane(models.Model):
    """The events of one charge point for one subscription, while somebody sends them or a failure
    is waited out: with this lease only one process sends them, one after another."""

    subscription = models.ForeignKey(
        WebhookSubscription, on_delete=models.CASCADE, related_name="lanes"
    )
    identity = models.CharField(max_length=255, blank=True)
    lease = models.UUIDField(help_text="Of who sends now, or sent last.")
    leased_until = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    not_before = models.DateTimeField(null=True, help_text="After a failure: the next attempt.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "identity"], name="one_webhook_lane_a_charge_point"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id}: {self.identity}"


class SoapPresence(models.Model):
    """A SOAP charge point that was told to be online: it has no socket whose end would tell."""

    charge_point = models.OneToOneField(
        ChargePoint, on_delete=models.CASCADE, primary_key=True, related_name="presence"
    )
    since = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.charge_point_id)
