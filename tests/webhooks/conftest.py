"""A running central system that may send webhooks to this machine, receivers, a browser."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import api, light_hashes, reader
from tests.browser.conftest import browser, pytest_configure, visitor
from tests.fixtures import system

if TYPE_CHECKING:
    from tests.running import System
    from tests.webhooks.receiver import Receiver

__all__ = ["api", "browser", "light_hashes", "pytest_configure", "reader", "system", "visitor"]

ALLOWED = {"CSMS_WEBHOOK_NETWORKS": "127.0.0.0/8,::1/128", "CSMS_WEBHOOK_HTTP": "1"}


@pytest.fixture(scope="module")
def lasting_system(django_db_setup: None) -> "Iterator[System]":
    from tests.running import running

    with running(CSMS_SOAP_CALLBACK_NETWORKS="127.0.0.0/8", **ALLOWED) as system:
        yield system


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Webhooks may lead to this machine."""
    from csms import conf

    for name, value in ALLOWED.items():
        monkeypatch.setenv(name, value)
    conf.settings.cache_clear()
    yield
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.fixture(autouse=True)
def _nobody_wants_anything() -> Iterator[None]:
    """No subscription of another test is remembered."""
    from csms.services import webhooks

    webhooks.forget()
    yield
    webhooks.forget()


@pytest.fixture
def receiver() -> "Iterator[Receiver]":
    from tests.webhooks.receiver import Receiver

    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def delivering(system: "System") -> "Iterator[System]":
    """A system that delivers webhooks."""
    from csms.services.webhook_delivery import Delivery

    async def start() -> "asyncio.Task[None]":
        return asyncio.create_task(Delivery().run())

    task = system.run(start())
    yield system

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    system.run(stop())
