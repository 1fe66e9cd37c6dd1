"""Online and offline: a condition for lists and counts (ChargePoint.is_online says it of one), and
those who come and go."""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import (
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    Func,
    Q,
    QuerySet,
    Value,
)
from django.db.models.functions import Coalesce, NullIf

from csms.conf import settings
from csms.models import ChargePoint, SoapPresence
from csms.models.charge_points import ONLINE_INTERVALS, Transport
from csms.services.webhook_events import note_presence, presence_wanted

AT_ONCE = 500
"""Charge points whose coming or going is written in one transaction."""


class Silence(Func):
    """How long a charge point with this heartbeat interval (s) may say nothing.

    Django multiplies no number with a duration on SQLite, which keeps durations in microseconds.
    """

    output_field = DurationField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        factor = f"{round(ONLINE_INTERVALS * 1_000_000)}"
        return self._times(factor, compiler, connection, extra_context)

    def as_postgresql(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        factor = f"interval '{ONLINE_INTERVALS} seconds'"
        return self._times(factor, compiler, connection, extra_context)

    def _times(self, factor: str, compiler: Any, connection: Any, context: dict[str, Any]) -> Any:
        context |= {"template": f"(%(expressions)s * {factor})"}
        return self.as_sql(compiler, connection, **context)


def online_condition(now: datetime) -> Q:
    """JSON: a socket is open. SOAP: any request within 2.5 heartbeat intervals."""
    default = Value(settings().heartbeat_interval)
    silence = Silence(Coalesce(NullIf(F("heartbeat_interval"), 0), default))
    oldest = ExpressionWrapper(Value(now) - silence, output_field=DateTimeField())
    return Q(transport=Transport.JSON, connected=True) | Q(
        transport=Transport.SOAP, last_seen__isnull=False, last_seen__gte=oldest
    )


def charge_points_disconnect(charge_points: "QuerySet[ChargePoint]") -> None:
    """Mark JSON charge points as connected to nobody, and tell of it.

    No connector status is rewritten and no transaction closed: being offline says nothing of them.
    """
    with transaction.atomic():
        if presence_wanted():
            gone = list(charge_points.filter(connected=True).select_for_update().order_by("pk"))
            note_presence(gone, online=False, at=datetime.now(UTC))
            charge_points = ChargePoint.objects.filter(pk__in=[row.pk for row in gone])
        charge_points.update(connected=False, owner="")


def soap_presence_check(*, now: datetime) -> int:
    """Tell of SOAP charge points that spoke again, or were silent too long; how many, at most
    AT_ONCE of each.

    They have no socket whose end would tell: SoapPresence holds what was told last.
    """
    online = Q(transport=Transport.SOAP) & online_condition(now)
    with transaction.atomic():
        came = ChargePoint.objects.filter(online, presence=None).select_for_update(
            of=("self",), skip_locked=True
        )
        here = list(came.order_by("pk")[:AT_ONCE])
        SoapPresence.objects.bulk_create(SoapPresence(charge_point=row, since=now) for row in here)
        note_presence(here, online=True, at=now)
        silent = SoapPresence.objects.exclude(
            charge_point__in=ChargePoint.objects.filter(online)
        ).select_for_update(of=("self",), skip_locked=True)
        gone = list(silent.select_related("charge_point").order_by("pk")[:AT_ONCE])
        SoapPresence.objects.filter(pk__in=[row.pk for row in gone]).delete()
        away = [row.charge_point for row in gone if row.charge_point.transport == Transport.SOAP]
        note_presence(away, online=False, at=now)
    return len(here) + len(gone)
