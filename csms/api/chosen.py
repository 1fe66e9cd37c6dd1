"""Whom something is done about, in the bodies of requests that concern many charge points."""

from django.db.models import QuerySet
from ninja import Schema
from pydantic import ConfigDict, Field, model_validator

from csms.api.batches import MOST, BulkFilter
from csms.api.charge_points import known
from csms.api.commands import LONGEST_LIFE
from csms.api.errors import Refusal
from csms.models import ChargePoint
from csms.services.commands import EXPIRES_IN


class Chosen(Schema):
    """Which charge points: `identities`, `filter`, or `"all": true`."""

    model_config = ConfigDict(extra="forbid")

    identities: list[str] | None = Field(None, min_length=1, max_length=MOST)
    filter: BulkFilter | None = None
    all: bool = False
    expires_in: int = Field(
        EXPIRES_IN,
        ge=1,
        le=LONGEST_LIFE,
        description="Seconds for which commands wait for the charge point; of several steps the "
        "first.",
    )

    @model_validator(mode="after")
    def one_choice(self) -> "Chosen":
        if [self.identities is not None, self.filter is not None, self.all].count(True) != 1:
            raise ValueError("give one of identities, filter and all")
        return self

    def rows(self) -> list[ChargePoint]:
        """The charge points, or 422. A filter without conditions is none: whoever means all of
        them says so."""
        rows: QuerySet[ChargePoint] = ChargePoint.objects.order_by("pk")
        if self.all:
            return list(rows)
        if self.filter is None:
            return known(list(dict.fromkeys(self.identities or ())), "identities")
        conditions = self.filter.conditions()
        if not conditions:
            raise Refusal(422, "Give at least one condition.", "filter")
        return list(rows.filter(**conditions))
