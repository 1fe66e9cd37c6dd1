"""Which errors of a database are never the fault of what was to be written (F3)."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import InterfaceError, InternalError, OperationalError

from csms.services.threads import in_thread

T = TypeVar("T")

OUTAGES = (OperationalError, InterfaceError, InternalError)
"""Gone, locked, full, deadlocked; InternalError: it takes no writes (PostgreSQL's 25006, after a
failover), or ended a transaction that had been idle because this process was paused (25P03)."""

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries of what must not be given up because of a moment without a database."""


async def patiently(function: Callable[..., T], /, **arguments: Any) -> T:
    """The result of a service, tried again after an outage; the last one is raised."""
    for pause in PAUSES:
        try:
            return await in_thread(function, **arguments)
        except OUTAGES:
            await asyncio.sleep(pause)
    return await in_thread(function, **arguments)
