"""Online and offline, as a condition for lists and counts; ChargePoint.is_online says it of one."""

from datetime import datetime
from typing import Any

from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Func, Q, Value
from django.db.models.functions import Coalesce, NullIf

from csms.conf import settings
from csms.models.charge_points import ONLINE_INTERVALS, Transport


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
