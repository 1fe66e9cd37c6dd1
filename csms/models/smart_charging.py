"""Charging profiles that charge points accepted. OCPP 1.6 cannot read them back: assumed."""

from django.db import models

from csms.models.charge_points import ChargePoint


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
