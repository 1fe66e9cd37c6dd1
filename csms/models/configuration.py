"""What charge points told of their configuration keys, and templates of what they should have."""

from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint
from csms.models.commands import Command


class ConfigurationState(models.Model):
    """How far the reading of a charge point's configuration is."""

    charge_point = models.OneToOneField(
        ChargePoint, on_delete=models.CASCADE, related_name="configuration_state"
    )
    read_at = models.DateTimeField(
        null=True, blank=True, help_text="When all of its keys were read for the last time."
    )
    reading = models.JSONField(default=list, help_text="Keys that are still to be asked for.")
    command = models.ForeignKey(
        Command,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The latest question of a reading.",
    )

    class Meta:
        verbose_name = "configuration reading"

    def __str__(self) -> str:
        return f"{self.charge_point}"


class ConfigurationKey(models.Model):
    """A configuration key of a charge point, as it told it, or accepted it. Of a secret there is no
    value, ever."""

    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, related_name="configuration_keys"
    )
    key = models.CharField(max_length=255, help_text="As the charge point writes it.")
    folded = models.CharField(max_length=255, help_text="In one case: case does not count (§7.28).")
    value = models.TextField(blank=True)
    compared = models.TextField(
        blank=True, editable=False, help_text="The value in the form in which values are compared."
    )
    readonly = models.BooleanField(null=True, help_text="Empty: it was never told.")
    known = models.BooleanField(default=True, help_text="No: it says that it has no such key.")
    read_at = models.DateTimeField(null=True, blank=True, help_text="When it was last told.")
    pending = models.TextField(blank=True, help_text="A value that it takes after a reboot.")
    pending_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "configuration key"
        ordering = ["charge_point", "folded"]
        constraints = [
            models.UniqueConstraint(
                fields=["charge_point", "folded"], name="configuration_key_once"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class ConfigurationTemplate(models.Model):
    """Values that configuration keys should have, for the charge points that meet all of its
    conditions. Where several say something of a key, that with a site goes before the others, then
    that with a model, then that with a vendor; of equal ones the latest."""

    name = models.CharField(max_length=100, unique=True)
    vendor = models.CharField(max_length=255, blank=True, help_text="Exactly; empty: any.")
    model = models.CharField(max_length=255, blank=True, help_text="Exactly; empty: any.")
    site = models.CharField(max_length=100, blank=True, help_text="Exactly; empty: any.")
    values = models.JSONField(help_text="[[key, value], …] in the order in which they are sent.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "configuration template"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ChargePointConfiguration(ChargePoint):
    """A charge point, as the pages about its configuration show it."""

    class Meta:
        proxy = True
        ordering = ["identity"]
        verbose_name = "configuration"
        verbose_name_plural = "configuration of charge points"
