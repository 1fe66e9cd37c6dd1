"""The Reservation profile: keep a connector free for an idTag."""

import enum

from msgspec import UNSET

from csms.ocpp.base import CENTRAL_SYSTEM, Opt, Payload, Profile, Request
from csms.ocpp.types import DateTime, IdToken, Int32, check_moment


class CancelReservationStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class CancelReservationResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rejected: there is no such reservation."""

    status: CancelReservationStatus


class CancelReservation(
    Request[CancelReservationResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Give up a reservation (5.1)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.RESERVATION

    reservation_id: Int32


class ReservationStatus(enum.StrEnum):
    ACCEPTED = "Accepted"
    FAULTED = "Faulted"
    OCCUPIED = "Occupied"
    REJECTED = "Rejected"
    UNAVAILABLE = "Unavailable"


class ReserveNowResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the connector is reserved."""

    status: ReservationStatus


class ReserveNow(
    Request[ReserveNowResponse], frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """Reserve a connector, or with 0 any, until `expiry_date` (5.13)."""

    senders = CENTRAL_SYSTEM
    profile = Profile.RESERVATION

    connector_id: Int32
    expiry_date: DateTime
    id_tag: IdToken
    parent_id_tag: Opt[IdToken] = UNSET
    reservation_id: Int32

    def __post_init__(self) -> None:
        check_moment(self.expiry_date)
