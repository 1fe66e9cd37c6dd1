"""Online and offline, as a condition for lists and counts; ChargePoint.is_online says it of one."""

from datetime import datetime, timedelta

from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from csms.conf import settings
from csms.models import ChargePoint
from csms.models.charge_points import ONLINE_INTERVALS, Transport


def online_condition(now: datetime) -> Q:
    """JSON: a socket is open. SOAP: any request within 2.5 heartbeat intervals."""
    seconds = Coalesce(F("heartbeat_interval"), Value(settings().heartbeat_interval))
    silence = ExpressionWrapper(
        seconds * Value(timedelta(seconds=ONLINE_INTERVALS)), output_field=DurationField()
    )
    oldest = ExpressionWrapper(Value(now) - silence, output_field=DateTimeField())
    return Q(transport=Transport.JSON, connected=True) | Q(
        transport=Transport.SOAP, last_seen__isnull=False, last_seen__gte=oldest
    )


def is_online(charge_point: ChargePoint) -> bool:
    return charge_point.is_online(
        now=timezone.now(), heartbeat_interval=settings().heartbeat_interval
    )
