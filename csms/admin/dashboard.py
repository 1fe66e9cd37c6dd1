"""The first page: what is up, what charges, what needs somebody. Few queries, all bounded."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from csms.admin import show
from csms.admin.online import online_condition
from csms.admin.paginator import bounded_count, bounded_text
from csms.models import (
    ChargePoint,
    Connector,
    QuarantinedMessage,
    SecurityEvent,
    Transaction,
    UnknownChargePoint,
)
from csms.models.charge_points import ChargePointStatus, Registration, Transport
from csms.models.transactions import TransactionState

EVENTS = 8
FOLDED = 500
"""Security events that are looked at for them."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the dashboard and the list it leads to; `kind` colours it when it is not 0."""

    title: str
    number: str
    url: str
    kind: str = "plain"
    small: str = ""


def context(request: HttpRequest, page: dict[str, Any]) -> dict[str, Any]:
    """Unfold's dashboard callback: adds what templates/admin/index.html shows, as permitted."""
    allowed = request.user.has_perm
    page["title"] = "Overview"
    page["tile_rows"] = [
        row
        for row in (
            _fleet() if allowed("csms.view_chargepoint") else [],
            _work(allowed),
        )
        if row
    ]
    if allowed("csms.view_securityevent"):
        page["events_url"] = show.list_url("securityevent")
        page["events"] = _events()
    return page


def _events() -> list[dict[str, Any]]:
    """The last security events; the same of the same charge point once, with their number."""
    last = SecurityEvent.objects.order_by("-id").values("pk")[:FOLDED]
    rows = (
        SecurityEvent.objects.filter(pk__in=last)
        .order_by()
        .values("identity", "kind")
        .annotate(times=Count("pk"), last=Max("pk"), at=Max("received_at"))
        .order_by("-last")[:EVENTS]
    )
    return [
        {
            "charger": show.clip(row["identity"] or "several", 28),
            "kind": show.clip(row["kind"], 40),
            "times": f"× {row['times']:,}" if row["times"] > 1 else "",
            "when": show.when(row["at"]),
            "url": show.change_url("securityevent", row["last"]),
        }
        for row in rows
    ]


def _fleet() -> list[Tile]:
    """Online of all, for each transport; one pass over the charge points."""
    online = Q(online_condition(timezone.now()))
    found = {
        row["transport"]: row
        for row in ChargePoint.objects.order_by()
        .values("transport")
        .annotate(
            total=Count("pk"),
            online=Count("pk", filter=online),
            pending=Count("pk", filter=Q(registration=Registration.PENDING)),
        )
    }
    tiles = []
    for transport in Transport:
        row = found.get(transport.value, {"total": 0, "online": 0})
        offline = row["total"] - row["online"]
        name = transport.label.split(" ")[0]
        tiles += [
            Tile(
                f"{name} online",
                f"{row['online']:,}",
                show.list_url("chargepoint", transport=transport.value, online=1),
                "good" if row["online"] else "plain",
                f"of {row['total']:,}",
            ),
            Tile(
                f"{name} offline",
                f"{offline:,}",
                show.list_url("chargepoint", transport=transport.value, online=0),
                "warn" if offline else "plain",
            ),
        ]
    pending = sum(row["pending"] for row in found.values())
    if pending:
        url = show.list_url("chargepoint", registration=Registration.PENDING.value)
        tiles.append(Tile("Waiting for approval", f"{pending:,}", url, "warn"))
    return tiles


def _work(allowed: Any) -> list[Tile]:
    """What charges, and what needs somebody."""
    asked: tuple[tuple[str, QuerySet[Any], tuple[str, dict[str, str]], str], ...] = (
        (
            "Open transactions",
            Transaction.objects.filter(state=TransactionState.OPEN),
            ("transaction", {"state": TransactionState.OPEN.value}),
            "info",
        ),
        (
            "Faulted connectors",
            Connector.objects.filter(status=ChargePointStatus.FAULTED),
            ("connector", {"status": ChargePointStatus.FAULTED.value}),
            "bad",
        ),
        (
            "Quarantined messages",
            QuarantinedMessage.objects.filter(resolved=False),
            ("quarantinedmessage", {"resolved": "0"}),
            "warn",
        ),
        (
            "Unknown charge points",
            UnknownChargePoint.objects.all(),
            ("unknownchargepoint", {}),
            "warn",
        ),
    )
    tiles = []
    for title, rows, (model, query), kind in asked:
        if allowed(f"csms.view_{model}"):
            count = bounded_count(rows)
            url = show.list_url(model, **query)
            tiles.append(Tile(title, bounded_text(count), url, kind if count else "plain"))
    return tiles
