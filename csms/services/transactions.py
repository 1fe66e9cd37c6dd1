"""Transactions: their start and stop (OCPP 1.6 §4.8, §4.10)."""

import secrets
from datetime import datetime, timedelta

from msgspec import UNSET

from csms.models import Transaction
from csms.models.authorization import fold
from csms.models.transactions import TransactionState
from csms.ocpp.base import Opt, value_or
from csms.ocpp.core import (
    StartTransaction,
    StartTransactionResponse,
    StopTransaction,
    StopTransactionResponse,
)
from csms.ocpp.errors import PropertyConstraintViolation
from csms.ocpp.tolerance import Note
from csms.ocpp.types import AuthorizationStatus, IdTagInfo
from csms.services.authorization import id_tag_info, same_group
from csms.services.clocks import plausible
from csms.services.dispatch import Context, handles
from csms.services.metering import meter_rows
from csms.services.rows import new
from csms.services.world import Needs

MAX_ENERGY = 5_000_000
"""Wh; more than this in one transaction is a fault of the meter, not a sale."""

CLOCK_SLACK = timedelta(minutes=5)
"""By how much a stop may seem earlier than its start when the two are paired by guess."""

UNBELIEVED_START = "the clock of the start is not believable"

NO_CLOCK = frozenset({"impossible_time", "missing_field"})
"""Tolerances with which the time of receipt stands in for a timestamp that says nothing."""


def new_transaction_id() -> int:
    """Random, positive, 31 bits: charge points take 0 as 'none', and ids tell nothing (§E 3.54)."""
    return secrets.randbelow(2**31 - 1) + 1


def sent_text(moment: datetime, path: str, notes: tuple[Note, ...]) -> str:
    """A timestamp as it was sent, as far as known: unreadable ones stand in the notes."""
    for note in notes:
        if note.path == path:
            return note.was[:64]
    return moment.isoformat()[:64]


def _moment(sent: datetime, context: Context) -> tuple[datetime, bool]:
    """The time that counts, and whether the charge point's clock was believed."""
    believed = plausible(sent, context.now) and not any(
        note.path == "timestamp" and note.name in NO_CLOCK for note in context.notes
    )
    return (sent, True) if believed else (context.now, False)


# ------------------------------------------------------------------------------- start


def _needs_of_start(request: StartTransaction, notes: tuple[Note, ...]) -> Needs:
    return Needs(
        connectors=(request.connector_id,),
        id_tags=(request.id_tag,),
        running_of_tags=True,
        open_transactions=True,
        starts=(
            (
                request.connector_id,
                fold(request.id_tag)[:255],
                sent_text(request.timestamp, "timestamp", notes),
                request.meter_start,
            ),
        ),
    )


@handles(StartTransaction, needs=_needs_of_start)
def start_transaction(request: StartTransaction, context: Context) -> StartTransactionResponse:
    """§4.8: always answered with a positive transactionId, whatever becomes of the idTag."""
    world, charge_point = context.world, context.charge_point
    if request.connector_id <= 0 or request.connector_id > context.settings.max_connectors:
        raise PropertyConstraintViolation(
            f"connectorId {request.connector_id} is not between 1 and "
            f"{context.settings.max_connectors}",
            path="connectorId",
        )
    text = sent_text(request.timestamp, "timestamp", context.notes)
    tag_key = fold(request.id_tag)[:255]
    key = (charge_point.pk, request.connector_id, tag_key, text, request.meter_start)
    started_at, believed = _moment(request.timestamp, context)
    same = world.lists.starts[key]
    repeated = next((row for row in same if row.is_open or believed), None)
    if repeated is not None:
        return StartTransactionResponse(
            transaction_id=repeated.transaction_id,
            id_tag_info=_as_answered(repeated, request.id_tag, context),
        )

    world.connector(charge_point, request.connector_id)
    overtaken = [
        row
        for row in world.open_transactions(charge_point)
        if row.connector_id == request.connector_id
    ]
    info = id_tag_info(
        world,
        id_tag=request.id_tag,
        charge_point=charge_point,
        now=context.now,
        starting=True,
        ending=frozenset(row.transaction_id for row in overtaken),
    )
    for row in overtaken:
        end_without_stop(row, context)
    flags = []
    if not believed:
        flags.append(UNBELIEVED_START)
    if request.meter_start < 0:
        flags.append("meterStart is negative")
    if info.status != AuthorizationStatus.ACCEPTED:
        flags.append(f"the idTag was answered {info.status.value}")
    row = new(
        Transaction,
        transaction_id=new_transaction_id(),
        charge_point_id=charge_point.pk,
        connector_id=request.connector_id,
        id_tag=request.id_tag[:255],
        id_tag_key=tag_key,
        authorization=info.status.value,
        reservation_id=value_or(request.reservation_id, 0) or None,
        start_timestamp=text,
        occurrence=len(same),
        started_at=started_at,
        start_received_at=context.now,
        meter_start=request.meter_start,
        billable=not flags or (flags == [UNBELIEVED_START]),
        flags=flags,
    )
    world.know(row)
    world.add(row)
    return StartTransactionResponse(transaction_id=row.transaction_id, id_tag_info=info)


def _as_answered(row: Transaction, id_tag: str, context: Context) -> IdTagInfo:
    """The idTagInfo of a repeated start: the status with which the first was answered (F2)."""
    info = id_tag_info(
        context.world, id_tag=id_tag, charge_point=context.charge_point, now=context.now
    )
    return IdTagInfo(
        status=AuthorizationStatus(row.authorization),
        expiry_date=info.expiry_date,
        parent_id_tag=info.parent_id_tag,
    )


def end_without_stop(row: Transaction, context: Context) -> None:
    """A new start overtakes a transaction that never stopped: ended, not billed (F21).

    A StopTransaction that still comes repairs it.
    """
    energy = row.energy_so_far
    context.world.set(
        row,
        state=TransactionState.ENDED_WITHOUT_STOP,
        stopped_at=row.last_meter_at or context.now,
        energy=None if energy is None else round(energy),
        billable=False,
        flags=[*row.flags, "ended without stop: another start on the connector"],
    )


# -------------------------------------------------------------------------------- stop


def _needs_of_stop(request: StopTransaction, notes: tuple[Note, ...]) -> Needs:
    return Needs(
        id_tags=(request.id_tag,) if request.id_tag else (),
        transaction_ids=(request.transaction_id,),
        open_transactions=True,
        groups=bool(request.id_tag),
    )


@handles(StopTransaction, needs=_needs_of_stop)
def stop_transaction(request: StopTransaction, context: Context) -> StopTransactionResponse:
    """§4.10: "The Central System cannot prevent a transaction from stopping." It is only told."""
    row = context.world.transactions.get(request.transaction_id)
    if row is not None and row.charge_point_id != context.charge_point.pk:
        context.security_event(
            "ForeignTransaction",
            f"StopTransaction for transaction {request.transaction_id} of another charge point",
        )
        context.quarantined = "StopTransaction for another charge point's transaction"
    elif row is None:
        row = _paired(request, context)
        if row is None:
            context.quarantined = (
                f"StopTransaction for transaction {request.transaction_id}, which is not known"
            )
        else:
            context.remark("stop paired by guess", "transactionId", str(request.transaction_id))
            _stop(row, request, context, doubt=f"stopped as transaction {request.transaction_id}")
    elif row.state != TransactionState.STOPPED:
        _stop(row, request, context)
    elif row.meter_stop != request.meter_stop:
        context.quarantined = (
            f"a second StopTransaction says meterStop {request.meter_stop} "
            f"instead of {row.meter_stop}"
        )
        context.security_event("ConflictingStopTransaction", context.quarantined)
    return StopTransactionResponse(id_tag_info=_info_of_stop(request.id_tag, context))


def _info_of_stop(id_tag: Opt[str], context: Context) -> Opt[IdTagInfo]:
    """Without an idTag there is no idTagInfo; ConcurrentTx is never said here (§7.2)."""
    if id_tag is UNSET:
        return UNSET
    return id_tag_info(
        context.world, id_tag=id_tag, charge_point=context.charge_point, now=context.now
    )


def _paired(request: StopTransaction, context: Context) -> Transaction | None:
    """The one open transaction of this charge point that a stop with a wrong id fits (F6)."""
    fitting = [
        row
        for row in context.world.open_transactions(context.charge_point)
        if row.meter_start <= request.meter_stop
        and (
            not plausible(request.timestamp, context.now)
            or request.timestamp >= row.started_at - CLOCK_SLACK
        )
        and (not request.id_tag or same_group(context.world, row.id_tag, request.id_tag))
    ]
    return fitting[0] if len(fitting) == 1 else None


def _stop(row: Transaction, request: StopTransaction, context: Context, doubt: str = "") -> None:
    """Close a transaction, or repair one that had been ended without stop."""
    stopped_at, believed = _moment(request.timestamp, context)
    flags = [flag for flag in row.flags if not flag.startswith("ended without stop")]
    if doubt:
        flags.append(doubt)
    if not believed:
        flags.append("the clock of the stop is not believable")
    elif stopped_at < row.started_at and UNBELIEVED_START not in flags:
        flags.append("the stop is earlier than the start")
    energy, problem = energy_of(row, request.meter_stop)
    if problem:
        flags.append(problem)
    accepted = row.authorization in ("", AuthorizationStatus.ACCEPTED)
    context.world.set(
        row,
        state=TransactionState.STOPPED,
        stopped_at=max(stopped_at, row.started_at),
        stop_received_at=context.now,
        meter_stop=request.meter_stop,
        stop_reason=context.text_of("reason", value_or(request.reason, "Local"))[:50],
        stop_id_tag=str(value_or(request.id_tag, ""))[:255],
        energy=energy,
        billable=not problem and accepted and row.meter_start >= 0,
        flags=flags,
    )
    data = value_or(request.transaction_data, ())
    texts = (
        sent_text(value.timestamp, f"transactionData[{index}].timestamp", context.notes)
        for index, value in enumerate(data)
    )
    context.world.meter(
        meter_rows(
            zip(data, texts, strict=True),
            charge_point=context.charge_point,
            connector_id=row.connector_id,
            transaction=row,
            now=context.now,
        )
    )


def energy_of(row: Transaction, meter_stop: int) -> tuple[int | None, str]:
    """Energy in Wh and what is wrong with it: negative or absurd meters are never billed.

    A last reading below meterStart is of a register that counts otherwise, and says nothing.
    """
    if meter_stop < 0:
        known = row.energy_so_far
        return (None if known is None else round(known)), "meterStop is not known"
    energy = meter_stop - row.meter_start
    if energy < 0:
        return None, f"meterStop {meter_stop} Wh is below meterStart {row.meter_start} Wh"
    if energy > MAX_ENERGY:
        return None, f"{energy} Wh in one transaction is absurd"
    if row.last_meter is not None and meter_stop < int(row.last_meter):
        last = int(row.last_meter)
        return energy, f"meterStop {meter_stop} Wh is below the last reading of {last} Wh"
    return energy, ""
