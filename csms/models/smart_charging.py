"""Charging profiles: templates to send, and what charge points accepted. OCPP 1.6 cannot read
profiles back: what is installed is assumed."""

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint
from csms.models.transactions import Transaction
from csms.ocpp.types import (
    ChargingProfileKindType,
    ChargingProfilePurposeType,
    ChargingRateUnitType,
    RecurrencyKindType,
)

Choices = list[tuple[str, str]]

PURPOSES: Choices = [(purpose.value, purpose.value) for purpose in ChargingProfilePurposeType]
KINDS: Choices = [(kind.value, kind.value) for kind in ChargingProfileKindType]
RECURRENCIES: Choices = [(kind.value, kind.value) for kind in RecurrencyKindType]
UNITS: Choices = [(unit.value, unit.value) for unit in ChargingRateUnitType]


class ChargingProfileTemplate(models.Model):
    """A charging profile to be sent to charge points (OCPP 1.6 §7.8, §7.13), without what belongs
    to one of them: its transactionId is that of the transaction that runs when it is sent."""

    name = models.CharField(max_length=100, unique=True)
    charging_profile_id = models.PositiveIntegerField(
        "chargingProfileId",
        null=True,
        blank=True,
        help_text="Empty: one is made of the template and the connector, so that on no charge "
        "point two are the same.",
    )
    purpose = models.CharField("chargingProfilePurpose", max_length=32, choices=PURPOSES)
    stack_level = models.PositiveIntegerField(
        "stackLevel", default=0, help_text="Of several of one purpose the highest counts."
    )
    kind = models.CharField("chargingProfileKind", max_length=16, choices=KINDS)
    recurrency_kind = models.CharField(
        "recurrencyKind", max_length=8, choices=RECURRENCIES, blank=True
    )
    valid_from = models.DateTimeField("validFrom", null=True, blank=True)
    valid_to = models.DateTimeField("validTo", null=True, blank=True)
    charging_rate_unit = models.CharField("chargingRateUnit", max_length=1, choices=UNITS)
    start_schedule = models.DateTimeField("startSchedule", null=True, blank=True)
    duration = models.PositiveIntegerField("duration", null=True, blank=True, help_text="Seconds.")
    min_charging_rate = models.DecimalField(
        "minChargingRate",
        max_digits=13,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
    )
    periods = models.JSONField(
        "chargingSchedulePeriod",
        help_text="[{startPeriod: seconds, limit: text with at most one decimal, numberPhases}, …]",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "charging profile"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class InstalledProfile(models.Model):
    """A charging profile as last accepted by a charge point (OCPP 1.6 §3.13, §5.16)."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, related_name="installed_profiles"
    )
    connector_id = models.PositiveIntegerField("connectorId")
    charging_profile_id = models.IntegerField("chargingProfileId")
    purpose = models.CharField("chargingProfilePurpose", max_length=32)
    stack_level = models.IntegerField("stackLevel")
    profile = models.JSONField(help_text="The charging profile as sent.")
    transaction = models.ForeignKey(
        Transaction,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="installed_profiles",
        help_text="The transaction with which a TxProfile ends.",
    )
    installed_at = models.DateTimeField()

    class Meta:
        verbose_name = "assumed charging profile"
        ordering = ["charge_point", "connector_id", "purpose", "-stack_level"]
        constraints = [
            models.UniqueConstraint(
                fields=["charge_point", "charging_profile_id"],
                name="profile_id_once_per_charge_point",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.charging_profile_id}"
