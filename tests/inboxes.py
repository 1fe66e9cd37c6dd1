"""What inboxes made for tests have in common."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from csms.services.inbox import Incoming, Outcome
from csms.services.jobs import Done


class HandsOver:
    """Adds `hand_over` to what has `submit`."""

    submit: Callable[[Incoming], Awaitable[Outcome]]

    def hand_over(self, incoming: Incoming, loop: asyncio.AbstractEventLoop, done: Done) -> None:
        async def decide() -> None:
            try:
                result: Outcome | BaseException = await self.submit(incoming)
            except Exception as error:
                result = error
            done(result)

        task: asyncio.Task[Any] = loop.create_task(decide())
        self.__dict__.setdefault("tasks", set()).add(task)
