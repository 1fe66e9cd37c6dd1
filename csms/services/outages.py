"""Which errors of a database are never the fault of what was to be written (F3)."""

from django.db import InterfaceError, InternalError, OperationalError

OUTAGES = (OperationalError, InterfaceError, InternalError)
"""Gone, locked, full, deadlocked; InternalError: it takes no writes (PostgreSQL's 25006, after a
failover), or ended a transaction that had been idle because this process was paused (25P03)."""
