"""Leases of gateways: whose charge points are online (F13, F14)."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import pytest

from csms.models import ChargePoint, Gateway
from csms.services import gateways
from csms.services.admission import charge_point_connect
from csms.services.gateways import (
    BEAT,
    LEASE,
    Lease,
    Watch,
    gateway_beat,
    gateway_begin,
    gateway_end,
    gateway_name,
    gateways_leases,
    gateways_reap,
)
from csms.services.threads import in_thread
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
    Gateway.objects.create(name="lives", started_at=NOW, seen_at=NOW)
    connected("L1", "lives")
    seen = gateways_leases()
    assert gateway_beat(name="lives", begun=NOW, now=NOW + timedelta(seconds=1))
    assert gateways_reap(gone=seen) == 1  # the other one has renewed meanwhile
    assert online() == {"L1"}
    assert not gateway_beat(name="paused", begun=NOW, now=NOW)
    assert gateway_beat(name="lives", begun=NOW, now=NOW)


def looked(watch: Watch, leases: dict[str, datetime], began: float, seconds: float) -> set[str]:
    """Who counts as gone after looks at the same leases, one each BEAT."""
    gone: set[str] = set()
    for number in range(int(seconds / BEAT) + 1):
        gone |= watch.look(leases, began + number * BEAT).keys()
    return gone


def test_f16_nobody_is_judged_by_a_clock_that_is_wrong() -> None:
    """A lease is over when it has not changed for a while, whatever time it says."""
    watch, past, future = Watch(), NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    assert looked(watch, {"slow": past, "fast": future}, 1000, LEASE) == set()
    slow = {"slow": past + timedelta(seconds=5), "fast": future}
    assert looked(watch, slow, 1000 + LEASE + BEAT, LEASE - BEAT) == {"fast"}
    assert watch.look({}, 1000 + 2 * LEASE + BEAT) == {}


def test_nobody_is_judged_after_a_gap() -> None:
    """The database was away, or who looks was paused: the others could not renew, or might have."""
    watch, leases = Watch(), {"other": NOW}
    assert looked(watch, leases, 1000, LEASE) == set()
    assert looked(watch, leases, 1000 + 2 * LEASE, LEASE) == set()
    assert looked(watch, leases, 1000 + 3 * LEASE + BEAT, 0) == {"other"}


def test_names_of_long_hosts_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods of one deployment differ in the last letters of their names only."""
    pod = "csms-gateway-of-a-deployment-with-a-long-name-7d9f8b6c5"
    names = set()
    for host in (f"{pod}-abcde", f"{pod}-fghij", "gw1", "gw2"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        names |= {gateway_name(65000), gateway_name(65000, 999)}
        assert gateway_name(65000) == gateway_name(65000)
    assert len(names) == 8
    assert max(map(len, names)) + len("+abcdef") <= 64


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
        assert "a" in await in_thread(gateways_leases)  # who connects now belongs to the new one

    async def scenario() -> None:
        lease = Lease("a")
        await lease.begin()
        holding = asyncio.create_task(lease.hold(lost))
        await asyncio.sleep(0.3)
        assert calls == []
        await asyncio.to_thread(given_up)
        await asyncio.sleep(0.5)
        assert lease.name == "a"
        holding.cancel()
        await lease.end()

    def given_up() -> None:
        from django.db import connection

        Gateway.objects.all().delete()
        connection.close()

    asyncio.run(scenario())
    assert calls == ["lost"]
    assert not Gateway.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_of_one_name_do_not_fight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines of one name: the first one goes on under another, and both keep their leases."""
    monkeypatch.setattr(gateways, "BEAT", 0.05)
    lost: list[str] = []

    async def scenario() -> None:
        first, second = Lease("a"), Lease("a")
        holding = []
        for name, lease in (("first", first), ("second", second)):

            async def note(name: str = name) -> None:
                lost.append(name)

            await lease.begin()
            holding.append(asyncio.create_task(lease.hold(note)))
        await asyncio.sleep(1)
        assert second.name == "a"
        assert set(await in_thread(gateways_leases)) == {first.name, "a"}
        assert first.name.startswith("a+")
        for task in holding:
            task.cancel()
        await first.end()
        await second.end()

    asyncio.run(scenario())
    assert lost == ["first"]
    assert not Gateway.objects.exists()
