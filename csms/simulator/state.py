"""What a simulated charge point knows of its connectors."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from csms.ocpp.security import CertificateHashData, CertificateUse
from csms.ocpp.types import (
    ChargePointErrorCode,
    ChargePointStatus,
    ChargingProfile,
    IdTagInfo,
    MeterValue,
    Reason,
)

UNKNOWN_TRANSACTION = -1
"""The transactionId of a transaction whose StartTransaction was never confirmed (errata 3.18)."""


@dataclass(kw_only=True)
class Transaction:
    """One transaction; `meter_start` in Wh."""

    connector_id: int
    id_tag: str
    parent_id_tag: str = ""
    meter_start: int
    started_at: datetime
    id: int = UNKNOWN_TRANSACTION
    id_tag_info: IdTagInfo | None = None
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    """StartTransaction was answered, or given up."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """StopTransaction is on its way or was delivered."""
    reason: Reason = Reason.LOCAL
    attended: bool = False
    """A session reads its meter and reports what comes after it."""
    begin: MeterValue | None = None
    """The reading at the start, for transactionData."""


@dataclass(kw_only=True)
class Reservation:
    """A connector (0: the charge point) is kept for an idTag until `expiry`."""

    id: int
    connector_id: int
    id_tag: str
    parent_id_tag: str
    expiry: datetime

    def allows(self, id_tag: str, parent_id_tag: str = "") -> bool:
        """Whether this idTag, or one with the same parent, may use it (5.13)."""
        if id_tag.casefold() == self.id_tag.casefold():
            return True
        return bool(parent_id_tag) and parent_id_tag.casefold() == self.parent_id_tag.casefold()


@dataclass(kw_only=True)
class Connector:
    """One connector; `meter` is its energy register in Wh."""

    id: int
    meter: float = 0.0
    soc: float = 20.0
    status: ChargePointStatus = ChargePointStatus.AVAILABLE
    error_code: ChargePointErrorCode = ChargePointErrorCode.NO_ERROR
    operative: bool = True
    claimed: bool = False
    """A session is about to begin or to end on it."""
    lock_broken: bool = False
    transaction: Transaction | None = None
    reservation: Reservation | None = None
    last_start: tuple[datetime, int] | None = None
    """Second and register of the last StartTransaction."""
    profiles: dict[int, ChargingProfile] = field(default_factory=dict)

    @property
    def resting(self) -> ChargePointStatus:
        """Its status when nothing happens on it."""
        if self.error_code is not ChargePointErrorCode.NO_ERROR:
            return ChargePointStatus.FAULTED
        if not self.operative:
            return ChargePointStatus.UNAVAILABLE
        if self.reservation is not None:
            return ChargePointStatus.RESERVED
        return ChargePointStatus.AVAILABLE

    @property
    def free(self) -> bool:
        """Nothing happens on it, and it may be used (by whom its reservation allows)."""
        if self.claimed or not self.operative or self.transaction is not None:
            return False
        return self.status in (
            ChargePointStatus.AVAILABLE,
            ChargePointStatus.PREPARING,
            ChargePointStatus.RESERVED,
        )


def use_reservation(holders: Iterable[Connector], id_tag: str, parent: str) -> int | None:
    """End the reservation whose idTag starts a transaction (5.13); its id."""
    for holder in holders:
        reservation = holder.reservation
        if reservation is not None and reservation.allows(id_tag, parent):
            holder.reservation = None
            return reservation.id
    return None


@dataclass(kw_only=True)
class LocalList:
    """idTags that the charge point knows by itself, by their case-folded form."""

    version: int = 0
    entries: dict[str, IdTagInfo] = field(default_factory=dict)
    refuses: list[str] = field(default_factory=list)
    """What it answers to the next SendLocalLists in place of taking them."""


@dataclass(kw_only=True)
class Certificate:
    """An installed root certificate."""

    use: CertificateUse
    pem: str
    name: CertificateHashData
