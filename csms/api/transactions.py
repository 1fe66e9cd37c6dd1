"""Transactions and meter values. Energies in Wh, powers in W, times in UTC."""

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from csms.api.access import require
from csms.api.charge_points import charge_point_pk
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.wire import Moment
from csms.models import MeterValue, Transaction
from csms.models.authorization import fold

router = Router(tags=["Transactions"])

State = Literal["open", "stopped", "ended"]


class TransactionOut(Schema):
    transaction_id: int = Field(description="The transactionId of OCPP.")
    charge_point: str = Field(alias="charge_point.identity")
    connector_id: int
    state: State = Field(description="ended: it ended without a StopTransaction.")
    id_tag: str
    authorization: str = Field(description="With what the start was answered.")
    reservation_id: int | None
    started_at: Moment = Field(description="The charge point's time where plausible.")
    start_received_at: Moment
    meter_start: int = Field(description="Wh")
    stopped_at: Moment | None
    stop_received_at: Moment | None
    meter_stop: int | None = Field(description="Wh")
    stop_reason: str
    stop_id_tag: str
    energy: int | None = Field(description="Wh; null while running or when meters do not allow it.")
    energy_so_far: float | None = Field(description="Wh, by the latest meter value.")
    last_meter: float | None = Field(description="Wh: the register as last seen.")
    last_meter_at: Moment | None
    billable: bool = Field(description="False when meters or clock make the figures doubtful.")
    flags: list[str] = Field(description="What is doubtful, in words.")


class TransactionFilter(Listing):
    charge_point: str | None = Field(None, description="Identity.")
    id_tag: str | None = Field(None, description="In upper or lower case.")
    state: State | None = None
    started_from: Moment | None = Field(None, description="This time or later.")
    started_to: Moment | None = Field(None, description="Earlier than this time.")


class MeterValueOut(Schema):
    charge_point: str = Field(alias="charge_point.identity")
    connector_id: int
    transaction_id: int | None = Field(alias="transaction.transaction_id", default=None)
    at: Moment = Field(
        alias="bucket_at", description="The charge point's time when plausible, else received."
    )
    timestamp: str = Field(description="As sent.")
    received_at: Moment
    energy: float | None = Field(description="Wh: Energy.Active.Import.Register")
    power: float | None = Field(description="W: Power.Active.Import")
    soc: float | None = Field(description="%")
    samples: list[dict[str, Any]] = Field(description="The sampled values as sent.")
    flags: list[str]


class MeterValueFilter(Listing):
    charge_point: str | None = Field(None, description="Identity. This or transaction is required.")
    transaction: int | None = Field(None, description="transactionId.")
    from_: Moment | None = Field(None, alias="from", description="This time or later.")
    to: Moment | None = Field(None, description="Earlier than this time.")


@router.get(
    "/transactions", response=Page[TransactionOut], summary="List transactions, newest first"
)
def transaction_list(request: HttpRequest, filters: Query[TransactionFilter]) -> Any:
    require(request, "view_transaction")
    rows = Transaction.objects.select_related("charge_point")
    if filters.charge_point is not None:
        rows = rows.filter(charge_point=charge_point_pk(filters.charge_point))
    if filters.id_tag is not None:
        rows = rows.filter(id_tag_key=fold(filters.id_tag))
    if filters.state is not None:
        rows = rows.filter(state=filters.state)
    if filters.started_from is not None:
        rows = rows.filter(started_at__gte=filters.started_from)
    if filters.started_to is not None:
        rows = rows.filter(started_at__lt=filters.started_to)
    # Each order has its index: a range of time is read along that time.
    ranged = filters.started_from is not None or filters.started_to is not None
    return page_of(request, rows, filters, time="started_at" if ranged else "", newest_first=True)


@router.get(
    "/transactions/{int:transaction_id}", response=TransactionOut, summary="One transaction"
)
def transaction_detail(request: HttpRequest, transaction_id: int) -> Any:
    require(request, "view_transaction")
    return found_or_404(
        lambda: Transaction.objects.select_related("charge_point").get(
            transaction_id=transaction_id
        ),
        f"There is no transaction {transaction_id}.",
        Transaction,
    )


@router.get(
    "/meter-values",
    response=Page[MeterValueOut],
    summary="List meter values of a charge point or transaction, newest first",
)
def meter_value_list(request: HttpRequest, filters: Query[MeterValueFilter]) -> Any:
    require(request, "view_metervalue")
    if filters.charge_point is None and filters.transaction is None:
        raise Refusal(422, "Name a charge_point or a transaction.", "charge_point")
    # Not joined: the planner would go through all charge points for those of one transaction.
    rows = MeterValue.objects.prefetch_related("charge_point", "transaction")
    if filters.charge_point is not None:
        rows = rows.filter(charge_point=charge_point_pk(filters.charge_point))
    if filters.transaction is not None:
        found = Transaction.objects.filter(transaction_id=filters.transaction)
        pk = found.values_list("pk", flat=True).first()
        if pk is None:
            raise Refusal(422, f"There is no transaction {filters.transaction}.", "transaction")
        rows = rows.filter(transaction=pk)
    if filters.from_ is not None:
        rows = rows.filter(bucket_at__gte=filters.from_)
    if filters.to is not None:
        rows = rows.filter(bucket_at__lt=filters.to)
    return page_of(request, rows, filters, time="bucket_at", newest_first=True)
