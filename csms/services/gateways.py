"""Which gateways live: leases in the database, renewed while their process does (F13, F14).

A charge point's row names the gateway that has its socket, and an epoch that rises with each
connection. A gateway that stops renewing (kill -9, a machine gone) loses its charge points after
LEASE seconds: they are shown offline, and their commands wait. One that was only paused finds on
waking that its lease is gone; it closes its sockets, whose late messages the epoch refuses anyway.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from django.db import Error, connection, transaction

from csms.models import ChargePoint, Gateway
from csms.services.online import charge_points_disconnect
from csms.services.threads import in_thread

logger = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two renewals."""
LEASE = 20.0
"""Seconds after which a gateway that did not renew counts as gone."""


def gateway_name(port: int, worker: int = 0) -> str:
    """The same after a restart, so that what a predecessor held is released at once."""
    return f"{socket.gethostname()[:48]}:{port}" + (f"/{worker}" if worker else "")


def gateway_begin(*, name: str, now: datetime) -> None:
    """A gateway starts: nobody is connected to it. On SQLite there is only one."""
    with transaction.atomic():
        if connection.vendor == "sqlite":
            Gateway.objects.all().delete()
        Gateway.objects.update_or_create(name=name, defaults={"started_at": now, "seen_at": now})
        _release(name)
    charge_points_unowned()


def gateway_beat(*, name: str, begun: datetime, now: datetime) -> bool:
    """Renew the lease of a gateway that began then; false when it was given up as gone."""
    return bool(Gateway.objects.filter(name=name, started_at=begun).update(seen_at=now))


def gateway_end(*, name: str, begun: datetime) -> None:
    """A gateway ends in order."""
    with transaction.atomic():
        if Gateway.objects.filter(name=name, started_at=begun).delete()[0]:
            _release(name)


def _release(name: str) -> None:
    charge_points_disconnect(ChargePoint.objects.filter(connected=True, owner=name))


def gateways_reap(*, now: datetime) -> int:
    """Give up the gateways whose lease ran out, and set their charge points offline."""
    with transaction.atomic():
        gone = [
            gateway.name
            for gateway in Gateway.objects.select_for_update(skip_locked=True).filter(
                seen_at__lt=now - timedelta(seconds=LEASE)
            )
        ]
        Gateway.objects.filter(name__in=gone).delete()
    if gone:
        logger.warning("%d gateways are gone; their charge points are offline.", len(gone))
        charge_points_unowned()
    return len(gone)


def charge_points_unowned() -> None:
    """Mark as offline who is connected to no gateway that lives."""
    living = list(Gateway.objects.values_list("name", flat=True))
    charge_points_disconnect(ChargePoint.objects.filter(connected=True).exclude(owner__in=living))


class Lease:
    """The lease of this process, from its start to its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._begun = datetime.now(UTC)

    async def begin(self) -> None:
        self._begun = datetime.now(UTC)
        await in_thread(gateway_begin, name=self.name, now=self._begun)

    async def end(self) -> None:
        await in_thread(gateway_end, name=self.name, begun=self._begun)

    async def hold(self, lost: Callable[[], Awaitable[None]]) -> None:
        """Renew it until cancelled, and give up those of others; `lost` when it was given up.

        Others are judged only after LEASE seconds of renewals without a gap: when the database
        comes back nobody could renew, and nobody is gone.
        """
        steady_since = time.monotonic()
        while True:
            await asyncio.sleep(BEAT)
            began = time.monotonic()
            try:
                now = datetime.now(UTC)
                if not await in_thread(gateway_beat, name=self.name, begun=self._begun, now=now):
                    logger.warning("The lease ran out (a pause?): charge points connect anew.")
                    await lost()
                    await self.begin()
                    steady_since = began
                if began - steady_since > LEASE:
                    await in_thread(gateways_reap, now=datetime.now(UTC))
            except Error as error:
                logger.warning("The lease cannot be renewed now: %s", error)
                steady_since = time.monotonic()
            else:
                if time.monotonic() - began > BEAT:
                    steady_since = time.monotonic()
