"""Which gateways live: leases in the database, renewed while their process does (F13, F14).

A charge point's row names the gateway that has its socket, and an epoch that rises with each
connection. A gateway that stops renewing (kill -9, a machine gone) loses its charge points after
LEASE seconds: they are shown offline, and their commands wait. One that was only paused finds on
waking that its lease is gone; it closes its sockets, whose late messages the epoch refuses anyway.

Machines' clocks differ and jump (F16): nobody is judged by the times in the rows, only by whether
they change.
"""

import asyncio
import hashlib
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from django.db import Error, connection, transaction

from csms.models import ChargePoint, Gateway
from csms.services.online import charge_points_disconnect
from csms.services.threads import in_thread

logger = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two renewals."""
LEASE = 20.0
"""Seconds after which a gateway that did not renew counts as gone."""
HOST_LENGTH = 40
"""Characters of a host's name in that of a gateway."""


def gateway_name(port: int, worker: int = 0) -> str:
    """The same after a restart, so that what a predecessor held is released at once."""
    host = socket.gethostname()
    if len(host) > HOST_LENGTH:  # pods differ at the end of their names, machines at the beginning
        digest = hashlib.sha256(host.encode()).hexdigest()[:8]
        host = f"{host[: HOST_LENGTH - 9]}~{digest}"
    return f"{host}:{port}" + (f"/{worker}" if worker else "")


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


def gateways_leases() -> dict[str, datetime]:
    """The leases that there are: gateway → when it says that it renewed, by its own clock."""
    return dict(Gateway.objects.values_list("name", "seen_at"))


def gateways_reap(*, gone: Mapping[str, datetime]) -> int:
    """Give up gateways that have not renewed since then, and set their charge points offline; how
    many there were."""
    with transaction.atomic():
        given_up = [
            name
            for name, seen_at in sorted(gone.items())
            if Gateway.objects.filter(name=name, seen_at=seen_at).delete()[0]
        ]
        if given_up:
            charge_points_unowned()
    if given_up:
        names = ", ".join(given_up)
        logger.warning("Gateways that are gone: %s; their charge points are offline.", names)
    return len(given_up)


def charge_points_unowned() -> None:
    """Mark as offline who is connected to no gateway that lives."""
    living = Gateway.objects.values("name")
    charge_points_disconnect(ChargePoint.objects.filter(connected=True).exclude(owner__in=living))


class Watch:
    """Which leases are no longer renewed, by the monotonic clock of who looks."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[datetime, float]] = {}
        self._looked = 0.0

    def look(self, leases: Mapping[str, datetime], now: float) -> dict[str, datetime]:
        """Those that stayed as they are for LEASE seconds of looks without a gap.

        After a gap nobody is judged: perhaps the database was away and nobody could renew, or who
        looks was paused.
        """
        known = self._since if now - self._looked < 2 * BEAT else {}
        self._looked = now
        self._since = {
            name: known[name] if name in known and known[name][0] == seen_at else (seen_at, now)
            for name, seen_at in leases.items()
        }
        return {name: at for name, (at, since) in self._since.items() if now - since > LEASE}


class Lease:
    """The lease of this process, from its start to its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        """Of this gateway; another one after `lost`, when somebody else has taken it."""
        self._given = name
        self._begun = datetime.now(UTC)

    async def begin(self) -> None:
        self._begun = datetime.now(UTC)
        await in_thread(gateway_begin, name=self.name, now=self._begun)

    async def end(self) -> None:
        await in_thread(gateway_end, name=self.name, begun=self._begun)

    async def hold(self, lost: Callable[[], Awaitable[None]]) -> None:
        """Renew it until cancelled, and give up those of others; `lost` when it was given up, to
        close all connections."""
        watch = Watch()
        while True:
            await asyncio.sleep(BEAT)
            try:
                now = datetime.now(UTC)
                if not await in_thread(gateway_beat, name=self.name, begun=self._begun, now=now):
                    await self._begin_anew()
                    await lost()
                leases = await in_thread(gateways_leases)
                if gone := watch.look(leases, time.monotonic()):
                    await in_thread(gateways_reap, gone=gone)
            except Error as error:
                logger.warning("The lease cannot be renewed now: %s", error)

    async def _begin_anew(self) -> None:
        """Begin once more, first of all: what connects from now on belongs to the new lease.

        Who goes by the same name (a machine of the same name, or a successor of this process) keeps
        it: else the two would take it from each other for ever.
        """
        if self.name in await in_thread(gateways_leases):
            logger.error(
                "Another process took the name %s (two hosts of one name?): charge points connect "
                "anew, to a gateway of another name.",
                self.name,
            )
            self.name = f"{self._given}+{secrets.token_hex(3)}"
        else:
            logger.warning("The lease ran out (a pause?): charge points connect anew.")
        await self.begin()
