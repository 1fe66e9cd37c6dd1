"""Reservations: one row for each ReserveNow (OCPP 1.6 §5.13), wherever it was asked for."""

from django.db import models
from django.utils import timezone

from csms.models.authorization import fold
from csms.models.charge_points import ChargePoint
from csms.models.commands import Command
from csms.models.transactions import Transaction


class ReservationState(models.TextChoices):
    REQUESTED = "requested", "Requested"
    ACTIVE = "active", "Active"
    USED = "used", "Used"
    EXPIRED = "expired", "Expired"
    CANCELLED = "cancelled", "Cancelled"
    REFUSED = "refused", "Refused"
    REPLACED = "replaced", "Replaced by a later one"
    ENDED = "ended", "Ended by the charge point"
    UNKNOWN = "unknown", "Unknown: no answer"


HELD_STATES = frozenset({ReservationState.ACTIVE, ReservationState.UNKNOWN})
"""A charge point keeps a connector, or may."""

OPEN_STATES = HELD_STATES | {ReservationState.REQUESTED}
"""Something may still become of the reservation."""

NEVER_HELD = frozenset({ReservationState.REQUESTED, ReservationState.REFUSED})
"""No charge point has kept a connector for it."""


class Reservation(models.Model):
    """A connector, or with 0 any, kept free for an idTag until a time; its state as far as known:
    OCPP 1.6 has no message with which a charge point tells of its reservations."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, related_name="reservations", db_index=False
    )
    connector_id = models.PositiveIntegerField("connectorId", help_text="0: any connector.")
    id_tag = models.CharField("idTag", max_length=20)
    id_tag_key = models.CharField(max_length=255, editable=False)
    parent_id_tag = models.CharField(
        "parentIdTag", max_length=20, blank=True, help_text="Whose idTags may use it as well."
    )
    expiry_date = models.DateTimeField("expiryDate")
    reservation_id = models.IntegerField("reservationId")
    state = models.CharField(
        max_length=9, choices=ReservationState, default=ReservationState.REQUESTED
    )
    reason = models.CharField(max_length=255, blank=True, help_text="Why it is so, in words.")
    command = models.OneToOneField(
        Command, on_delete=models.SET_NULL, null=True, related_name="reservation"
    )
    cancellation = models.ForeignKey(
        Command,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The latest CancelReservation for it.",
    )
    transaction = models.ForeignKey(
        Transaction,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="reservations",
        help_text="The transaction that used it.",
    )
    requested_at = models.DateTimeField(default=timezone.now)
    held_from = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it was accepted; while nobody answered, when it was sent.",
    )
    shown_at = models.DateTimeField(
        null=True, blank=True, help_text="When its connector was seen to be Reserved."
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    transactions_before = models.BigIntegerField(
        default=0,
        editable=False,
        help_text="The key of the latest transaction when it was sent: later ones came after it.",
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["charge_point", "reservation_id"],
                condition=models.Q(state="active"),
                name="reservation_id_once_while_active",
            ),
        ]
        indexes = [
            models.Index(fields=["charge_point", "-id"], name="reservation_charge_point"),
            models.Index(fields=["charge_point", "state"], name="reservation_held"),
            models.Index(fields=["state", "-id"], name="reservation_state"),
            models.Index(fields=["id_tag_key", "-id"], name="reservation_id_tag"),
            models.Index(fields=["reservation_id"], name="reservation_number"),
            models.Index(fields=["expiry_date"], name="reservation_expiry"),
            models.Index(fields=["ended_at"], name="reservation_ended"),
        ]

    def __str__(self) -> str:
        return str(self.reservation_id)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    def allows(self, id_tag: str, parent_id_tag: str = "") -> bool:
        """Whether this idTag may use it, or one with this parent (§5.13).

        A parent is only compared with a parent.
        """
        if fold(id_tag) == fold(self.id_tag):
            return True
        return bool(parent_id_tag) and fold(parent_id_tag) == fold(self.parent_id_tag)

    def keeps(self, connector_id: int) -> bool:
        """Whether a transaction on this connector may be its own."""
        return self.connector_id in (0, connector_id)
