"""Chargers that speak OCPP-J, hundreds in one process.

    python -m bench.load.websocket --port P --work meter|heartbeat|sessions|idle
           --connections N [--first K] [--rate R] [--warm-up S] [--seconds S] [--rounds N]

Each charger connects, boots (for `meter` it also starts a transaction), and then has one CALL
outstanding; with --rate the calls are sent at that pace instead, all chargers together.
`idle` says that it is ready and holds the connections until its input ends.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any, cast

from bench import messages
from bench.load.tally import Failed, Tally, every, say

ABREAST = 50
"""Chargers that connect at the same time."""
CONNECT_WITHIN = 30.0
CONNECTED_A_SECOND = 30
"""At least, with what each says first; a quiet machine lets in ten times as many."""
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame. Masked with the key 0, which leaves the payload as it is: legal, and it
    costs the server what any key costs."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    else:
        head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


class Charger(asyncio.Protocol):
    """One charger: sends a text, is given the answer."""

    def __init__(self, number: int, tally: Tally) -> None:
        self.number = number
        self.tally = tally
        self.tag = messages.TAG % number
        self.transaction = 0
        self.register = 1_000
        self.is_open = asyncio.get_running_loop().create_future()
        self.sent_at = 0.0
        self.busy = False
        self._messages = number * 10_000_000
        self._buffer = b""
        self._answer: Callable[[bytes], None] | None = None
        self._transport: asyncio.Transport | None = None

    def next_id(self) -> str:
        self._messages += 1
        return messages.message_id(self._messages)

    def ask(self, text: str, then: Callable[[bytes], None]) -> None:
        """Send a CALL; `then` is called with the frame that answers it."""
        assert self._transport is not None
        self._answer = then
        self.busy = True
        self.sent_at = time.perf_counter()
        self._transport.write(frame(text.encode()))

    async def asked(self, text: str) -> bytes:
        """Send a CALL and wait for its answer."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.ask(text, answer.set_result)
        return await answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        identity = messages.IDENTITY % self.number
        self._transport.write(
            f"GET /{identity} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.fail(f"Charger {self.number} lost its connection: {exc}")

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not self.is_open.done():
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = data
                return
            if not data.startswith(b"HTTP/1.1 101 "):
                self.tally.fail(f"The handshake was answered {data[:60]!r}")
                return
            data = data[end + 4 :]
            self.is_open.set_result(None)
        while len(data) >= 2:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            if size == 127 or len(data) < start + size:
                break
            self._received(data[0] & 0x0F, data[start : start + size])
            data = data[start + size :]
        self._buffer = data

    def _received(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT and payload.startswith(b"[3") and self._answer is not None:
            then, self._answer = self._answer, None
            self.busy = False
            then(payload)
        elif opcode == PING and self._transport is not None:
            self._transport.write(frame(payload, PONG))
        elif opcode != PONG:
            self.tally.fail(f"Charger {self.number} received {payload[:200]!r}")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.write(frame(b"\x03\xe8", CLOSE))
            self._transport.close()

    # What chargers do

    async def boot(self) -> None:
        await self.asked(messages.BOOT % self.next_id())

    async def start(self) -> None:
        """Start the transaction that the meter values belong to."""
        answer = await self.asked(self._start())
        self.transaction = json.loads(answer)[2]["transactionId"]

    def _start(self) -> str:
        stamp = messages.now_text()
        return messages.START % (self.next_id(), self.tag, self.register, stamp)

    def _meter_values(self) -> str:
        self.register += 3
        self._messages += 1
        return messages.meter_values_json(
            self._messages, transaction=self.transaction, register=self.register
        )

    def meter(self) -> None:
        self.ask(self._meter_values(), self._counted)

    def heartbeat(self) -> None:
        self.ask(messages.HEARTBEAT % self.next_id(), self._counted)

    def _counted(self, _: bytes) -> None:
        self.tally.answered(self.sent_at)

    def meter_again(self, answer: bytes = b"") -> None:
        """MeterValues after MeterValues."""
        if answer:
            self.tally.answered(self.sent_at)
        if not self.tally.stopping:
            self.ask(self._meter_values(), self.meter_again)

    def session(self, _: bytes = b"") -> None:
        """Session after session; counted is each pair of start and stop."""
        if self.transaction:
            self.tally.answered(self.sent_at)
        if not self.tally.stopping:
            self.ask(self._start(), self._stop)

    def _stop(self, answer: bytes) -> None:
        self.transaction = json.loads(answer)[2]["transactionId"]
        self.register += 500
        stamp = messages.now_text()
        text = messages.STOP % (self.next_id(), self.transaction, self.tag, self.register, stamp)
        self.ask(text, self.session)


async def connected(port: int, numbers: range, tally: Tally, *, start: bool) -> list[Charger]:
    """Chargers that are connected and booted, and have started their transaction if asked."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(ABREAST)

    async def one(number: int) -> Charger:
        async with gate:
            _, charger = await loop.create_connection(
                lambda: Charger(number, tally), "127.0.0.1", port
            )
            await charger.is_open
            await charger.boot()
            if start:
                await charger.start()
            return charger

    everyone = asyncio.ensure_future(asyncio.gather(*(one(number) for number in numbers)))
    waiting: list[asyncio.Future[Any]] = [everyone, tally.failure]
    within = CONNECT_WITHIN + len(numbers) / CONNECTED_A_SECOND
    await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    if tally.failure.done():
        tally.failure.result()
    if not everyone.done():
        raise Failed("Not all chargers could connect.")
    return everyone.result()


async def run(options: argparse.Namespace) -> None:
    tally = Tally()
    numbers = range(options.first, options.first + options.connections)
    chargers = await connected(options.port, numbers, tally, start=options.work == "meter")
    say(ready=len(chargers))
    if options.work == "idle":
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        tally.stopping = True
        measured: dict[str, float] = {}
    else:
        pace = _paced(options, chargers, tally) if options.rate else None
        if pace is None:
            for charger in chargers:
                charger.session() if options.work == "sessions" else charger.meter_again()
        if options.rounds:
            await tally.wait(options.warm_up)
            await _in_rounds(options, tally)
            options.warm_up = options.seconds = 0.1
        measured = await tally.measure(warm_up=options.warm_up, seconds=options.seconds)
        if pace is not None:
            await pace
        await asyncio.sleep(0.2)  # the answers to what is outstanding
    for charger in chargers:
        charger.close()
    await asyncio.sleep(0.05)
    say(**measured, answers=tally.answers)


async def _in_rounds(options: argparse.Namespace, tally: Tally) -> None:
    """Say at the end of each round how many calls were answered in it."""
    say(measuring=options.rounds)
    for _ in range(options.rounds):
        before = tally.answers
        await tally.wait(options.seconds)
        say(answered=tally.answers - before)


def _paced(
    options: argparse.Namespace, chargers: list[Charger], tally: Tally
) -> "asyncio.Task[None]":
    """Calls at a pace, charger after charger; one that still waits for its answer is left out."""
    turn = iter(range(sys.maxsize))

    def act() -> None:
        charger = chargers[next(turn) % len(chargers)]
        if not charger.busy:
            charger.heartbeat() if options.work == "heartbeat" else charger.meter()

    return asyncio.get_running_loop().create_task(every(1 / options.rate, act, tally))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--work", choices=["meter", "heartbeat", "sessions", "idle"], required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
