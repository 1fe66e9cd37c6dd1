"""Local authorization lists: what each charge point has, and what it is being sent."""

from typing import Any

from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint
from csms.models.commands import Command


class LocalListContent(models.Model):
    """What belongs on a list; charge points with the same idTags share it, and all share what holds
    everywhere. It never changes."""

    digest = models.CharField(max_length=64, unique=True)
    entries = models.JSONField(
        help_text="[[idTag, blocked, expiry or empty, parentIdTag], …] beside those of `common`."
    )
    common = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    size = models.PositiveIntegerField(help_text="With those of `common`.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "local list content"

    def __str__(self) -> str:
        return f"{self.size} idTags"

    def whole(self) -> list[list[Any]]:
        """All entries, the most important first, for lists that are too short: idTags of few
        charge points before those of all, and what may charge before what is blocked."""
        common = self.common.entries if self.common else []
        return sorted([*self.entries, *common], key=lambda entry: bool(entry[1]))


class LocalList(models.Model):
    """The list of one charge point (OCPP 1.6 §3.5.2), and the update that runs or ran last."""

    charge_point = models.OneToOneField(
        ChargePoint, on_delete=models.CASCADE, related_name="local_list"
    )
    version = models.IntegerField(
        "listVersion", null=True, blank=True, help_text="As last told or accepted."
    )
    content = models.ForeignKey(
        LocalListContent,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="What it has; empty: not known.",
    )
    length = models.PositiveIntegerField(
        default=0, help_text="How many entries of the content it has: the first ones."
    )
    updated_at = models.DateTimeField(null=True, blank=True)

    target = models.ForeignKey(
        LocalListContent,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="What the update is to bring; empty: none runs.",
    )
    full = models.BooleanField(default=False, help_text="The update sends the whole list.")
    progress = models.PositiveIntegerField(
        default=0, help_text="Entries of the update that were accepted."
    )
    restarts = models.PositiveSmallIntegerField(default=0)
    command = models.ForeignKey(
        Command,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The latest step of the update.",
    )
    started_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=255, blank=True, help_text="Why the update failed.")
    supported = models.BooleanField(default=True, help_text="No: it says that it has no list.")

    class Meta:
        verbose_name = "local list"

    def __str__(self) -> str:
        return f"{self.charge_point}"


class ChargePointLocalList(ChargePoint):
    """A charge point, as the pages about local authorization lists show it."""

    class Meta:
        proxy = True
        ordering = ["identity"]
        verbose_name = "local list of a charge point"
        verbose_name_plural = "local authorization lists"
