"""Transactions and meter values."""

from datetime import datetime, timedelta

from django.db import models

from csms.models.charge_points import ChargePoint


class TransactionState(models.TextChoices):
    OPEN = "open", "Charging"
    STOPPED = "stopped", "Stopped"
    ENDED_WITHOUT_STOP = "ended", "Ended without stop"


class Transaction(models.Model):
    """One transaction, from StartTransaction to StopTransaction (OCPP 1.6 §4.8, §4.10)."""

    transaction_id = models.PositiveIntegerField(
        "transactionId", unique=True, help_text="Random, positive, unique over the whole system."
    )
    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.PROTECT, related_name="transactions"
    )
    connector_id = models.PositiveIntegerField("connectorId")
    state = models.CharField(max_length=8, choices=TransactionState, default=TransactionState.OPEN)

    id_tag = models.CharField("idTag", max_length=255, blank=True)
    id_tag_key = models.CharField(max_length=255, blank=True, editable=False)
    authorization = models.CharField(
        max_length=16,
        blank=True,
        help_text="The AuthorizationStatus with which the start was answered.",
    )
    reservation_id = models.BigIntegerField("reservationId", null=True, blank=True)
    start_timestamp = models.CharField(
        max_length=64, editable=False, help_text="As sent: part of the natural key."
    )
    occurrence = models.PositiveIntegerField(default=0, editable=False)
    started_at = models.DateTimeField(
        help_text="The charge point's time where plausible, else ours."
    )
    start_received_at = models.DateTimeField()
    meter_start = models.BigIntegerField("meterStart", help_text="Wh")

    stopped_at = models.DateTimeField(null=True, blank=True)
    stop_received_at = models.DateTimeField(null=True, blank=True)
    meter_stop = models.BigIntegerField("meterStop", null=True, blank=True, help_text="Wh")
    stop_reason = models.CharField("reason", max_length=50, blank=True)
    stop_id_tag = models.CharField(max_length=255, blank=True)

    last_meter = models.FloatField(
        null=True, blank=True, help_text="Wh: the latest Energy.Active.Import.Register seen."
    )
    last_meter_at = models.DateTimeField(null=True, blank=True)
    energy = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Wh; empty while running or when the meters do not allow it.",
    )
    billable = models.BooleanField(
        default=True, help_text="Off when meters or clock make the figures doubtful."
    )
    flags = models.JSONField(default=list, blank=True, help_text="What is doubtful, in words.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "charge_point",
                    "connector_id",
                    "id_tag_key",
                    "start_timestamp",
                    "meter_start",
                    "occurrence",
                ],
                name="transaction_natural_key",
            ),
            models.UniqueConstraint(
                fields=["charge_point", "connector_id"],
                condition=models.Q(state="open"),
                name="one_open_transaction_a_connector",
            ),
        ]
        indexes = [
            models.Index(fields=["charge_point", "-id"], name="transaction_charge_point"),
            models.Index(fields=["id_tag_key", "-id"], name="transaction_id_tag"),
            models.Index(
                fields=["id_tag_key"],
                name="transaction_open_id_tag",
                condition=models.Q(state=TransactionState.OPEN),
            ),
            models.Index(fields=["state", "-id"], name="transaction_state"),
            models.Index(fields=["started_at"], name="transaction_started"),
            models.Index(fields=["state", "started_at"], name="transaction_state_started"),
            models.Index(
                fields=["-id"], name="transaction_doubtful", condition=models.Q(billable=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.transaction_id)

    @property
    def is_open(self) -> bool:
        return self.state == TransactionState.OPEN

    @property
    def energy_so_far(self) -> float | None:
        """Wh: the final energy, else what the latest register says."""
        if self.energy is not None:
            return self.energy
        if self.last_meter is None or self.last_meter < self.meter_start:
            return None
        return self.last_meter - self.meter_start

    def duration(self, now: datetime) -> timedelta:
        """From start to stop, or to `now` while running."""
        return max((self.stopped_at or now) - self.started_at, timedelta())


class MeterValue(models.Model):
    """The samples of one connector at one time (OCPP 1.6 §7.33).

    On PostgreSQL the table is partitioned by month. Nothing refers to it, and it refers to nothing
    that the database would check: rows are only appended, in bulk.
    """

    bucket_at = models.DateTimeField(
        editable=False, help_text="The charge point's time when plausible, else when received."
    )
    charge_point = models.ForeignKey(
        ChargePoint,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        db_index=False,
    )
    connector_id = models.PositiveIntegerField("connectorId")
    transaction = models.ForeignKey(
        Transaction,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        related_name="meter_values",
        db_index=False,
    )
    timestamp = models.CharField(max_length=64, help_text="As sent.")
    received_at = models.DateTimeField()
    digest = models.BigIntegerField(
        editable=False, help_text="Of the samples: a retry is the same row."
    )
    samples = models.JSONField(help_text="The sampled values as sent.")
    energy = models.FloatField(null=True, help_text="Wh: Energy.Active.Import.Register")
    power = models.FloatField(null=True, help_text="W: Power.Active.Import")
    soc = models.FloatField("SoC", null=True, help_text="%")
    flags = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # Its order serves the question for a charge point's last hours too: each further
            # index of the largest table costs a tenth of the time of a message.
            models.UniqueConstraint(
                fields=["charge_point", "bucket_at", "connector_id", "digest", "timestamp"],
                name="meter_value_known_once",
            ),
        ]
        indexes = [
            # Readings for whose timestamp the time of receipt stands in.
            models.Index(
                fields=["charge_point", "connector_id", "digest"],
                name="meter_value_clockless",
                condition=models.Q(bucket_at=models.F("received_at")),
            ),
            models.Index(
                fields=["transaction", "bucket_at"],
                name="meter_value_transaction",
                condition=models.Q(transaction__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.charge_point_id}/{self.connector_id} {self.timestamp}"
