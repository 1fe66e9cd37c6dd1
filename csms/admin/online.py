"""Online and offline for the admin's pages."""

from django.utils import timezone

from csms.conf import settings
from csms.models import ChargePoint
from csms.services.online import online_condition

__all__ = ["is_online", "online_condition"]


def is_online(charge_point: ChargePoint) -> bool:
    return charge_point.is_online(
        now=timezone.now(), heartbeat_interval=settings().heartbeat_interval
    )
