"""Empties the tables after a test whose threads commit, in a tenth of the time Django takes.

What never changes (permissions, roles) stays: Django makes it anew after each test. On PostgreSQL
rows are deleted: TRUNCATE makes new files for all tables, their partitions and indexes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KEPT = frozenset({"auth_group", "auth_group_permissions", "auth_permission", "django_content_type"})


@contextmanager
def quickly() -> Iterator[None]:
    """Change Django's `flush` for the time of a test run."""
    from django.core.management import CommandError
    from django.core.management.commands import flush
    from django.db import connection

    operations = type(connection.ops)
    statements, emptied = operations.sql_flush, flush.Command.handle
    roles: list[Any] = []

    def few(self: Any, style: Any, tables: list[str], **options: Any) -> list[str]:
        tables = [table for table in tables if table not in KEPT]
        if connection.vendor != "postgresql":
            found: list[str] = statements(self, style, tables, **options)
            return found
        rows = "; ".join(f"DELETE FROM {self.quote_name(table)}" for table in tables)
        return [f"SET LOCAL session_replication_role = replica; {rows}"]  # no foreign keys

    def handle(self: flush.Command, **options: Any) -> None:
        options["inhibit_post_migrate"] = True
        for attempt in range(4):
            try:
                emptied(self, **options)
                break
            except CommandError as error:
                # A thread of a test that has ended may still be writing.
                if attempt == 3 or "deadlock" not in str(error.__cause__):
                    raise
        _restore(roles)

    operations.sql_flush = few  # type: ignore[method-assign,assignment]
    flush.Command.handle = handle  # type: ignore[method-assign]
    try:
        yield
    finally:
        operations.sql_flush = statements  # type: ignore[method-assign]
        flush.Command.handle = emptied  # type: ignore[method-assign]


def _restore(known: list[Any]) -> None:
    """The groups as the migrations made them, when a test has changed them."""
    from django.contrib.auth.models import Group

    from csms.services.roles import ROLES, roles_update

    def found() -> list[Any]:
        return [
            sorted(Group.objects.values_list("name", flat=True)),
            Group.permissions.through.objects.count(),
        ]

    if not known:
        _remake(Group, ROLES, roles_update)
        known += found()
    elif found() != known:
        _remake(Group, ROLES, roles_update)


def _remake(group: Any, roles: Any, update: Any) -> None:
    group.objects.exclude(name__in=roles).delete()
    update()
