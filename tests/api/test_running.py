"""The API of a running system, with simulated charge points of both transports behind it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from csms.models import ChargePoint
from csms.services import clock
from tests import factories
from tests.api.caller import caller
from tests.running import PATIENCE, System
from tests.simulated import simulated


@pytest.fixture
def effects(system: System) -> Iterator[None]:
    """Effects are watched, as `manage.py serve` does."""

    async def stop() -> None:
        watching.cancel()
        await asyncio.wait([watching])

    async def start() -> "asyncio.Task[None]":
        return asyncio.create_task(clock.watch_effects())

    watching = system.run(start())
    yield
    system.run(stop())


@pytest.fixture
def http(system: System) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{system.http_url}/api/v1/",
        headers={"Authorization": f"Bearer {caller('all').token}"},
        timeout=3 * PATIENCE,
        trust_env=False,
    ) as client:
        yield client


def ask(http: httpx.Client, method: str, path: str, **how: Any) -> dict[str, Any]:
    response = http.request(method, path, **how)
    assert response.status_code in (200, 201, 202), response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize("transport", ["json", "soap"])
def test_a_reset_is_sent_accepted_and_seen(
    transport: str, system: System, http: httpx.Client, effects: None
) -> None:
    ask(
        http,
        "POST",
        "charge-points",
        json={"identity": "CP1", "transport": transport, "security_profile": 0},
    )
    system.deliver()
    with simulated(system, ChargePoint.objects.get(identity="CP1"), speed=20):
        command = ask(
            http,
            "POST",
            "charge-points/CP1/commands",
            json={"action": "Reset", "payload": {"type": "Soft"}, "expires_in": 3600},
            headers={"Idempotency-Key": "reset-1"},
        )
        assert command["state"] in ("queued", "sent", "accepted")
        answered = ask(http, "GET", f"commands/{command['id']}?wait=20")
        assert answered["state"] == "accepted", answered
        assert answered["answer"] == {"status": "Accepted"}
        seen = ask(http, "GET", f"commands/{command['id']}?wait=20&until=effect")
        assert ask(http, "GET", "charge-points?online=true")["items"][0]["identity"] == "CP1"
        assert (seen["effect"], seen["effect_text"]) == ("seen", "The charge point has booted.")


def test_many_long_polls_hold_up_nobody(system: System, http: httpx.Client) -> None:
    waiting = factories.command(factories.charge_point())

    async def crowd() -> list[int]:
        async with httpx.AsyncClient(
            base_url=http.base_url, headers=http.headers, timeout=2 * PATIENCE, trust_env=False
        ) as client:
            polls = [
                asyncio.create_task(client.get(f"commands/{waiting.pk}?wait=3")) for _ in range(40)
            ]
            await asyncio.sleep(0.5)
            async with asyncio.timeout(2):
                assert (await client.get("charge-points")).status_code == 200
            return [response.status_code for response in await asyncio.gather(*polls)]

    assert asyncio.run(crowd()) == [200] * 40
