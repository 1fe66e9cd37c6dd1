"""idTags: who may charge."""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from csms.models.charge_points import ChargePoint


def fold(id_tag: str) -> str:
    """The form under which an idTag is unique and searched.

    OCPP 1.6 §7.28: idTags are case-insensitive. Neither database compares so by default. Blanks
    around it, which some readers print, do not count either.
    """
    return id_tag.strip().casefold()


class IdTag(models.Model):
    """An idTag (OCPP 1.6 §7.28) and what it may do."""

    id_tag = models.CharField(
        "idTag",
        max_length=255,
        help_text="As printed on the card; upper and lower case are the same.",
    )
    key = models.CharField(max_length=255, unique=True, editable=False)
    parent_id_tag = models.CharField(
        "parentIdTag",
        max_length=20,
        blank=True,
        db_index=True,
        help_text="The group: tags with the same parent may stop each other's transactions.",
    )
    name = models.CharField(max_length=255, blank=True, help_text="Whose tag it is; free text.")
    blocked = models.BooleanField(default=False, db_index=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    max_transactions = models.PositiveIntegerField(
        default=1, help_text="Transactions at one time; 0: any number."
    )
    charge_points = models.ManyToManyField(
        ChargePoint,
        blank=True,
        related_name="id_tags",
        help_text="Where the tag may charge; none chosen: everywhere.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "idTag"
        ordering = ["key"]

    def __str__(self) -> str:
        return self.id_tag

    def clean(self) -> None:
        self.key = fold(self.id_tag)
        if not self.key:
            raise ValidationError({"id_tag": "An idTag has at least one character."})
        if IdTag.objects.filter(key=self.key).exclude(pk=self.pk).exists():
            raise ValidationError(
                {"id_tag": "There is such an idTag already; upper and lower case are the same."}
            )
