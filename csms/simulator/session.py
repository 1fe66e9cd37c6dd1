"""Charging sessions of a simulated charge point, from plug to unplug (OCPP 1.6 §3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csms.ocpp.base import value_or
from csms.ocpp.types import (
    AuthorizationStatus,
    ChargePointStatus,
    ChargingProfile,
    ChargingProfilePurposeType,
    Reason,
)
from csms.simulator import meter, profiles
from csms.simulator.state import Connector, Transaction
from csms.simulator.transport import CallFailed

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint

PATIENCE = 5.0
"""Seconds for which a session waits for StartTransaction.conf before it charges without."""
UNPLUG = 2.0
"""Seconds between the end of a transaction and the unplugged cable."""

_RESETS = (Reason.HARD_RESET, Reason.SOFT_RESET, Reason.REBOOT)


async def charge(
    cp: SimulatedChargePoint,
    connector_id: int,
    id_tag: str,
    *,
    remote: bool = False,
    profile: ChargingProfile | None = None,
) -> bool:
    """One session on a free connector; False when the idTag was not accepted."""
    connector = cp.connectors[connector_id]
    connector.claimed = True
    try:
        return await _session(cp, connector, id_tag, remote, profile)
    finally:
        connector.claimed = False


async def _session(
    cp: SimulatedChargePoint,
    connector: Connector,
    id_tag: str,
    remote: bool,
    profile: ChargingProfile | None,
) -> bool:
    if connector.status is not ChargePointStatus.PREPARING:
        await cp.status(connector.id, ChargePointStatus.PREPARING)
    parent = await _authorized(cp, connector, id_tag, remote)
    if parent is None:
        cp.event(f"connector {connector.id}: {id_tag} may not charge")
        cp.sessions_refused += 1
        await cp.status(connector.id, connector.resting)
        return False
    transaction = cp.begin(connector.id, id_tag, parent)
    transaction.attended = True
    if profile is not None:
        profiles.install(connector, profile)
    await cp.clock.wait_for(transaction.confirmed, PATIENCE)
    if not _denied(transaction):
        await cp.status(connector.id, ChargePointStatus.CHARGING)
    await _charging(cp, connector, transaction)
    cp.sessions_done += 1
    if transaction.reason not in _RESETS:
        await finish(cp, connector)
    return not _denied(transaction)


async def _authorized(
    cp: SimulatedChargePoint, connector: Connector, id_tag: str, remote: bool
) -> str | None:
    """The idTag's parent ("" without one) when it may charge here, else None."""
    parent = ""
    if not remote or cp.configuration.flag("AuthorizeRemoteTxRequests"):
        try:
            info = await cp.authorize(id_tag)
        except CallFailed as error:
            cp.violation(f"Authorize failed: {error}")
            return None
        if info.status is not AuthorizationStatus.ACCEPTED:
            return None
        parent = value_or(info.parent_id_tag, "")
    reservation = connector.reservation
    if reservation is not None and not reservation.allows(id_tag, parent):
        return None
    return parent


def _denied(transaction: Transaction) -> bool:
    info = transaction.id_tag_info
    return info is not None and info.status is not AuthorizationStatus.ACCEPTED


def power(cp: SimulatedChargePoint, connector: Connector, transaction: Transaction) -> float:
    """What flows now, in W: the plan's power, less where a profile limits it."""
    if _denied(transaction):
        return 0.0
    limit = profiles.limit_at(connector, cp.connectors[0], cp.clock.now(), transaction.started_at)
    return cp.plan.watts if limit is None else min(cp.plan.watts, float(limit))


async def _charging(
    cp: SimulatedChargePoint, connector: Connector, transaction: Transaction
) -> None:
    """Energy flows and readings are sent until the plan or somebody ends it."""
    left = cp.plan.charge
    while left > 0 and not transaction.ended.is_set():
        if _denied(transaction) and cp.configuration.flag("StopTransactionOnInvalidId"):
            # 4.8: "the Charge Point … SHALL stop the transaction" where StopTransactionOnInvalidId
            cp.end(connector.id, Reason.DE_AUTHORIZED)
            return
        step = min(cp.configuration.whole("MeterValueSampleInterval") or left, left)
        await cp.clock.wait_for(transaction.ended, step)
        watts = power(cp, connector, transaction)
        left -= step
        if not transaction.ended.is_set():
            meter.charge(connector, watts=watts, seconds=step)
            cp.send_reading(connector.id, watts=watts)
    if not transaction.ended.is_set():
        cp.end(connector.id, Reason.LOCAL, id_tag=transaction.id_tag)


async def finish(cp: SimulatedChargePoint, connector: Connector) -> None:
    """After a transaction: the cable is unplugged, its profiles go (3.13.1)."""
    for known in list(connector.profiles.values()):
        if known.charging_profile_purpose is ChargingProfilePurposeType.TX_PROFILE:
            del connector.profiles[known.charging_profile_id]
    await cp.status(connector.id, ChargePointStatus.FINISHING)
    await cp.clock.sleep(UNPLUG)
    await cp.status(connector.id, connector.resting)


async def keep_charging(cp: SimulatedChargePoint, connector_id: int) -> None:
    """Session after session on a connector, as many as the plan says."""
    connector, plan, done = cp.connectors[connector_id], cp.plan, 0
    await cp.clock.sleep(cp.random.uniform(0, plan.idle))
    while not plan.sessions or done < plan.sessions:
        await cp.registered.wait()
        if connector.free and connector.status is not ChargePointStatus.RESERVED:
            await charge(cp, connector_id, plan.id_tags[(connector_id + done) % len(plan.id_tags)])
            done += 1
        if not plan.sessions or done < plan.sessions:
            await cp.clock.sleep(max(plan.idle, 0.1))
