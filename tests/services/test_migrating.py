"""Migrations on PostgreSQL."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import pre_migrate

from csms.apps import LIMITS


def limits() -> list[str]:
    with connection.cursor() as cursor:
        values = []
        for name in LIMITS:
            cursor.execute(f"SHOW {name}")
            values.append(cursor.fetchone()[0])
    return values


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_migration_may_take_its_time() -> None:
    """Server processes give up after seconds; a large table takes minutes."""
    before = limits()
    assert "0" not in before
    seen: list[list[str]] = []

    def look(**_: object) -> None:
        seen.append(limits())

    pre_migrate.connect(look, weak=False, dispatch_uid="test")
    try:
        call_command("migrate", verbosity=0)
    finally:
        pre_migrate.disconnect(dispatch_uid="test")
    assert seen[-1] == ["0", "0"]
    assert limits() == before
