"""The configuration of charge points: standard keys, what was told, templates, drift and repair."""

from typing import Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import name_of, require
from csms.api.batches import BatchOut, RefusedOut, batch_out
from csms.api.charge_points import charge_point_of
from csms.api.chosen import Chosen
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment
from csms.models import ChargePoint, ConfigurationKey, ConfigurationState, ConfigurationTemplate
from csms.models.commands import permission_of
from csms.ocpp.configuration_keys import STANDARD
from csms.services.configuration import (
    configuration_of,
    configuration_read,
    pending_now,
    reading_problem,
)
from csms.services.configuration_templates import (
    MOST_VALUES,
    Drift,
    TemplateInvalid,
    Templates,
    drift_repair,
    drifts_of,
    template_add,
    template_change,
)
from csms.services.secrets import is_secret

router = Router(tags=["Configuration"])

WhyDrift = Literal["differs", "read-only", "no such key", "reboot required", "not read"]


class StandardKeyOut(Schema):
    key: str
    profile: str
    type: Literal["boolean", "integer", "list", "text"]
    unit: str
    access: Literal["R", "RW", "W"]
    meaning: str


class KeyOut(Schema):
    key: str
    value: str | None = Field(description="null: a secret, or a key that it does not have.")
    readonly: bool | None = Field(description="null: it was never told.")
    known: bool = Field(description="False: it says that it has no such key.")
    after_reboot: str | None = Field(description="A value that it takes after a reboot.")
    read_at: Moment | None = Field(description="When it was last told.")


class DriftOut(Schema):
    key: str
    desired: str
    actual: str | None = Field(description="null: not known.")
    why: WhyDrift
    repairable: bool
    template: str


class ConfigurationOut(Schema):
    charge_point: str
    read_at: Moment | None = Field(description="When it was last read as a whole.")
    problem: str = Field(description="Why the latest reading ended early.")
    keys: list[KeyOut]
    drift: list[DriftOut]


class DriftOfOne(Schema):
    charge_point: str
    drift: list[DriftOut]


class ValueOut(Schema):
    model_config = ConfigDict(extra="forbid")

    key: str = Field(max_length=50)
    value: str = Field(max_length=500)


class ConfigurationTemplateOut(Schema):
    id: int
    name: str
    vendor: str
    model: str
    site: str
    values: list[ValueOut] = Field(description="In the order in which they are sent.")
    created_at: Moment

    @staticmethod
    def resolve_values(obj: ConfigurationTemplate) -> list[dict[str, str]]:
        return [{"key": key, "value": value} for key, value in obj.values]


class ConfigurationTemplateChange(Schema):
    """What is left out stays as it is; values are replaced as a whole."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=100)
    vendor: str = Field("", max_length=255, description="Exactly; empty: any.")
    model: str = Field("", max_length=255, description="Exactly; empty: any.")
    site: str = Field("", max_length=100, description="Exactly; empty: any.")
    values: list[ValueOut] | None = Field(None, min_length=1, max_length=MOST_VALUES)

    def columns(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True, exclude_none=True)
        if "values" in given:
            given["values"] = [(pair["key"], pair["value"]) for pair in given["values"]]
        return given


class ConfigurationTemplateIn(ConfigurationTemplateChange):
    """A new template; it holds for the charge points that meet all conditions."""

    name: str = Field(min_length=1, max_length=100)
    values: list[ValueOut] = Field(min_length=1, max_length=MOST_VALUES)


class SentOut(Schema):
    batches: list[BatchOut] = Field(description="One for each different request, in their order.")
    left: list[RefusedOut] = Field(description="What nothing is sent for, and why.")


def template_of(pk: int) -> ConfigurationTemplate:
    """The template of a path, or 404."""
    return found_or_404(
        lambda: ConfigurationTemplate.objects.get(pk=pk),
        f"There is no configuration template {pk}.",
        ConfigurationTemplate,
    )


def _refused(invalid: TemplateInvalid) -> Refusal:
    place = "" if invalid.place is None else f"[{invalid.place}]"
    return Refusal(422, str(invalid), f"{invalid.field}{place}")


def _drift_out(drift: Drift) -> DriftOut:
    return DriftOut(
        key=drift.wish.key,
        desired=drift.wish.value,
        actual=drift.actual,
        why=drift.why.value,
        repairable=drift.repairable,
        template=drift.wish.template,
    )


def _key_out(key: ConfigurationKey, row: ChargePoint) -> KeyOut:
    hidden = is_secret(key.key) or not key.known
    return KeyOut(
        key=key.key,
        value=None if hidden else key.value,
        readonly=key.readonly,
        known=key.known,
        after_reboot=key.pending if pending_now(key, row.booted_at) and not hidden else None,
        read_at=key.read_at,
    )


@router.get(
    "/configuration-keys",
    response=Page[StandardKeyOut],
    summary="The standard configuration keys, all on one page",
)
def configuration_key_list(request: HttpRequest) -> Any:
    require(request, "view_configurationkey")
    items = [
        StandardKeyOut(
            key=key.name,
            profile=key.profile.value,
            type=key.kind.value,
            unit=key.unit,
            access=key.access.value,
            meaning=key.meaning,
        )
        for key in STANDARD.values()
    ]
    return {"items": items, "next": None}


@router.get(
    "/charge-points/{identity}/configuration",
    response=ConfigurationOut,
    summary="What a charge point told of its configuration, and its drift",
)
def configuration_detail(request: HttpRequest, identity: str) -> Any:
    require(request, "view_configurationkey")
    row = charge_point_of(identity)
    state = ConfigurationState.objects.filter(charge_point=row).select_related("command").first()
    return ConfigurationOut(
        charge_point=row.identity,
        read_at=state.read_at if state else None,
        problem=reading_problem(state),
        keys=[_key_out(key, row) for key in configuration_of(row)],
        drift=[_drift_out(drift) for drift in drifts_of([row])[row.pk]],
    )


@router.get(
    "/configuration-drift",
    response=Page[DriftOfOne],
    summary="The charge points that have other values than their templates",
)
def configuration_drift_list(request: HttpRequest, filters: Query[Listing]) -> Any:
    require(request, "view_configurationkey")
    templates = Templates()
    rows: QuerySet[ChargePoint] = ChargePoint.objects.filter(templates.drifting())
    page = page_of(request, rows, filters)
    found = drifts_of(page["items"], templates)
    page["items"] = [
        DriftOfOne(charge_point=row.identity, drift=[_drift_out(d) for d in found[row.pk]])
        for row in page["items"]
    ]
    return page


@router.post(
    "/configuration/read",
    response={202: SentOut},
    openapi_extra=DOCUMENTED,
    summary="Read the configuration of charge points",
)
@idempotent
def configuration_read_create(request: HttpRequest, body: Chosen) -> Status[Schema]:
    require(request, permission_of("GetConfiguration"))
    batches = configuration_read(
        charge_points=body.rows(), by=name_of(request), expires_in=body.expires_in
    )
    left = [RefusedOut(identity=who, message=why) for b in batches for who, why in b.refused]
    return Status(202, SentOut(batches=[batch_out(batch) for batch in batches], left=left))


@router.post(
    "/configuration/repair",
    response={202: SentOut},
    openapi_extra=DOCUMENTED,
    summary="Send ChangeConfiguration for each key that drifts",
    description="In the order of the templates. What cannot be repaired is in `left`.",
)
@idempotent
def configuration_repair(request: HttpRequest, body: Chosen) -> Status[Schema]:
    require(request, permission_of("ChangeConfiguration"))
    done = drift_repair(charge_points=body.rows(), by=name_of(request), expires_in=body.expires_in)
    left = [RefusedOut(identity=who, message=why) for who, why in done.left]
    return Status(202, SentOut(batches=[batch_out(batch) for batch in done.batches], left=left))


@router.get(
    "/configuration-templates",
    response=Page[ConfigurationTemplateOut],
    summary="List configuration templates",
)
def configuration_template_list(request: HttpRequest, filters: Query[Listing]) -> Any:
    require(request, "view_configurationtemplate")
    return page_of(request, ConfigurationTemplate.objects.all(), filters)


@router.post(
    "/configuration-templates",
    response={201: ConfigurationTemplateOut},
    openapi_extra=DOCUMENTED,
    summary="Make a configuration template",
)
@idempotent
def configuration_template_create(
    request: HttpRequest, body: ConfigurationTemplateIn
) -> Status[Schema]:
    require(request, "add_configurationtemplate")
    try:
        row = template_add(**body.columns())
    except TemplateInvalid as invalid:
        raise _refused(invalid) from None
    return Status(201, ConfigurationTemplateOut.from_orm(row))


@router.get(
    "/configuration-templates/{int:template_id}",
    response=ConfigurationTemplateOut,
    summary="One configuration template",
)
def configuration_template_detail(request: HttpRequest, template_id: int) -> Any:
    require(request, "view_configurationtemplate")
    return template_of(template_id)


@router.patch(
    "/configuration-templates/{int:template_id}",
    response=ConfigurationTemplateOut,
    summary="Change a configuration template",
)
def configuration_template_update(
    request: HttpRequest, template_id: int, body: ConfigurationTemplateChange
) -> Any:
    require(request, "change_configurationtemplate")
    row = template_of(template_id)
    try:
        return template_change(template=row, **body.columns())
    except TemplateInvalid as invalid:
        raise _refused(invalid) from None


@router.delete(
    "/configuration-templates/{int:template_id}",
    response={204: None},
    summary="Delete a configuration template; charge points keep their values",
)
def configuration_template_delete(request: HttpRequest, template_id: int) -> Any:
    require(request, "delete_configurationtemplate")
    template_of(template_id).delete()
    return Status(204, None)
