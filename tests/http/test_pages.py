"""Pages have threads of their own."""

import asyncio
import threading

from csms.services.threads import in_page_thread, in_thread


def test_pages_that_take_long_hold_up_no_charge_point() -> None:
    """Logins, commands and leases are services; twenty busy pages leave them their threads."""
    over = threading.Event()

    async def scenario() -> str:
        pages = [asyncio.ensure_future(in_page_thread(over.wait, timeout=30)) for _ in range(20)]
        try:
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                return await in_thread(lambda: "answered")
        finally:
            over.set()
            await asyncio.gather(*pages)

    assert asyncio.run(scenario()) == "answered"
