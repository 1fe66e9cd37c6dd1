"""Charging profiles: templates, what is assumed to be installed, and which limits follow."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import name_of, require
from csms.api.charge_points import charge_point_of, known
from csms.api.commands import LONGEST_LIFE, CommandOut
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment
from csms.models import ChargingProfileTemplate
from csms.models.commands import permission_of
from csms.ocpp.types import ChargingProfile, ChargingRateUnitType
from csms.services.commands import EXPIRES_IN
from csms.services.composite import LONGEST
from csms.services.profile_templates import (
    CONNECTORS,
    TemplateInvalid,
    profile_checked,
    template_add,
    template_change,
    template_send,
    wire_of,
)
from csms.services.smart_charging import composite_of, profiles_assumed

router = Router(tags=["Charging profiles"])

Purpose = Literal["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"]
Unit = Literal["A", "W"]


ProfilePart = Annotated[
    dict[str, Any],
    Field(
        description="As OCPP 1.6 §7.8 has it, without transactionId. Without chargingProfileId "
        "one is made when it is sent."
    ),
]
"""The document describes it by the declaration: csms/api/openapi.py."""


class TemplateOut(Schema):
    id: int
    name: str
    profile: ProfilePart
    created_at: Moment

    @staticmethod
    def resolve_profile(obj: ChargingProfileTemplate) -> dict[str, Any]:
        """With decimals as numbers, as in a message."""
        plain = wire_of(obj)
        shown = _as_numbers(profile_checked(plain))
        if "chargingProfileId" not in plain:
            del shown["chargingProfileId"]
        return shown


class TemplateIn(Schema):
    """A new template."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    profile: ProfilePart


class TemplateChange(Schema):
    """What is left out stays as it is; a profile is replaced as a whole."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=100)
    profile: ProfilePart | None = None


class TemplateFilter(Listing):
    purpose: Purpose | None = None
    prefix: str | None = Field(None, description="Beginning of the name.")


class TemplateApply(Schema):
    """Where a template is sent."""

    model_config = ConfigDict(extra="forbid")

    charge_point: str = Field(description="Identity.")
    connector_id: int = Field(
        ge=0,
        lt=CONNECTORS,
        description="0 for ChargePointMaxProfile; for TxDefaultProfile: all connectors.",
    )
    expires_in: int = Field(
        EXPIRES_IN, ge=1, le=LONGEST_LIFE, description="Seconds to wait for the charge point."
    )


class InstalledOut(Schema):
    connector_id: int
    charging_profile_id: int
    purpose: str
    stack_level: int
    profile: dict[str, Any] = Field(description="The charging profile as sent.")
    transaction_id: int | None = Field(
        alias="transaction.transaction_id",
        default=None,
        description="The transaction with which a TxProfile ends.",
    )
    installed_at: Moment


class PeriodOut(Schema):
    start_period: int = Field(description="Seconds from the start.")
    limit: float | None = Field(
        description="A for each phase or W in total, one decimal; null: no profile limits it."
    )
    number_phases: int


class CompositeOut(Schema):
    charge_point: str
    connector_id: int
    start: Moment
    duration: int = Field(description="Seconds.")
    unit: Unit
    periods: list[PeriodOut] = Field(description="Each holds until the next one starts.")


class CompositeFilter(Schema):
    duration: int = Field(86_400, ge=1, le=LONGEST, description="Seconds.")
    unit: Unit = "A"
    start: Moment | None = Field(None, description="Without it: now.")


def _as_numbers(profile: ChargingProfile) -> dict[str, Any]:
    encoded = msgspec.json.Encoder(decimal_format="number").encode(profile)
    plain: dict[str, Any] = msgspec.json.decode(encoded)
    return plain


def template_of(pk: int) -> ChargingProfileTemplate:
    """The template of a path, or 404."""
    return found_or_404(
        lambda: ChargingProfileTemplate.objects.get(pk=pk),
        f"There is no charging profile template {pk}.",
        ChargingProfileTemplate,
    )


def _refused(invalid: TemplateInvalid) -> Refusal:
    problem = invalid.problems[0]
    field = "name" if problem.path == "name" else f"profile.{problem.path}".rstrip(".")
    return Refusal(422, problem.text, field)


@router.get(
    "/charging-profile-templates",
    response=Page[TemplateOut],
    summary="List charging profile templates",
)
def charging_profile_template_list(request: HttpRequest, filters: Query[TemplateFilter]) -> Any:
    require(request, "view_chargingprofiletemplate")
    rows = ChargingProfileTemplate.objects.all()
    if filters.purpose is not None:
        rows = rows.filter(purpose=filters.purpose)
    if filters.prefix is not None:
        rows = rows.filter(name__startswith=filters.prefix)
    return page_of(request, rows, filters)


@router.post(
    "/charging-profile-templates",
    response={201: TemplateOut},
    openapi_extra=DOCUMENTED,
    summary="Make a charging profile template",
)
@idempotent
def charging_profile_template_create(request: HttpRequest, body: TemplateIn) -> Status[Schema]:
    require(request, "add_chargingprofiletemplate")
    try:
        row = template_add(name=body.name, profile=body.profile)
    except TemplateInvalid as invalid:
        raise _refused(invalid) from None
    return Status(201, TemplateOut.from_orm(row))


@router.get(
    "/charging-profile-templates/{int:template_id}", response=TemplateOut, summary="One template"
)
def charging_profile_template_detail(request: HttpRequest, template_id: int) -> Any:
    require(request, "view_chargingprofiletemplate")
    return template_of(template_id)


@router.patch(
    "/charging-profile-templates/{int:template_id}", response=TemplateOut, summary="Change one"
)
def charging_profile_template_change(
    request: HttpRequest, template_id: int, body: TemplateChange
) -> Any:
    require(request, "change_chargingprofiletemplate")
    row = template_of(template_id)
    try:
        return template_change(template=row, name=body.name, profile=body.profile)
    except TemplateInvalid as invalid:
        raise _refused(invalid) from None


@router.delete(
    "/charging-profile-templates/{int:template_id}",
    response={204: None},
    summary="Delete one; charge points keep what was sent to them",
)
def charging_profile_template_delete(request: HttpRequest, template_id: int) -> Any:
    require(request, "delete_chargingprofiletemplate")
    template_of(template_id).delete()
    return Status(204, None)


@router.post(
    "/charging-profile-templates/{int:template_id}/apply",
    response={202: CommandOut},
    openapi_extra=DOCUMENTED,
    summary="Send a template to a charge point",
    description="With SetChargingProfile. A TxProfile goes with the transactionId of the "
    "transaction that runs on the connector.",
)
@idempotent
def charging_profile_template_apply(
    request: HttpRequest, template_id: int, body: TemplateApply
) -> Status[Schema]:
    require(request, permission_of("SetChargingProfile"))
    row = template_of(template_id)
    sent = template_send(
        template=row,
        charge_points=known([body.charge_point], "charge_point"),
        connector_id=body.connector_id,
        by=name_of(request),
        expires_in=body.expires_in,
    )
    commands = sent.commands if sent.batch is None else list(sent.batch.commands.all())
    if not commands:
        raise Refusal(409, sent.refused[0][1])
    return Status(202, CommandOut.from_orm(commands[0]))


@router.get(
    "/charge-points/{identity}/charging-profiles",
    response=list[InstalledOut],
    summary="The charging profiles that a charge point is assumed to have",
    description="By what it accepted, replaced and cleared: OCPP 1.6 cannot read them back.",
)
def charging_profile_installed_list(request: HttpRequest, identity: str) -> Any:
    require(request, "view_installedprofile")
    rows = profiles_assumed().filter(charge_point=charge_point_of(identity))
    return rows.select_related("transaction")


@router.get(
    "/charge-points/{identity}/connectors/{int:connector_id}/composite-schedule",
    response=CompositeOut,
    summary="Which limits should hold, by what is assumed to be installed",
    description="Our own calculation; what a charge point reports is the answer to the command "
    "GetCompositeSchedule. Connector 0 is the whole charge point.",
)
def charging_profile_composite(
    request: HttpRequest, identity: str, connector_id: int, filters: Query[CompositeFilter]
) -> Any:
    require(request, "view_installedprofile")
    start: datetime = filters.start or timezone.now()
    schedule = composite_of(
        charge_point=charge_point_of(identity),
        connector_id=connector_id,
        start=start,
        duration=filters.duration,
        unit=ChargingRateUnitType(filters.unit),
    )
    return {
        "charge_point": identity,
        "connector_id": connector_id,
        "start": schedule.start,
        "duration": schedule.duration,
        "unit": schedule.unit.value,
        "periods": [period._asdict() for period in schedule.periods],
    }
