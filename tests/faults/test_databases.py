"""The database is gone, full, locked, read-only or slow: F3, F4, F18."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from tests.faults.conftest import NewSite
from tests.faults.databases import SmallDisk, files_limited, locked
from tests.faults.site import Site
from tests.faults.wire import (
    SoapCharger,
    Told,
    handshake,
    json_charger,
    start,
    stop,
    transaction_id,
    until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(300)]

Outage = Callable[[Site], contextlib.AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def halted(site: Site) -> AsyncIterator[None]:
    assert site.postgres is not None
    await asyncio.to_thread(site.postgres.halt)
    yield
    await asyncio.to_thread(site.postgres.restart)


@contextlib.asynccontextmanager
async def killed(site: Site) -> AsyncIterator[None]:
    assert site.postgres is not None
    await asyncio.to_thread(site.postgres.kill)
    yield
    await asyncio.to_thread(site.postgres.restart)


@contextlib.asynccontextmanager
async def read_only(site: Site) -> AsyncIterator[None]:
    assert site.postgres is not None
    await asyncio.to_thread(site.postgres.read_only, True)
    yield
    await asyncio.to_thread(site.postgres.read_only, False)


@contextlib.asynccontextmanager
async def no_file_grows(site: Site) -> AsyncIterator[None]:
    with files_limited(site.first.pid):
        yield


@contextlib.asynccontextmanager
async def locked_by_another(site: Site) -> AsyncIterator[None]:
    with locked(site.sqlite):
        yield


async def _suffer(site: Site, outage: Outage) -> None:
    """Both transports charge; the database goes; they are put off, not refused; it comes back."""
    soap = SoapCharger(site)
    async with site.open():
        charger = await json_charger(site)
        before = await charger.call("StartTransaction", start(1))
        assert before.reply is not None, before
        known = transaction_id(await soap.start(1))
        async with outage(site):
            told, refused, beat = await asyncio.gather(
                charger.call("StopTransaction", stop(before.reply["transactionId"], 9)),
                soap.start(2),
                soap.post("Heartbeat"),
            )
            # No CALLERROR and no Fault, which would use up their attempts: they queue offline.
            assert told == Told(closed=1013)
            assert (refused.status_code, beat.status_code) == (503, 503)
            # Behind another's lock the admission itself waits longer than a handshake may last.
            assert await handshake(site) in ({0, 503} if outage is locked_by_another else {503})
        await _recovered(site)
        charger = await json_charger(site)
        again = await charger.call("StartTransaction", start(1))
        assert again.reply == before.reply
        stopped = await charger.call("StopTransaction", stop(before.reply["transactionId"], 9))
        assert stopped.reply == {}
        assert transaction_id(await soap.start(1)) == known
        assert (await soap.start(2)).status_code == 200
        await charger.socket.close()
    found = "SELECT meter_start, state FROM csms_transaction ORDER BY meter_start, state"
    assert site.rows(found) == [(1, "ended"), (1, "stopped"), (2, "open")]


async def _recovered(site: Site) -> None:
    """What was put off comes back within seconds."""

    async def both() -> bool:
        beat = await SoapCharger(site).post("Heartbeat")
        return beat.status_code == 200 and await handshake(site, "json-1") == 101

    await until(both)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("outage", [halted, killed, read_only])
async def test_f3_postgresql_goes_and_returns(site: Site, outage: Outage) -> None:
    """F3: stopped, kill -9, or a standby that takes no writes."""
    await _suffer(site, outage)


@pytest.mark.slow
@pytest.mark.sqlite
@pytest.mark.parametrize("outage", [no_file_grows, locked_by_another])
async def test_f3_f18_sqlite_cannot_write(site: Site, outage: Outage) -> None:
    """F3, F18: no file can grow any more, or another process never ends its transaction."""
    await _suffer(site, outage)


@pytest.mark.slow
@pytest.mark.sqlite
async def test_f3_f18_disk_full(new_site: NewSite, small_disk: SmallDisk) -> None:
    """F3, F18: a file system without one free block."""

    @contextlib.asynccontextmanager
    async def full(site: Site) -> AsyncIterator[None]:
        small_disk.fill()
        yield
        small_disk.empty()

    await _suffer(new_site(folder=small_disk.folder / "data"), full)


@pytest.mark.slow
@pytest.mark.postgres
async def test_f3_disk_full_under_postgresql(new_site: NewSite, small_disk: SmallDisk) -> None:
    """F3: what still finds room in a page is stored and answered; a StopTransaction with hours of
    readings finds none, and is put off until there is room."""
    site = new_site(disk=small_disk)
    async with site.open():
        charger = await json_charger(site)
        before = await charger.call("StartTransaction", start(1))
        assert before.reply is not None, before
        number = before.reply["transactionId"]
        readings = [
            {
                "timestamp": f"2026-01-02T04:{n // 60:02}:{n % 60:02}Z",
                "sampledValue": [{"value": str(n)}],
            }
            for n in range(3000)
        ]
        ending = stop(number, 3001) | {"transactionData": readings}
        small_disk.fill()
        told = await charger.call("StopTransaction", ending)
        other = await SoapCharger(site).start(2)
        small_disk.empty()
        assert told == Told(closed=1013)
        assert other.status_code in (200, 503)
        await _recovered(site)
        charger = await json_charger(site)
        assert (await charger.call("StopTransaction", ending)).reply == {}
        await charger.socket.close()
    assert site.rows("SELECT energy FROM csms_transaction WHERE state = 'stopped'") == [(3000,)]
    assert site.rows("SELECT count(*) FROM csms_metervalue") == [(3000,)]


@contextlib.contextmanager
def _slow(site: Site):
    if site.postgres is None:
        with locked(site.sqlite):
            yield
        return
    site.postgres.pause()
    try:
        yield
    finally:
        site.postgres.resume()


async def test_f4_slow_database(site: Site) -> None:
    """F4: what is asked waits and is answered; meanwhile sockets live and pings are answered."""
    async with site.open():
        charger, other = await json_charger(site), await json_charger(site, "json-2")
        for each in (charger, other):
            assert (await each.call("Heartbeat", {})).reply
        with _slow(site):
            asked = asyncio.gather(
                charger.call("StartTransaction", start(1)), SoapCharger(site).start(1)
            )
            await asyncio.sleep(0.5)
            for _ in range(4):
                assert await charger.lives()
                assert await other.lives()
                await asyncio.sleep(0.5)
            assert not asked.done()
        told, response = await asked
        assert told.reply is not None
        assert response.status_code == 200
        assert (await other.call("Heartbeat", {})).reply
        for each in (charger, other):
            await each.socket.close()
