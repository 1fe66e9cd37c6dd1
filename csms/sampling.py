"""What the database says, for those who ask often: once at a time, in a thread aside, and not for
longer than they can wait."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from django.db import Error, connection

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Sample(Generic[T]):
    """The latest answer of a function over the database.

    It is asked again when its answer is older than `keep` seconds, however many want to know, and
    in a thread of its own: neither a database that hangs nor busy services delay anything else.
    """

    def __init__(self, ask: Callable[[], T], *, keep: float, within: float) -> None:
        self._ask = ask
        self._keep = keep
        self._within = within
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sample")
        self._asking: asyncio.Future[T | None] | None = None
        self._answer: T | None = None
        self._until = 0.0

    async def read(self) -> T | None:
        """The answer; None when the database has none within `within` seconds."""
        if self._asking is None:
            if time.monotonic() < self._until:
                return self._answer
            loop = asyncio.get_running_loop()
            self._asking = loop.run_in_executor(self._thread, self._asked)
            self._asking.add_done_callback(self._note)
        asking = self._asking
        await asyncio.wait([asking], timeout=self._within)
        return asking.result() if asking.done() else None

    def _note(self, asking: "asyncio.Future[T | None]") -> None:
        self._asking = None
        if asking.exception() is None:
            self._answer = asking.result()
            self._until = time.monotonic() + self._keep

    def _asked(self) -> T | None:
        try:
            return self._ask()
        except Error as error:
            logger.debug("The database does not say how it is: %s", error)
            return None
        finally:
            connection.close()
