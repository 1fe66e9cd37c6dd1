"""Transactions, their curve and their meter values."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import (
    ChargePointFilter,
    ChoiceFilter,
    DayFilter,
    ReadOnlyAdmin,
    TermFilter,
    charge_point_pk,
)
from csms.admin.plot import Sample, plot
from csms.models import IdTag, MeterValue, Transaction
from csms.models.authorization import fold
from csms.models.transactions import TransactionState

STATE_KINDS: dict[str, str] = {
    TransactionState.OPEN: "info",
    TransactionState.STOPPED: "good",
    TransactionState.ENDED_WITHOUT_STOP: "warn",
}
PLOTTED = 5_000
"""Meter values that are read for a curve at most."""
LISTED = 50
"""Meter values below a transaction; the rest is one link away."""
KNOWN_TAGS = 100
"""idTags that a prefix may stand for."""
LARGEST_ID = 19
"""Digits of the largest number that the databases hold."""


def id_tag_keys(term: str) -> list[str]:
    """The folded idTags a term stands for: itself, and known ones that begin with it.

    The prefix is looked up among the tags (few) and the transactions by the keys found (an index):
    a prefix search over a million transactions would read them all.
    """
    key = fold(term)
    known = IdTag.objects.filter(key__startswith=key).values_list("key", flat=True)
    return [key, *known[:KNOWN_TAGS]]


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = {value: (label, {"state": value}) for value, label in TransactionState.choices}


class BillableFilter(ChoiceFilter):
    title = "billable"
    parameter_name = "billable"
    options = {"1": ("Yes", {"billable": True}), "0": ("No", {"billable": False})}


@admin.register(Transaction)
class TransactionAdmin(ReadOnlyAdmin):
    """All transactions, the latest first."""

    list_display = (
        "number",
        "place",
        "tag",
        "ending",
        "started",
        "energy_column",
        "doubts",
    )
    sortable_by = ("number", "started")
    list_filter = (
        StateFilter,
        ("started_at", DayFilter),
        BillableFilter,
        ChargePointFilter,
    )
    list_select_related = ("charge_point",)
    search_fields = ("transaction_id",)
    search_help_text = "transactionId or identity exactly, or an idTag from its beginning"
    fields = (
        ("number", "status"),
        ("charge_point_column", "connector_id"),
        ("tag", "authorization"),
        ("began", "ended"),
        ("lasted", "energy_column"),
        ("meters", "reason"),
        "doubts",
        "curve",
        "values",
    )

    def find(self, queryset: "QuerySet[Transaction]", term: str) -> "QuerySet[Transaction]":
        found = Q(id_tag_key__in=id_tag_keys(term)) | Q(charge_point_id=charge_point_pk(term))
        if term.isdecimal() and len(term) < LARGEST_ID:
            found |= Q(transaction_id=int(term))
        return queryset.filter(found)

    @display(description="transactionId", ordering="id")
    def number(self, row: Transaction) -> SafeString:
        return format_html('<span class="cs-code">{}</span>', row.transaction_id)

    @display(description="Charge point")
    def place(self, row: Transaction) -> SafeString | str:
        identity = show.charge_point_link(row.charge_point_id, row.charge_point.identity, 20)
        return show.two_lines(identity, f"connector {row.connector_id}")

    @display(description="Charge point")
    def charge_point_column(self, row: Transaction) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.charge_point.identity)

    @display(description="idTag")
    def tag(self, row: Transaction) -> SafeString | str:
        return show.clip(row.id_tag, 20)

    @display(description="State")
    def status(self, row: Transaction) -> SafeString:
        return show.badge(row.get_state_display(), STATE_KINDS.get(row.state, "plain"))

    @display(description="State, reason")
    def ending(self, row: Transaction) -> SafeString | str:
        return show.two_lines(
            self.status(row), show.clip(row.stop_reason, 20) if row.stop_reason else ""
        )

    @display(description="Started (UTC), duration", ordering="started_at")
    def started(self, row: Transaction) -> SafeString | str:
        return show.two_lines(show.moment(row.started_at), f"for {self.lasted(row)}")

    @display(description="Duration")
    def lasted(self, row: Transaction) -> str:
        return show.span(row.duration(timezone.now()).total_seconds())

    @display(description="Energy (kWh)")
    def energy_column(self, row: Transaction) -> SafeString:
        running = row.energy is None and row.energy_so_far is not None
        return format_html(
            '<span class="cs-number" title="{}">{}</span>',
            "so far" if running else "",
            show.kilowatt_hours(row.energy_so_far),
        )

    @display(description="Reason")
    def reason(self, row: Transaction) -> SafeString | str:
        return show.clip(row.stop_reason, 20)

    @display(description="Billable")
    def doubts(self, row: Transaction) -> SafeString | str:
        items = [show.badge("yes", "good") if row.billable else show.badge("no", "bad")]
        flags = [str(flag) for flag in row.flags or []]
        if flags:
            items.append(show.badge(f"{len(flags)} flags", "warn", "; ".join(flags)))
        return show.badges(items)

    @display(description="Started (UTC)")
    def began(self, row: Transaction) -> SafeString | str:
        return show.facts(
            (("Time", show.exact(row.started_at)), ("Received", show.exact(row.start_received_at)))
        )

    @display(description="Stopped (UTC)")
    def ended(self, row: Transaction) -> SafeString | str:
        return show.facts(
            (
                ("Time", row.stopped_at and show.exact(row.stopped_at)),
                ("Received", row.stop_received_at and show.exact(row.stop_received_at)),
                ("idTag", row.stop_id_tag),
            )
        )

    @display(description="Meter (Wh)")
    def meters(self, row: Transaction) -> SafeString | str:
        return show.facts(
            (
                ("meterStart", f"{row.meter_start:,}"),
                ("meterStop", "" if row.meter_stop is None else f"{row.meter_stop:,}"),
                ("Latest", "" if row.last_meter is None else f"{row.last_meter:,.0f}"),
                ("Flags", "; ".join(str(flag) for flag in row.flags or [])),
            )
        )

    @display(description="Curve")
    def curve(self, row: Transaction) -> SafeString:
        newest = (
            MeterValue.objects.filter(transaction=row)
            .order_by("-bucket_at")
            .values_list("bucket_at", "energy", "power")[:PLOTTED]
        )
        drawn = plot([Sample(*values) for values in newest], row.meter_start)
        return render_to_string("csms/plot.html", {"plot": drawn})

    @display(description="Meter values")
    def values(self, row: Transaction) -> SafeString:
        newest = list(MeterValue.objects.filter(transaction=row).order_by("-bucket_at")[:LISTED])
        if not newest:
            return format_html('<p class="cs-empty">{}</p>', "No meter values.")
        cells = (
            (show.moment(v.bucket_at), *figures(v), show.clip(samples_text(v.samples), 90))
            for v in newest
        )
        return format_html(
            '<div class="cs-scroll"><table class="cs-table"><thead><tr><th>Time (UTC)</th>'
            "<th>Register (kWh)</th><th>kW</th><th>SoC</th><th>Samples</th></tr></thead>"
            "<tbody>{}</tbody></table></div>{}",
            format_html_join(
                "", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", cells
            ),
            show.link(
                show.list_url("metervalue", transaction=row.transaction_id), "All meter values"
            ),
        )


def figures(row: MeterValue) -> tuple[str, str, str]:
    """Register in kWh, power in kW, state of charge in %."""
    return (
        show.kilowatt_hours(row.energy),
        show.kilowatt_hours(row.power),
        show.EMPTY if row.soc is None else f"{row.soc:.0f}\N{NO-BREAK SPACE}%",
    )


def samples_text(samples: Any) -> str:
    """Sampled values in one line, whatever the charge point sent."""
    if not isinstance(samples, list):
        return str(samples)
    return ", ".join(_sample_text(sample) for sample in samples)


def _sample_text(sample: Any) -> str:
    if not isinstance(sample, dict):
        return str(sample)
    names = (sample.get("measurand", "Energy.Active.Import.Register"), sample.get("phase"))
    value = (sample.get("value", ""), sample.get("unit"))
    return f"{' '.join(str(n) for n in names if n)}: {' '.join(str(v) for v in value if v)}"


class TransactionFilter(TermFilter):
    title = "transactionId"
    parameter_name = "transaction"

    def narrow(self, queryset: "QuerySet[MeterValue]", term: str) -> "QuerySet[MeterValue]":
        return queryset.filter(transaction_id=transaction_pk(term))


def transaction_pk(term: str) -> int:
    """The row of this transactionId; -1, which no row has, when there is none."""
    if not term.isdecimal() or len(term) >= LARGEST_ID:
        return -1
    found = Transaction.objects.filter(transaction_id=int(term)).values_list("pk", flat=True)
    return next(iter(found), -1)


@admin.register(MeterValue)
class MeterValueAdmin(ReadOnlyAdmin):
    """Everything that was metered; the charge point or transaction leads to what is wanted."""

    list_display = (
        "received",
        "charge_point_column",
        "connector_id",
        "transaction_column",
        "kwh",
        "kw",
        "soc_column",
        "sampled",
        "doubts",
    )
    list_filter = (ChargePointFilter, TransactionFilter)
    search_fields = ("charge_point",)
    search_help_text = "Identity of the charge point or transactionId, exactly"
    fields = (
        "at",
        "timestamp",
        "received",
        "charge_point_column",
        "connector_id",
        "transaction_column",
        ("kwh", "kw", "soc_column"),
        "doubts",
        "raw",
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[MeterValue]":
        """Prefetched instead of joined: the database does not promise that the rows are there."""
        rows: QuerySet[MeterValue] = super().get_queryset(request)
        return rows.prefetch_related("charge_point", "transaction")

    def find(self, queryset: "QuerySet[MeterValue]", term: str) -> "QuerySet[MeterValue]":
        charge_point = charge_point_pk(term)
        if charge_point > 0:
            return queryset.filter(charge_point_id=charge_point)
        return queryset.filter(transaction_id=transaction_pk(term))

    @display(description="Time (UTC)")
    def at(self, row: MeterValue) -> SafeString | str:
        return show.moment(row.bucket_at)

    @display(description="Received (UTC)")
    def received(self, row: MeterValue) -> SafeString | str:
        return show.moment(row.received_at)

    @display(description="Charge point")
    def charge_point_column(self, row: MeterValue) -> SafeString | str:
        return show.charge_point_link(row.charge_point_id, row.charge_point.identity)

    @display(description="Transaction")
    def transaction_column(self, row: MeterValue) -> SafeString | str:
        if row.transaction is None:
            return show.EMPTY
        return show.link(
            show.change_url("transaction", row.transaction.pk), row.transaction.transaction_id
        )

    @display(description="Register (kWh)")
    def kwh(self, row: MeterValue) -> str:
        return figures(row)[0]

    @display(description="kW")
    def kw(self, row: MeterValue) -> str:
        return figures(row)[1]

    @display(description="SoC")
    def soc_column(self, row: MeterValue) -> str:
        return figures(row)[2]

    @display(description="Samples")
    def sampled(self, row: MeterValue) -> SafeString | str:
        return show.wrapped(samples_text(row.samples), 60)

    @display(description="Flags")
    def doubts(self, row: MeterValue) -> SafeString | str:
        return show.badges([show.badge(flag, "warn") for flag in row.flags or []])

    @display(description="Samples as sent")
    def raw(self, row: MeterValue) -> SafeString | str:
        return show.json_block(row.samples)
