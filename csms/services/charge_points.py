"""Charge points: registration, sign of life, connector status, callback addresses."""

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F

from csms.models import ChargePoint, Connector, UnknownChargePoint
from csms.models.charge_points import Registration, Transport
from csms.ocpp.base import Opt, value_or
from csms.ocpp.core import (
    BootNotification,
    BootNotificationResponse,
    Heartbeat,
    HeartbeatResponse,
    StatusNotification,
    StatusNotificationResponse,
)
from csms.ocpp.errors import PropertyConstraintViolation
from csms.ocpp.types import ChargePointErrorCode, RegistrationStatus
from csms.services import bus, callbacks
from csms.services.clocks import EARLIEST_PLAUSIBLE, plausible
from csms.services.dispatch import Context, handles
from csms.services.online import charge_points_disconnect
from csms.services.passwords import key_new, password_encoded
from csms.services.security_profiles import WITH_PASSWORD
from csms.services.world import Needs

SIGN_OF_LIFE_RESOLUTION = timedelta(seconds=10)
"""`last_seen` is written at most this often, so that heartbeats do not fill the disk."""


OF_LOGIN = frozenset({"transport", "security_profile", "certificate_name"})
"""What a login was judged by, besides the password: a change of it ends the connection."""


class ChargePointTaken(ValueError):
    """There is a charge point of this identity already."""


class ChargePointInvalid(ValueError):
    """The charge point cannot be made as described; the message says why."""


def _shown(text: Opt[str]) -> str:
    """An optional text, empty where chargers write that there is nothing ("null", "0x0000")."""
    known = str(value_or(text, "")).strip()
    return "" if known.casefold() == "null" or re.fullmatch(r"0x0*", known) else known


# ---------------------------------------------------------------- what charge points say


def notice(context: Context, *, callback: str, authenticated: bool) -> None:
    """Every message is a sign of life (§4.6), and over SOAP it says where to call back."""
    charge_point = context.charge_point
    seen, failed = charge_point.last_seen, charge_point.callback_failed_at
    if (
        seen is None
        or context.now - seen >= SIGN_OF_LIFE_RESOLUTION
        or (failed is not None and seen <= failed)
    ):
        context.world.set(charge_point, last_seen=context.now)
    if context.remote_address and charge_point.remote_address != context.remote_address:
        context.world.set(charge_point, remote_address=context.remote_address)
    if charge_point.registration == Registration.ACCEPTED and not charge_point.ever_accepted:
        context.world.set(charge_point, ever_accepted=True)
    if callback:
        _learn_callback(context, callback, authenticated)


def _learn_callback(context: Context, callback: str, authenticated: bool) -> None:
    """Take a callback address: the first one, or one that comes with a proof of identity.

    Anybody can write a From header; a change without proof waits for an operator's approval.
    """
    charge_point = context.charge_point
    address = callbacks.complete(callback, context.remote_address)
    if address in ("", charge_point.callback_url):
        return
    if address == charge_point.callback_proposed and not authenticated:
        return
    try:
        callbacks.parse(address, context.settings)
    except callbacks.CallbackRefused as refusal:
        if charge_point.callback_error != str(refusal) and not charge_point.callback_url:
            context.world.set(charge_point, callback_error=str(refusal)[:255])
        return
    if len(address) > 500:
        return
    if charge_point.callback_pinned:
        return
    if not charge_point.callback_url or authenticated:
        context.world.set(
            charge_point,
            callback_url=address,
            callback_proposed="",
            callback_error="",
            callback_failed_at=None,
        )
    else:
        first = not charge_point.callback_proposed
        context.world.set(charge_point, callback_proposed=address)
        if first:  # the rest of a series tells nothing new
            context.security_event("CallbackAddressProposed", address)


@handles(BootNotification)
def boot_notification(request: BootNotification, context: Context) -> BootNotificationResponse:
    """§4.2: the charge point says what it is, and is told whether it may take part."""
    charge_point = context.charge_point
    said = {
        "vendor": request.charge_point_vendor,
        "model": request.charge_point_model,
        "serial_number": request.charge_point_serial_number,
        "box_serial_number": request.charge_box_serial_number,
        "firmware_version": request.firmware_version,
        "iccid": request.iccid,
        "imsi": request.imsi,
        "meter_type": request.meter_type,
        "meter_serial_number": request.meter_serial_number,
    }
    context.world.set(
        charge_point,
        booted_at=context.now,
        **{name: str(value_or(text, ""))[:255] for name, text in said.items()},
    )
    return BootNotificationResponse(
        status=RegistrationStatus(charge_point.registration),
        current_time=context.now,
        interval=boot_interval(charge_point, context),
    )


def boot_interval(charge_point: ChargePoint, context: Context) -> int:
    """§4.2: the heartbeat interval when Accepted, else the wait until the next boot (s)."""
    if charge_point.registration == Registration.ACCEPTED:
        return charge_point.heartbeat_interval or context.settings.heartbeat_interval
    return charge_point.boot_retry_interval or context.settings.boot_retry_interval


@handles(Heartbeat)
def heartbeat(request: Heartbeat, context: Context) -> HeartbeatResponse:
    """§4.6: tells the charge point the time."""
    return HeartbeatResponse(current_time=context.now)


@handles(StatusNotification, needs=lambda request, notes: Needs(connectors=(request.connector_id,)))
def status_notification(
    request: StatusNotification, context: Context
) -> StatusNotificationResponse:
    """§4.9: the order of arrival decides, since clocks of 1970 and 2099 exist (F8)."""
    if not 0 <= request.connector_id <= context.settings.max_connectors:
        raise PropertyConstraintViolation(
            f"connectorId {request.connector_id} is not between 0 and "
            f"{context.settings.max_connectors}",
            path="connectorId",
        )
    connector = context.world.connector(context.charge_point, request.connector_id)
    reported = value_or(request.timestamp)
    if reported is not None and _outdated(connector, reported, context.charge_point.booted_at):
        context.remark("status from before the last boot", "timestamp", reported.isoformat())
        return StatusNotificationResponse()
    context.world.set(
        connector,
        status=request.status.value,
        error_code=context.text_of("errorCode", request.error_code.value)[:50],
        info=_shown(request.info)[:255],
        vendor_id=str(value_or(request.vendor_id, ""))[:255],
        vendor_error_code=_shown(request.vendor_error_code)[:255],
        reported_at=reported,
        received_at=context.now,
    )
    # 7.6: "LocalListConflict", which is of the whole charge point; local_lists.py looks for it.
    conflict = request.error_code is ChargePointErrorCode.LOCAL_LIST_CONFLICT
    if conflict and request.connector_id == 0:
        context.world.set(connector, list_conflict_at=context.now)
    return StatusNotificationResponse()


def _outdated(connector: Connector, reported: datetime, booted_at: datetime | None) -> bool:
    """A status from before the last boot that a newer one of this connector has overtaken."""
    known = connector.received_at
    if known is not None and connector.reported_at is not None:
        known = connector.reported_at if plausible(connector.reported_at, known) else known
    return (
        booted_at is not None
        and known is not None
        and reported >= EARLIEST_PLAUSIBLE
        and reported < booted_at
        and reported < known
    )


# ---------------------------------------------------------------- what people ask for


def identity_problem(identity: str) -> str:
    """Why a text cannot be an identity; empty when it can."""
    if not identity or len(identity) > 255:
        return "An identity has 1 to 255 characters."
    if identity in (".", "..") or any(c in "/\\?" or not c.isprintable() for c in identity):
        return "An identity holds no slash, question mark or control character."
    if identity != identity.strip():
        return "An identity neither begins nor ends with a blank."
    return ""


def charge_point_add(
    *, identity: str, transport: str = Transport.JSON, password: str = "", **columns: Any
) -> ChargePoint:
    """Make a charge point that is Accepted from the start; `columns` as in the model.

    Without a password one of security profile 1 (the default) or 2 cannot connect yet. A callback
    address that is given is pinned, unless said otherwise. Raises ChargePointTaken,
    ChargePointInvalid.
    """
    problem = identity_problem(identity)
    if problem:
        raise ChargePointInvalid(problem)
    if transport not in Transport.values:
        raise ChargePointInvalid("The transport is json or soap.")
    if "time_zone" in columns:
        time_zone_check(columns["time_zone"])
    _pin(columns)
    encoded = password_encoded(password)  # slow on purpose: not while the database is locked
    try:
        with transaction.atomic():
            charge_point = ChargePoint(
                identity=identity, transport=transport, password=encoded, **columns
            )
            charge_point.save(force_insert=True)
    except IntegrityError:
        raise ChargePointTaken(f"There is a charge point {identity} already.") from None
    UnknownChargePoint.objects.filter(identity=identity).delete()
    bus.publish("charge_points")
    return charge_point


def charge_point_change(*, charge_point: ChargePoint, **columns: Any) -> None:
    """Change what people say of a charge point; `columns` as in the model. Only these are written:
    the inbox writes the rest at the same time. A callback address that is given is pinned, unless
    said otherwise: it survives what the charge point says. A security profile set by hand holds
    at once, whatever one it was being raised to. Raises ChargePointInvalid."""
    if "time_zone" in columns:
        time_zone_check(columns["time_zone"])
    if not columns:
        return
    _pin(columns)
    if "security_profile" in columns:
        columns["pending_security_profile"] = None
    judged = {name: value for name, value in columns.items() if name in OF_LOGIN}
    same = ChargePoint.objects.filter(pk=charge_point.pk, **judged).exists()
    for name, value in columns.items():
        setattr(charge_point, name, value)
    with transaction.atomic():
        charge_point.save(update_fields=list(columns))
        if not same:
            connection_end(charge_point=charge_point)
    bus.publish("charge_points")
    bus.publish("commands")


def connection_end(*, charge_point: ChargePoint) -> None:
    """A charge point must log in anew: its connection has no say any more, by the epoch, and its
    gateway closes it."""
    row = ChargePoint.objects.filter(pk=charge_point.pk)
    with transaction.atomic():
        row.update(epoch=F("epoch") + 1)
        charge_points_disconnect(row)
        transaction.on_commit(lambda: bus.publish("charge_points"))


def _pin(columns: dict[str, Any]) -> None:
    if columns.get("callback_url"):
        columns.setdefault("callback_pinned", True)
        columns.setdefault("callback_proposed", "")


def time_zone_check(name: str) -> None:
    """Raise ChargePointInvalid unless `name` is a time zone such as Europe/Vienna."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ChargePointInvalid(f"{name} is no time zone; write one like Europe/Vienna.") from None


def key_generated(security_profile: int) -> str:
    """A new key as hexadecimal text, for a profile that has one; empty for others (N3)."""
    return key_new().hex() if security_profile in WITH_PASSWORD else ""


def password_set(*, charge_point: ChargePoint, password: str) -> None:
    """Set the password that the charge point must give; empty: by password it cannot connect. Who
    is connected must log in anew."""
    charge_point.password = password_encoded(password)
    charge_point.pending_password = ""
    with transaction.atomic():
        charge_point.save(update_fields=["password", "pending_password"])
        connection_end(charge_point=charge_point)
    bus.publish("charge_points")


def registration_set(*, charge_point: ChargePoint, registration: str) -> None:
    """Accept, hold or reject a charge point; it learns of it with its next BootNotification."""
    charge_point.registration = Registration(registration)
    charge_point.save(update_fields=["registration"])
    bus.publish("charge_points")
    bus.publish("commands")


def callback_approve(*, charge_point: ChargePoint) -> None:
    """Take the callback address that the charge point proposed. Raises CallbackRefused."""
    if not charge_point.callback_proposed:
        return
    callbacks.parse(charge_point.callback_proposed)
    charge_point.callback_url = charge_point.callback_proposed
    charge_point.callback_proposed = ""
    charge_point.callback_error = ""
    charge_point.callback_failed_at = None
    charge_point.save(
        update_fields=["callback_url", "callback_proposed", "callback_error", "callback_failed_at"]
    )
    bus.publish("commands")


def callback_reject(*, charge_point: ChargePoint) -> None:
    """Forget the callback address that the charge point proposed."""
    charge_point.callback_proposed = ""
    charge_point.save(update_fields=["callback_proposed"])
