"""What a simulated charge point answers to the calls of the Core profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from csms.ocpp.base import value_or
from csms.ocpp.core import (
    AvailabilityStatus,
    AvailabilityType,
    ChangeAvailability,
    ChangeAvailabilityResponse,
    ChangeConfiguration,
    ChangeConfigurationResponse,
    ClearCache,
    ClearCacheResponse,
    ClearCacheStatus,
    ConfigurationStatus,
    DataTransfer,
    DataTransferResponse,
    DataTransferStatus,
    GetConfiguration,
    GetConfigurationResponse,
    RemoteStartStopStatus,
    RemoteStartTransaction,
    RemoteStartTransactionResponse,
    RemoteStopTransaction,
    RemoteStopTransactionResponse,
    Reset,
    ResetResponse,
    ResetStatus,
    ResetType,
    UnlockConnector,
    UnlockConnectorResponse,
    UnlockStatus,
)
from csms.ocpp.types import (
    ChargePointStatus,
    ChargingProfile,
    ChargingProfilePurposeType,
    Reason,
    RegistrationStatus,
)
from csms.simulator import session
from csms.simulator.answering import answers
from csms.simulator.state import Connector
from csms.simulator.transport import Answer, Refused

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint

VENDOR = "Simulator"
"""The vendorId whose DataTransfer messages are known: "Echo" returns its data."""


@answers(ChangeAvailability)
def change_availability(cp: SimulatedChargePoint, request: ChangeAvailability) -> Answer:
    """5.2: at once, or Scheduled for the end of a running transaction."""
    number, operative = request.connector_id, request.type is AvailabilityType.OPERATIVE
    if number not in cp.connectors:
        return Answer(ChangeAvailabilityResponse(status=AvailabilityStatus.REJECTED))
    changed = list(cp.connectors.values()) if number == 0 else [cp.connectors[number]]
    for connector in changed:
        connector.operative = operative
    busy = any(c.transaction is not None for c in changed)

    async def then() -> None:
        for connector in changed:
            idle = connector.transaction is None and not connector.claimed
            if idle and connector.status is not connector.resting:
                await cp.status(connector.id, connector.resting, connector.error_code)

    later = busy and not operative
    status = AvailabilityStatus.SCHEDULED if later else AvailabilityStatus.ACCEPTED
    return Answer(ChangeAvailabilityResponse(status=status), then)


@answers(ChangeConfiguration)
def change_configuration(cp: SimulatedChargePoint, request: ChangeConfiguration) -> Answer:
    """5.3."""
    status = cp.configuration.change(request.key, request.value)

    async def then() -> None:
        key = request.key.casefold()
        if status is not ConfigurationStatus.ACCEPTED:
            return
        if key == "heartbeatinterval":
            cp.heartbeat_changed()
        elif key == "authorizationkey":
            # WP A01.FR.02: the new key is used from the next connection on, which comes now.
            cp.transport.set_password(bytes.fromhex(request.value))
            await cp.transport.drop()

    return Answer(ChangeConfigurationResponse(status=status), then)


@answers(GetConfiguration)
def get_configuration(cp: SimulatedChargePoint, request: GetConfiguration) -> Answer:
    """5.8; 9.1.7: no more keys than GetConfigurationMaxKeys."""
    wanted = value_or(request.key, ())
    if len(wanted) > cp.configuration.most_keys:
        raise Refused("OccurenceConstraintViolation", "These are too many keys.")
    if not wanted and not cp.configuration.tells_all:
        raise Refused("InternalError", "All keys are too many to tell.")
    keys, unknown = cp.configuration.read(wanted)
    return Answer(
        GetConfigurationResponse(
            configuration_key=tuple(keys) or UNSET, unknown_key=tuple(unknown) or UNSET
        )
    )


@answers(ClearCache)
def clear_cache(cp: SimulatedChargePoint, request: ClearCache) -> Answer:
    """5.4."""
    cp.cache.clear()
    return Answer(ClearCacheResponse(status=ClearCacheStatus.ACCEPTED))


@answers(DataTransfer)
def data_transfer(cp: SimulatedChargePoint, request: DataTransfer) -> Answer:
    """5.6: an unknown vendor or message is said to be so."""
    if request.vendor_id.casefold() != VENDOR.casefold():
        return Answer(DataTransferResponse(status=DataTransferStatus.UNKNOWN_VENDOR_ID))
    if value_or(request.message_id, "").casefold() != "echo":
        return Answer(DataTransferResponse(status=DataTransferStatus.UNKNOWN_MESSAGE_ID))
    return Answer(DataTransferResponse(status=DataTransferStatus.ACCEPTED, data=request.data))


def _startable(cp: SimulatedChargePoint, request: RemoteStartTransaction) -> Connector | None:
    """The connector on which a transaction can be tried."""
    wanted = value_or(request.connector_id)
    candidates = [c for c in cp.connectors.values() if c.id > 0 and wanted in (None, c.id)]
    for connector in candidates:
        reservation = connector.reservation
        allowed = reservation is None or reservation.allows(request.id_tag)
        if connector.free and connector.operative and allowed:
            return connector
    return None


def _usable(profile: ChargingProfile | None) -> bool:
    """5.16.2: the profile of a remote start is a TxProfile."""
    if profile is None:
        return True
    return profile.charging_profile_purpose is ChargingProfilePurposeType.TX_PROFILE


@answers(RemoteStartTransaction)
def remote_start_transaction(cp: SimulatedChargePoint, request: RemoteStartTransaction) -> Answer:
    """5.11; 4.2: not while registration is pending."""
    connector = _startable(cp, request)
    profile = value_or(request.charging_profile)
    registered = cp.registration is RegistrationStatus.ACCEPTED
    if connector is None or not registered or not _usable(profile):
        return Answer(RemoteStartTransactionResponse(status=RemoteStartStopStatus.REJECTED))
    connector.claimed = True

    async def then() -> None:
        await session.charge(cp, connector.id, request.id_tag, remote=True, profile=profile)

    return Answer(RemoteStartTransactionResponse(status=RemoteStartStopStatus.ACCEPTED), then)


@answers(RemoteStopTransaction)
def remote_stop_transaction(cp: SimulatedChargePoint, request: RemoteStopTransaction) -> Answer:
    """5.12."""
    for connector in cp.connectors.values():
        transaction = connector.transaction
        if transaction is not None and transaction.id == request.transaction_id:
            break
    else:
        return Answer(RemoteStopTransactionResponse(status=RemoteStartStopStatus.REJECTED))

    async def then() -> None:
        await stop(cp, connector, Reason.REMOTE)

    return Answer(RemoteStopTransactionResponse(status=RemoteStartStopStatus.ACCEPTED), then)


async def stop(cp: SimulatedChargePoint, connector: Connector, reason: Reason) -> None:
    """End a transaction; its session reports what comes after it, or else this does."""
    transaction = connector.transaction
    if transaction is None:
        return
    cp.end(connector.id, reason)
    if not transaction.attended:
        await session.finish(cp, connector)


@answers(Reset)
def reset(cp: SimulatedChargePoint, request: Reset) -> Answer:
    """5.14: transactions are stopped, then it starts anew."""
    reason = Reason.HARD_RESET if request.type is ResetType.HARD else Reason.SOFT_RESET

    async def then() -> None:
        cp.configuration.rebooted()
        await cp.reboot(reason)

    return Answer(ResetResponse(status=ResetStatus.ACCEPTED), then)


@answers(UnlockConnector)
def unlock_connector(cp: SimulatedChargePoint, request: UnlockConnector) -> Answer:
    """5.18: a running transaction is stopped first."""
    connector = cp.connectors.get(request.connector_id)
    if connector is None or connector.id == 0:
        return Answer(UnlockConnectorResponse(status=UnlockStatus.NOT_SUPPORTED))
    if connector.lock_broken:
        return Answer(UnlockConnectorResponse(status=UnlockStatus.UNLOCK_FAILED))

    async def then() -> None:
        if connector.status is ChargePointStatus.PREPARING and not connector.claimed:
            await cp.status(connector.id, connector.resting)
        await stop(cp, connector, Reason.UNLOCK_COMMAND)

    return Answer(UnlockConnectorResponse(status=UnlockStatus.UNLOCKED), then)
