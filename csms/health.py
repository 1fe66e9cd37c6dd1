"""Whether this process lives, and whether it can take messages: for whoever restarts it or sends it
traffic.

    GET /health/live    200 as long as the event loop answers
    GET /health/ready   200 when all checks hold, else 503; one line of JSON for each check

Nobody needs to log in for these. They say yes or no and never why: the log says that.
"""

import json
from functools import cache
from http import HTTPStatus
from typing import Any, Protocol

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from csms.pages import Page
from csms.sampling import Sample

LINES = "application/x-ndjson"

ANSWERS_WITHIN = 2.0
"""Seconds that the database has for a trivial question."""
KEEP = 1.0
"""Seconds for which its answer holds, so that nobody can keep it busy by asking."""


class Inbox(Protocol):
    """What is asked of `csms.services.inbox.Inbox`."""

    @property
    def alive(self) -> bool: ...
    @property
    def full(self) -> bool: ...


class Health:
    """The two pages of one process."""

    def __init__(self, inbox: Inbox, *, within: float = ANSWERS_WITHIN) -> None:
        self._inbox = inbox
        self._migrated = Sample(is_migrated, keep=KEEP, within=within)

    async def live(self, scope: Any) -> Page:
        return _page({"loop": True})

    async def ready(self, scope: Any) -> Page:
        migrated = await self._migrated.read()
        return _page(
            {
                "database": migrated is not None,
                "migrations": migrated is True,
                "inbox": self._inbox.alive and not self._inbox.full,
            }
        )


def _page(checks: dict[str, bool]) -> Page:
    lines = "".join(json.dumps({"check": name, "ok": ok}) + "\n" for name, ok in checks.items())
    fine = all(checks.values())
    status = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(status, lines.encode(), LINES)


def is_migrated() -> bool:
    """Whether the database has all migrations of this program; it may have later ones."""
    return _last_migrations() <= set(MigrationRecorder(connection).applied_migrations())


@cache
def _last_migrations() -> set[tuple[str, str]]:
    """The last migration of each application, as (application, name)."""
    return set(MigrationLoader(None).graph.leaf_nodes())
