"""Chargers that speak OCPP-S: MeterValues after MeterValues, each with one request outstanding.

python -m bench.load.http --port P --connections N [--fresh] [--warm-up S] [--seconds S]

Connections are kept; with --fresh each request has a new one.
"""

import argparse
import asyncio
import time
from typing import cast

from bench import messages
from bench.load.tally import Tally, say


class Charger(asyncio.Protocol):
    """One charger; after each answer the next request."""

    def __init__(self, number: int, port: int, tally: Tally, *, fresh: bool) -> None:
        self.number = number
        self.tally = tally
        self._port = port
        self._fresh = fresh
        self._messages = number * 10_000_000
        self._register = 1_000
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[object] | None = None

    def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._sent_at = time.perf_counter()
        opened = loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self._connecting = loop.create_task(opened)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        self._messages += 1
        self._register += 3
        if not self._fresh:
            self._sent_at = time.perf_counter()
        envelope = messages.meter_values_soap(
            self._messages,
            identity=messages.IDENTITY % self.number,
            register=self._register,
        )
        self._transport.write(messages.post(envelope, keep_alive=not self._fresh))

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        head = data[:end].lower() if end >= 0 else b""
        found = head.find(b"content-length:")
        if found < 0 or len(data) < end + 4 + int(head[found + 15 :].split(b"\r\n", 1)[0]):
            self._buffer = data
            return
        self._buffer = b""
        if not data.startswith(b"HTTP/1.1 200 ") or b"meterValuesResponse" not in data:
            self.tally.fail(f"Charger {self.number} was answered {data[:400]!r}")
            return
        self.tally.answered(self._sent_at)
        assert self._transport is not None
        if self.tally.stopping:
            self._transport.close()
        elif self._fresh:
            self._transport.close()
            self.connect()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._fresh:
            self.tally.fail(f"Charger {self.number} lost its connection: {exc}")


async def run(options: argparse.Namespace) -> None:
    tally = Tally()
    chargers = [
        Charger(number, options.port, tally, fresh=options.fresh)
        for number in range(options.first, options.first + options.connections)
    ]
    for charger in chargers:
        charger.connect()
    measured = await tally.measure(warm_up=options.warm_up, seconds=options.seconds)
    await asyncio.sleep(0.2)
    say(**measured, answers=tally.answers)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
