"""Charge points and their connectors."""

import json
from typing import Annotated, Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import require
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment, checked, encode
from csms.conf import settings
from csms.models import ChargePoint, Connector
from csms.services import callbacks, charge_points
from csms.services.online import online_condition

router = Router(tags=["Charge points"])

Transport = Literal["json", "soap"]
Profile = Literal[0, 1, 2, 3]
SoapProof = Literal["basic", "path"]
Registration = Literal["Accepted", "Pending", "Rejected"]
Password = Annotated[str, Field(max_length=255, json_schema_extra={"writeOnly": True})]
Interval = Annotated[int, Field(ge=1, le=2_147_483_647, description="Seconds; null: the setting.")]


class ChargePointOut(Schema):
    identity: str
    name: str
    site: str
    transport: Transport
    version: str = Field(description="OCPP version.")
    registration: Registration
    online: bool = Field(
        description="json: its socket is open. soap: it spoke within 2.5 heartbeat intervals."
    )
    strictness: Literal["tolerant", "strict"]
    time_zone: str
    heartbeat_interval: int | None = Field(description="Seconds; null: the setting.")
    boot_retry_interval: int | None = Field(description="Seconds; null: the setting.")
    configuration_by_name: bool = Field(
        description="Its configuration is read key by key: it cannot tell all keys at once."
    )
    has_password: bool
    security_profile: Profile = Field(
        description="0: no proof, from trusted networks only; 1: password; 2: password over TLS; "
        "3: client certificate."
    )
    pending_security_profile: Profile | None = Field(
        description="A higher one that it accepted, until its first login with it."
    )
    soap_proof: SoapProof
    certificate_name: str
    vendor: str
    model: str
    serial_number: str
    box_serial_number: str
    firmware_version: str
    iccid: str
    imsi: str
    meter_type: str
    meter_serial_number: str
    firmware_status: str
    diagnostics_status: str
    booted_at: Moment | None
    last_seen: Moment | None
    remote_address: str
    callback_url: str = Field(description="Where a SOAP charge point is called.")
    callback_proposed: str = Field(description="A new address that waits for approval.")
    callback_pinned: bool
    callback_error: str
    created_at: Moment

    @staticmethod
    def resolve_online(obj: ChargePoint) -> bool:
        return obj.is_online(now=timezone.now(), heartbeat_interval=settings().heartbeat_interval)

    @staticmethod
    def resolve_has_password(obj: ChargePoint) -> bool:
        return bool(obj.password)


class ChargePointMade(ChargePointOut):
    key: str | None = Field(
        None,
        description="The key that was made since no password was given (profiles 1 and 2): 40 "
        "hexadecimal digits. It is told this once; a repeat of the request does not tell it.",
    )


class ChargePointChange(Schema):
    """What people say of a charge point; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=255)
    site: str = Field("", max_length=100)
    transport: Transport = "json"
    registration: Registration = "Accepted"
    strictness: Literal["tolerant", "strict"] = "tolerant"
    time_zone: str = Field("UTC", max_length=64, description="Such as Europe/Vienna.")
    heartbeat_interval: Interval | None = None
    boot_retry_interval: Interval | None = None
    configuration_by_name: bool = False
    callback_url: str = Field("", max_length=500)
    callback_pinned: bool = Field(False, description="Keep callback_url whatever it says.")
    password: Password | None = Field(
        None,
        description="For profiles 1 and 2. Null removes it; of a new charge point: a key is made.",
    )
    security_profile: Profile = Field(1, description="The only one with which it may connect.")
    soap_proof: SoapProof = Field(
        "basic", description="Whether the password comes with HTTP Basic or ends the URL's path."
    )
    certificate_name: str = Field(
        "", max_length=255, description="Profile 3: the CN of its certificate; empty: identity."
    )

    def columns(self) -> dict[str, Any]:
        """What was given, checked; without the password."""
        given = self.model_dump(exclude_unset=True, exclude={"password"})
        try:
            if "time_zone" in given:
                charge_points.time_zone_check(given["time_zone"])
        except charge_points.ChargePointInvalid as error:
            raise Refusal(422, str(error), "time_zone") from None
        try:
            if given.get("callback_url"):
                callbacks.parse(given["callback_url"])
        except callbacks.CallbackRefused as error:
            raise Refusal(422, str(error), "callback_url") from None
        return given


class ChargePointIn(ChargePointChange):
    """A new charge point; all but the identity has a default."""

    identity: str = Field(min_length=1, max_length=255)


class ChargePointFilter(Listing):
    identity: str | None = None
    site: str | None = None
    vendor: str | None = None
    firmware: str | None = Field(None, description="Firmware version.")
    transport: Transport | None = None
    registration: Registration | None = None
    online: bool | None = None


class CallbackDecision(Schema):
    model_config = ConfigDict(extra="forbid")

    approve: bool = Field(description="False: the proposed address is forgotten.")


class ConnectorOut(Schema):
    charge_point: str = Field(alias="charge_point.identity")
    connector_id: int
    status: str
    error_code: str
    info: str
    vendor_id: str
    vendor_error_code: str
    reported_at: Moment | None = Field(description="The charge point's own time.")
    received_at: Moment | None


class ConnectorFilter(Listing):
    charge_point: str | None = Field(None, description="Identity.")
    status: str | None = Field(None, description="As Available, Charging, Faulted.")


def charge_point_of(identity: str) -> ChargePoint:
    """The charge point of a path, or 404."""
    checked(identity)
    return found_or_404(
        lambda: ChargePoint.objects.get(identity=identity),
        f"There is no charge point {identity}.",
        ChargePoint,
    )


def charge_point_pk(identity: str) -> int:
    """The charge point that a filter names, or 422."""
    pk = ChargePoint.objects.filter(identity=identity).values_list("pk", flat=True).first()
    if pk is None:
        raise Refusal(422, f"There is no charge point {identity}.", "charge_point")
    return pk


def known(identities: list[str], field: str) -> "list[ChargePoint]":
    """The charge points of these identities, or 422 naming one that does not exist."""
    rows = list(ChargePoint.objects.filter(identity__in=identities))
    missing = sorted(set(identities) - {row.identity for row in rows})
    if missing:
        raise Refusal(422, f"There is no charge point {missing[0]}.", field)
    return rows


@router.get("/charge-points", response=Page[ChargePointOut], summary="List charge points")
def charge_point_list(request: HttpRequest, filters: Query[ChargePointFilter]) -> Any:
    require(request, "view_chargepoint")
    given = filters.given()
    online = given.pop("online", None)
    if "firmware" in given:
        given["firmware_version"] = given.pop("firmware")
    rows: QuerySet[ChargePoint] = ChargePoint.objects.filter(**given)
    if online is not None:
        up = ChargePoint.objects.filter(online_condition(timezone.now()))
        rows = rows.filter(pk__in=up) if online else rows.exclude(pk__in=up)
    return page_of(request, rows, filters)


@router.post(
    "/charge-points",
    response={201: ChargePointMade},
    openapi_extra=DOCUMENTED,
    summary="Make a charge point",
)
def charge_point_create(request: HttpRequest, body: ChargePointIn) -> HttpResponse:
    made: list[str] = []  # its key, added behind the answer that is kept for repeats
    answer = _create(request, body=body, made=made)
    if made:
        shown = {**json.loads(answer.content), "key": made[0]}
        answer.content = encode(shown).encode()
    return answer


@idempotent
def _create(request: HttpRequest, body: ChargePointIn, made: list[str]) -> Status[Schema]:
    require(request, "add_chargepoint")
    columns = body.columns()
    problem = charge_points.identity_problem(body.identity)
    if problem:
        raise Refusal(422, problem, "identity")
    key = "" if body.password else charge_points.key_generated(body.security_profile)
    row = charge_points.charge_point_add(password=body.password or key, **columns)
    if key:
        made.append(key)
    return Status(201, ChargePointMade.from_orm(row))


@router.get("/charge-points/{identity}", response=ChargePointOut, summary="One charge point")
def charge_point_detail(request: HttpRequest, identity: str) -> Any:
    require(request, "view_chargepoint")
    return charge_point_of(identity)


@router.patch("/charge-points/{identity}", response=ChargePointOut, summary="Change one")
def charge_point_change(request: HttpRequest, identity: str, body: ChargePointChange) -> Any:
    require(request, "change_chargepoint")
    row = charge_point_of(identity)
    charge_points.charge_point_change(charge_point=row, **body.columns())
    if "password" in body.model_fields_set:
        charge_points.password_set(charge_point=row, password=body.password or "")
    return row


@router.post(
    "/charge-points/{identity}/callback",
    response={200: ChargePointOut},
    openapi_extra=DOCUMENTED,
    summary="Approve or discard the callback address that it proposed",
)
@idempotent
def charge_point_callback(
    request: HttpRequest, identity: str, body: CallbackDecision
) -> Status[Schema]:
    require(request, "change_chargepoint")
    row = charge_point_of(identity)
    if not row.callback_proposed:
        raise Refusal(409, f"{identity} has proposed no callback address.")
    if body.approve:
        try:
            charge_points.callback_approve(charge_point=row)
        except callbacks.CallbackRefused as error:
            raise Refusal(409, str(error)) from None
    else:
        charge_points.callback_reject(charge_point=row)
    return Status(200, ChargePointOut.from_orm(row))


@router.get("/connectors", response=Page[ConnectorOut], summary="List connectors")
def connector_list(request: HttpRequest, filters: Query[ConnectorFilter]) -> Any:
    require(request, "view_connector")
    given = filters.given()
    if "charge_point" in given:
        given["charge_point"] = charge_point_pk(given["charge_point"])
    rows = Connector.objects.filter(**given).select_related("charge_point")
    return page_of(request, rows, filters)
