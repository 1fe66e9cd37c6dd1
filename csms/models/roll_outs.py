"""Roll-outs: one firmware image to many charge points, wave after wave."""

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint
from csms.models.commands import Command
from csms.models.firmware import FirmwareImage


class RollOutState(models.TextChoices):
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    STOPPED = "stopped", "Stopped: too many failures"
    FINISHED = "finished", "Finished"
    CANCELLED = "cancelled", "Cancelled"


class Scheme(models.TextChoices):
    """By which protocol files travel (SupportedFileTransferProtocols)."""

    AUTOMATIC = "", "Automatic: the best that both know"
    HTTPS = "https", "HTTPS"
    FTPS = "ftps", "FTPS (explicit)"
    HTTP = "http", "HTTP"
    FTP = "ftp", "FTP"


class Method(models.TextChoices):
    """By which operation firmware is announced."""

    AUTOMATIC = "", "Automatic: signed where image and charge point allow it"
    PLAIN = "plain", "UpdateFirmware"
    SIGNED = "signed", "SignedUpdateFirmware"


class RollOut(models.Model):
    """What is to be installed, how fast, and when to stop. The clock advances it."""

    image = models.ForeignKey(FirmwareImage, on_delete=models.PROTECT, related_name="roll_outs")
    state = models.CharField(
        max_length=9, choices=RollOutState, default=RollOutState.RUNNING, db_index=True
    )
    reason = models.CharField(max_length=255, blank=True)
    scheme = models.CharField("protocol", max_length=5, choices=Scheme, blank=True)
    method = models.CharField(max_length=6, choices=Method, blank=True)
    first_wave = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="Charge points of the first wave."
    )
    wave_size = models.PositiveIntegerField(
        default=50,
        validators=[MinValueValidator(1)],
        help_text="Charge points of each further wave.",
    )
    max_failures = models.PositiveIntegerField(
        default=0, help_text="It stops when more charge points than this have failed."
    )
    patience = models.PositiveIntegerField(
        default=60,
        help_text="Minutes for which a wave waits for charge points that are offline; their "
        "commands go on waiting, the next wave begins.",
    )
    rest = models.PositiveIntegerField(default=0, help_text="Minutes between two waves.")
    expires_hours = models.PositiveIntegerField(
        default=24,
        validators=[MinValueValidator(1)],
        help_text="Hours after which a charge point that could not be reached has failed.",
    )
    not_before = models.DateTimeField(
        null=True,
        blank=True,
        help_text="retrieveDate: charge points fetch it then at the earliest (UTC).",
    )
    retries = models.PositiveSmallIntegerField(default=3)
    retry_interval = models.PositiveIntegerField(
        "retryInterval", default=300, help_text="Seconds between two attempts to fetch it."
    )
    wave = models.PositiveIntegerField(default=1, editable=False)
    wave_at = models.DateTimeField(default=timezone.now, editable=False)
    next_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the next wave begins."
    )
    forgiven = models.PositiveIntegerField(
        default=0, editable=False, help_text="Failures before it was last resumed."
    )
    created_by = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "roll-out"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.image} #{self.pk}"


class ItemState(models.TextChoices):
    WAITING = "waiting", "Waiting for its wave"
    OPEN = "open", "Under way"
    DONE = "done", "Installed"
    FAILED = "failed", "Failed"
    LEFT_OUT = "left out", "Left out"


class RollOutItem(models.Model):
    """One charge point of a roll-out."""

    roll_out = models.ForeignKey(RollOut, on_delete=models.CASCADE, related_name="items")
    charge_point = models.ForeignKey(
        ChargePoint, on_delete=models.CASCADE, related_name="roll_out_items"
    )
    wave = models.PositiveIntegerField(default=0, help_text="0: none, it was left out.")
    state = models.CharField(max_length=8, choices=ItemState, default=ItemState.WAITING)
    reason = models.CharField(max_length=255, blank=True)
    command = models.ForeignKey(
        Command, on_delete=models.SET_NULL, null=True, blank=True, related_name="roll_out_items"
    )
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "charge point of a roll-out"
        verbose_name_plural = "charge points of roll-outs"
        ordering = ["roll_out", "wave", "id"]
        constraints = [
            models.UniqueConstraint(fields=["roll_out", "charge_point"], name="once_in_a_roll_out"),
            models.UniqueConstraint(
                fields=["charge_point"],
                condition=models.Q(state__in=["waiting", "open"]),
                name="one_roll_out_at_a_time",
            ),
        ]
        indexes = [models.Index(fields=["roll_out", "state", "wave"], name="roll_out_state")]

    def __str__(self) -> str:
        return f"{self.charge_point}: {self.state}"
