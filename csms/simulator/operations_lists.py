"""What a simulated charge point answers about its local list and reservations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csms.ocpp.base import value_or
from csms.ocpp.local_auth_list_management import (
    GetLocalListVersion,
    GetLocalListVersionResponse,
    SendLocalList,
    SendLocalListResponse,
    UpdateStatus,
    UpdateType,
)
from csms.ocpp.reservation import (
    CancelReservation,
    CancelReservationResponse,
    CancelReservationStatus,
    ReservationStatus,
    ReserveNow,
    ReserveNowResponse,
)
from csms.ocpp.types import ChargePointStatus
from csms.simulator.answering import answers
from csms.simulator.state import Connector, Reservation
from csms.simulator.transport import Answer

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint


@answers(GetLocalListVersion)
def get_local_list_version(cp: SimulatedChargePoint, request: GetLocalListVersion) -> Answer:
    """5.10: 0 is an empty list, -1 means that there is none."""
    enabled = cp.configuration.flag("LocalAuthListEnabled")
    return Answer(
        GetLocalListVersionResponse(list_version=cp.local_list.version if enabled else -1)
    )


@answers(SendLocalList)
def send_local_list(cp: SimulatedChargePoint, request: SendLocalList) -> Answer:
    """5.15: replaces the list, or changes it when the new version is higher."""
    return Answer(SendLocalListResponse(status=_update(cp, request)))


def _update(cp: SimulatedChargePoint, request: SendLocalList) -> UpdateStatus:
    entries = value_or(request.local_authorization_list, ())
    if cp.local_list.refuses:
        return UpdateStatus(cp.local_list.refuses.pop(0))
    if not cp.configuration.flag("LocalAuthListEnabled"):
        return UpdateStatus.NOT_SUPPORTED
    if request.list_version < 1 or len(entries) > cp.configuration.whole("SendLocalListMaxLength"):
        return UpdateStatus.FAILED
    full = request.update_type is UpdateType.FULL
    if not full and request.list_version <= cp.local_list.version:
        return UpdateStatus.VERSION_MISMATCH
    updated = {} if full else dict(cp.local_list.entries)
    for entry in entries:
        info = value_or(entry.id_tag_info)
        if info is not None:
            updated[entry.id_tag.casefold()] = info
        elif full:  # 7.1: "Required when UpdateType is Full"
            return UpdateStatus.FAILED
        else:
            updated.pop(entry.id_tag.casefold(), None)
    if len(updated) > cp.configuration.whole("LocalAuthListMaxLength"):
        return UpdateStatus.FAILED
    cp.local_list.entries, cp.local_list.version = updated, request.list_version
    return UpdateStatus.ACCEPTED


@answers(ReserveNow)
def reserve_now(cp: SimulatedChargePoint, request: ReserveNow) -> Answer:
    """5.13: the same reservationId replaces; connector 0 keeps any one connector free."""
    connector = cp.connectors.get(request.connector_id)
    status = _reservable(cp, connector, request)
    if connector is None or status is not ReservationStatus.ACCEPTED:
        return Answer(ReserveNowResponse(status=status))
    _release(cp, request.reservation_id)
    reservation = Reservation(
        id=request.reservation_id,
        connector_id=connector.id,
        id_tag=request.id_tag,
        parent_id_tag=value_or(request.parent_id_tag, ""),
        expiry=request.expiry_date,
    )
    connector.reservation = reservation

    async def then() -> None:
        if connector.id > 0:
            await cp.status(connector.id, ChargePointStatus.RESERVED)
        await cp.clock.sleep_until(reservation.expiry)
        if connector.reservation is reservation:
            connector.reservation = None
            cp.event(f"reservation {reservation.id} has expired")
            await _show(cp, connector)

    return Answer(ReserveNowResponse(status=status), then)


def _reservable(
    cp: SimulatedChargePoint, connector: Connector | None, request: ReserveNow
) -> ReservationStatus:
    if connector is None or request.expiry_date <= cp.clock.now():
        return ReservationStatus.REJECTED
    if connector.status is ChargePointStatus.FAULTED:
        return ReservationStatus.FAULTED
    if not connector.operative or connector.status is ChargePointStatus.UNAVAILABLE:
        return ReservationStatus.UNAVAILABLE
    if connector.id == 0:
        others = [c for c in cp.connectors.values() if c.id > 0]
        free = any(c.free and c.reservation is None for c in others)
        return ReservationStatus.ACCEPTED if free else ReservationStatus.OCCUPIED
    held = connector.reservation
    if not connector.free or (held is not None and held.id != request.reservation_id):
        return ReservationStatus.OCCUPIED
    return ReservationStatus.ACCEPTED


def _release(cp: SimulatedChargePoint, reservation_id: int) -> Connector | None:
    """End a reservation; the connector that it held."""
    for connector in cp.connectors.values():
        if connector.reservation is not None and connector.reservation.id == reservation_id:
            connector.reservation = None
            return connector
    return None


async def _show(cp: SimulatedChargePoint, connector: Connector) -> None:
    """Report that a connector is no longer reserved."""
    if connector.id > 0 and connector.status is ChargePointStatus.RESERVED:
        await cp.status(connector.id, connector.resting)


@answers(CancelReservation)
def cancel_reservation(cp: SimulatedChargePoint, request: CancelReservation) -> Answer:
    """5.1."""
    connector = _release(cp, request.reservation_id)
    if connector is None:
        return Answer(CancelReservationResponse(status=CancelReservationStatus.REJECTED))
    reply = CancelReservationResponse(status=CancelReservationStatus.ACCEPTED)
    return Answer(reply, lambda: _show(cp, connector))
