"""MeterValues: readings in and out of transactions (OCPP 1.6 §4.7)."""

from datetime import timedelta

from csms.models import Transaction
from csms.ocpp.base import value_or
from csms.ocpp.core import MeterValues, MeterValuesResponse
from csms.ocpp.tolerance import Note
from csms.services.dispatch import Context, handles
from csms.services.metering import meter_rows
from csms.services.transactions import sent_text
from csms.services.world import MeterRow, Needs

AFTER_STOP = timedelta(minutes=1)
"""Readings of context Transaction.End may arrive after StopTransaction."""


def _needs(request: MeterValues, notes: tuple[Note, ...]) -> Needs:
    transaction_id = value_or(request.transaction_id)
    return Needs(
        connectors=(request.connector_id,),
        transaction_ids=() if transaction_id is None else (transaction_id,),
        open_transactions=transaction_id is not None and transaction_id <= 0,
    )


@handles(MeterValues, needs=_needs)
def meter_values(request: MeterValues, context: Context) -> MeterValuesResponse:
    """§4.7: always answered; a refused one would block the StopTransaction behind it (§3.7)."""
    if not 0 <= request.connector_id <= context.settings.max_connectors:
        context.quarantined = f"MeterValues for connectorId {request.connector_id}"
        return MeterValuesResponse()
    context.world.connector(context.charge_point, request.connector_id)
    row = _transaction(request, context)
    texts = (
        sent_text(value.timestamp, f"meterValue[{index}].timestamp", context.notes)
        for index, value in enumerate(request.meter_value)
    )
    rows = meter_rows(
        zip(request.meter_value, texts, strict=True),
        charge_point=context.charge_point,
        connector_id=request.connector_id,
        transaction=row,
        now=context.now,
    )
    context.world.meter(rows)
    if row is not None and row.is_open:
        _note_register(row, rows, context)
    return MeterValuesResponse()


def _transaction(request: MeterValues, context: Context) -> Transaction | None:
    """The transaction of the readings, if it is this charge point's and not long over."""
    transaction_id = value_or(request.transaction_id)
    if transaction_id is None or request.connector_id == 0:  # §7.43: connector 0 has none
        return None
    if transaction_id <= 0:  # some send 0 or -1 although an id was assigned
        running = [
            row
            for row in context.world.open_transactions(context.charge_point)
            if row.connector_id == request.connector_id
        ]
        return running[0] if len(running) == 1 else None
    row = context.world.transactions.get(transaction_id)
    if row is None:
        context.remark("meter values of an unknown transaction", "transactionId", transaction_id)
        return None
    if row.charge_point_id != context.charge_point.pk:
        context.security_event(
            "ForeignTransaction",
            f"MeterValues for transaction {transaction_id} of another charge point",
        )
        return None
    if row.is_open:
        return row
    latest = max((value.timestamp for value in request.meter_value), default=None)
    if latest is not None and row.stopped_at is not None and latest <= row.stopped_at + AFTER_STOP:
        return row
    context.remark("meter values of a stopped transaction", "transactionId", transaction_id)
    return None


def _note_register(row: Transaction, rows: list[MeterRow], context: Context) -> None:
    """Keep the transaction's latest register, for those who watch and for F21."""
    for meter in rows:
        newer = row.last_meter_at is None or meter.bucket_at >= row.last_meter_at
        if meter.energy is not None and newer:
            context.world.set(row, last_meter=meter.energy, last_meter_at=meter.bucket_at)
