"""What refused messages of an address may cost: beyond that it is asked who it is before anything
is parsed, and who is known goes on."""

import gzip

import pytest

from ocpp_soap import budget, guard
from ocpp_soap.budget import REGAINED, Budget
from tests.ocpp_soap.house import HEARTBEAT, House, basic, fault_of, message

pytestmark = pytest.mark.anyio

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_network_spends_its_own() -> None:
    clock = Clock()
    budget = Budget(most=1.0, now=clock)
    assert not budget.is_spent(HERE)
    budget.spend(HERE, 0.6)
    assert not budget.is_spent(HERE)
    budget.spend(HERE, 0.6)
    assert budget.is_spent(HERE)
    assert not budget.is_spent(THERE)


async def test_it_is_regained() -> None:
    clock = Clock()
    budget = Budget(most=1.0, now=clock)
    budget.spend(HERE, 1.5)
    clock.now += 0.4 / REGAINED
    assert budget.is_spent(HERE)
    clock.now += 0.2 / REGAINED
    assert not budget.is_spent(HERE)
    clock.now += 1000
    budget.spend(HERE, 0.9)  # nothing is saved up, and nothing owed
    assert not budget.is_spent(HERE)
    budget.spend(HERE, 0.2)
    assert budget.is_spent(HERE)


async def test_an_ipv6_network_is_one() -> None:
    budget = Budget(most=1.0)
    budget.spend("2001:db8::1", 2.0)
    assert budget.is_spent("2001:db8::ffff")
    assert not budget.is_spent("2001:db8:0:1::1")


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "NETWORKS", 3)
    many = Budget(most=1.0)
    for number in range(5):
        many.spend(f"192.0.2.{number}", 2.0)
    assert [many.is_spent(f"192.0.2.{number}") for number in range(5)] == [False] * 2 + [True] * 3


@pytest.fixture
def spent(house: House) -> House:
    """Who sends here has sent too much that was refused, and is not known by most names."""
    house.application._budget.spend("127.0.0.1", budget.MOST + 1)
    house.unknown.add("NOBODY")
    return house


async def test_beyond_it_nothing_of_strangers_is_parsed(
    spent: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    monkeypatch.setattr(guard, "parse", lambda *arguments: parsed.append(arguments))
    for text in (message("Heartbeat", identity="NOBODY"), "<a>" * 20_000, "[]"):
        response = await spent.post(text)
        assert (response.status_code, fault_of(response)[0]) == (429, "env:Sender")
        assert response.headers["connection"] == "close"
    assert parsed == []
    assert len(spent.inbox.entries) == 3


async def test_beyond_it_charge_points_go_on(spent: House) -> None:
    """By network, by password, by the path."""
    assert (await spent.post(HEARTBEAT)).status_code == 200
    spent.passwords["CP1"] = b"key"
    assert (await spent.post(HEARTBEAT)).status_code == 401
    given = basic("CP1", b"key")
    assert (await spent.post(HEARTBEAT, authorization=given)).status_code == 200
    long = message("DataTransfer", f"<vendorId>V</vendorId><data>{'x' * 200_000}</data>")
    assert (await spent.post(long, authorization=given)).status_code == 200
    nameless = HEARTBEAT.replace("chargeBoxIdentity", "other")
    assert (await spent.post(nameless, "/ocpp/soap/CP1", authorization=given)).status_code != 429


async def test_what_is_refused_is_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of strangers and of what is no message; nothing of those that are answered."""
    counted: list[float] = []
    monkeypatch.setattr(
        house.application._budget, "spend", lambda address, seconds: counted.append(seconds)
    )
    house.unknown.add("NOBODY")
    for text in (message("Heartbeat", identity="NOBODY"), "<a>" * 10_000, "<a/>" * 10_000):
        counted.clear()
        assert (await house.post(text)).status_code == 400
        assert sum(counted) > 0
    counted.clear()
    assert (await house.post(HEARTBEAT)).status_code == 200
    assert counted == []


@pytest.mark.parametrize(("identity", "status"), [("CP1", 200), ("NOBODY", 413)])
async def test_compressed_bodies_are_long_as_well(house: House, identity: str, status: int) -> None:
    """64 KiB before authentication, however few bytes they came as."""
    house.unknown.add("NOBODY")
    long = message(
        "DataTransfer", f"<vendorId>V</vendorId><data>{'x' * 100_000}</data>", identity=identity
    )
    packed = gzip.compress(long.encode())
    assert len(packed) < 2000
    response = await house.post(packed, content_encoding="gzip")
    assert response.status_code == status
