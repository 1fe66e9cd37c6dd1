"""Run synchronous services off the event loop, each with a database connection in good state."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")

_pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="services")
_slow = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slow")
_pages = ThreadPoolExecutor(max_workers=8, thread_name_prefix="pages")
_files = ThreadPoolExecutor(max_workers=4, thread_name_prefix="files")


def _call(function: Callable[..., T], arguments: dict[str, Any]) -> T:
    try:
        return function(**arguments)
    finally:
        # On PostgreSQL the connection goes back to the pool; on SQLite it stays with its thread.
        if connection.vendor == "postgresql" or connection.errors_occurred:
            connection.close()


async def in_slow_thread(function: Callable[..., T], /, **arguments: Any) -> T:
    """The same one after another in a thread aside: for what takes long, so that nobody else waits
    for it (slow hashes of passwords that somebody may be guessing)."""
    return await asyncio.get_running_loop().run_in_executor(_slow, _call, function, arguments)


async def in_page_thread(function: Callable[..., T], /, **arguments: Any) -> T:
    """The same in a pool of its own: pages that take long hold up no charge point."""
    return await _run(_pages, function, arguments)


async def in_file_thread(function: Callable[..., T], /, **arguments: Any) -> T:
    """The same in a pool of its own: slow disks and storages hold up nothing else."""
    return await _run(_files, function, arguments)


async def in_thread(function: Callable[..., T], /, **arguments: Any) -> T:
    """The result of a service, run in a thread of a small pool."""
    return await _run(_pool, function, arguments)


async def _run(
    pool: ThreadPoolExecutor, function: Callable[..., T], arguments: dict[str, Any]
) -> T:
    """The thread knows the caller's context: of which request a line of the log is."""
    known = copy_context().run
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool, known, _call, function, arguments)
