"""Leases of gateways: whose charge points are online (F13, F14)."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from csms.models import ChargePoint, Gateway
from csms.services import gateways
from csms.services.admission import charge_point_connect
from csms.services.gateways import (
    LEASE,
    Lease,
    gateway_beat,
    gateway_begin,
    gateway_end,
    gateways_reap,
)
from tests import factories

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


def online() -> set[str]:
    return set(ChargePoint.objects.filter(connected=True).values_list("identity", flat=True))


def connected(identity: str, gateway: str) -> ChargePoint:
    row = factories.charge_point(identity=identity)
    charge_point_connect(pk=row.pk, gateway=gateway, remote_address="192.0.2.9", now=NOW)
    return row


@pytest.mark.django_db
def test_a_restart_releases_its_own_and_what_nobody_holds(db: None) -> None:
    gateway_begin(name="a", now=NOW)
    connected("A1", "a")
    connected("LOST", "of a process that never had a lease")
    gateway_begin(name="a", now=NOW + timedelta(seconds=1))  # killed, started again
    assert online() == set()


@pytest.mark.django_db
@pytest.mark.postgres
def test_another_start_takes_nothing_from_who_lives() -> None:
    gateway_begin(name="a", now=NOW)
    connected("A1", "a")
    gateway_begin(name="b", now=NOW)
    connected("B1", "b")
    assert online() == {"A1", "B1"}
    gateway_end(name="b", begun=NOW)
    assert online() == {"A1"}


@pytest.mark.django_db
@pytest.mark.sqlite
def test_on_sqlite_there_is_only_one() -> None:
    gateway_begin(name="a", now=NOW)
    connected("A1", "a")
    gateway_begin(name="b", now=NOW)
    assert online() == set()
    assert [gateway.name for gateway in Gateway.objects.all()] == ["b"]


@pytest.mark.django_db
def test_f14_a_lease_that_runs_out() -> None:
    """Who does not renew is given up; waking up, it is told so; the others keep theirs."""
    gateway_begin(name="paused", now=NOW)
    connected("P1", "paused")
    later = NOW + timedelta(seconds=LEASE)
    assert gateways_reap(now=later) == 0
    Gateway.objects.create(name="lives", started_at=NOW, seen_at=later)
    connected("L1", "lives")
    assert gateways_reap(now=later + timedelta(seconds=1)) == 1
    assert online() == {"L1"}
    assert not gateway_beat(name="paused", begun=NOW, now=later)
    assert gateway_beat(name="lives", begun=NOW, now=later)


@pytest.mark.django_db
def test_a_predecessor_that_wakes_up_neither_renews_nor_ends_its_successor() -> None:
    gateway_begin(name="a", now=NOW)
    gateway_begin(name="a", now=NOW + timedelta(seconds=30))
    connected("A1", "a")
    assert not gateway_beat(name="a", begun=NOW, now=NOW + timedelta(seconds=31))
    gateway_end(name="a", begun=NOW)
    assert online() == {"A1"}


@pytest.mark.django_db(transaction=True)
def test_a_lost_lease_closes_the_sockets_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways, "BEAT", 0.05)
    calls: list[str] = []

    async def lost() -> None:
        calls.append("lost")

    async def scenario() -> None:
        lease = Lease("a")
        await lease.begin()
        holding = asyncio.create_task(lease.hold(lost))
        await asyncio.sleep(0.3)
        assert calls == []
        await asyncio.to_thread(given_up)
        await asyncio.sleep(0.5)
        holding.cancel()
        await lease.end()

    def given_up() -> None:
        from django.db import connection

        Gateway.objects.all().delete()
        connection.close()

    asyncio.run(scenario())
    assert calls == ["lost"]
    assert not Gateway.objects.exists()
