"""Several processes behind the same ports: `manage.py serve --workers N`.

Each worker is `manage.py serve` again, with its number; the system spreads connections over them
(SO_REUSEPORT). One that ends is started anew; when this process is told to end, they all are.
"""

import asyncio
import logging
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Sequence

logger = logging.getLogger("csms.serve")

REST = 1.0
"""Seconds between the end of a worker and its next start."""
QUICK = 5.0
"""A worker that ends sooner cannot start; when none of them ever could, all is ended."""
END_WITHIN = 25.0
"""Seconds for the workers to finish what they received."""


async def supervise(arguments: Sequence[str], count: int) -> int:
    """Run workers until SIGTERM or SIGINT; the exit status."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    numbers = range(1, count + 1)
    results = await asyncio.gather(*(_run(arguments, number, stopping) for number in numbers))
    return 0 if all(results) else 1


async def _run(arguments: Sequence[str], number: int, stopping: asyncio.Event) -> bool:
    """Keep one worker alive; false when it could not start."""
    lived = False
    while not stopping.is_set():
        began = time.monotonic()
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, sys.argv[0], "serve", *arguments, "--worker", str(number)),
            start_new_session=True,  # a Ctrl-C is for us, who then end it
        )
        ending = asyncio.ensure_future(worker.wait())
        told = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({ending, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ending.done():
            await _end(worker)
            break
        if stopping.is_set():
            break
        logger.error("Worker %d ended with status %s.", number, worker.returncode)
        if not lived and time.monotonic() - began < QUICK:
            stopping.set()
            return False
        lived = True
        await asyncio.sleep(REST)
    return True


async def _end(worker: Process) -> None:
    worker.terminate()
    try:
        async with asyncio.timeout(END_WITHIN):
            await worker.wait()
    except TimeoutError:
        worker.kill()
        await worker.wait()
