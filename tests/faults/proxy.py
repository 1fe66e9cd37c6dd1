"""A TCP proxy between chargers and servers: it cuts, swallows, delays and leads elsewhere."""

import asyncio
import contextlib
import random
from collections.abc import Sequence

Address = tuple[str, int]


class Link:
    """One connection of a charger, and its other half to a server."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter, to: Address) -> None:
        self.near = near
        self.far = far
        self.to = to
        self.orphaned = False
        self.deaf = False
        """What the server says does not reach the charger."""

    def cut(self) -> None:
        """Reset both halves."""
        self.near.transport.abort()
        self.far.transport.abort()

    def orphan(self) -> None:
        """The charger's half is reset; to the server the connection stays open and silent."""
        self.orphaned = True
        self.near.transport.abort()


class Proxy:
    """Listens at one lasting address; new connections go to one of `targets`."""

    def __init__(self, targets: Sequence[Address] = (), *, seed: int = 1) -> None:
        self.targets = list(targets)
        self.links: set[Link] = set()
        self.delay = 0.0
        """Seconds by which all that passes is late."""
        self.port = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._random = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, to: Address | None = None) -> int:
        """Cut all connections (to one server); how many there were."""
        chosen = [link for link in self.links if to in (None, link.to)]
        for link in chosen:
            link.cut()
        return len(chosen)

    def orphan(self, to: Address | None = None) -> int:
        """Leave the servers (or one) with connections whose other end is gone unnoticed."""
        chosen = [link for link in self.links if to in (None, link.to) and not link.orphaned]
        for link in chosen:
            link.orphan()
        return len(chosen)

    def swallow(self) -> None:
        """From now on nothing passes, in either direction; nobody is told."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let everything pass again, also what was held back."""
        self._flowing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        to = self._random.choice(self.targets) if self.targets else ("127.0.0.1", 1)
        try:
            far_reader, far = await asyncio.open_connection(*to)
        except OSError:
            near.transport.abort()
            return
        link = Link(near, far, to)
        self.links.add(link)
        there = asyncio.create_task(self._pump(link, reader, far))
        back = asyncio.create_task(self._pump(link, far_reader, near))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            if link.orphaned:
                await back  # until the server gives it up
        finally:
            self.links.discard(link)
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            near.close()
            far.close()

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass bytes on until one side ends; of an orphan the server's go nowhere."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if not link.orphaned and not (link.deaf and writer is link.near):
                    writer.write(data)
                    await writer.drain()
