"""One address that attacks while honest chargers work; it has a loopback address of its own.

    python -m bench.load.attack --kind guess|envelope|half --port P [--rate R] [--seconds S]

guess     handshakes with a wrong password for a charger that exists
envelope  SOAP envelopes of 60 KB with thousands of attributes and elements
half      requests of which half a head is sent, and then nothing
Each is sent at a pace; answers and refusals are read and forgotten.
"""

import argparse
import asyncio
import contextlib

from bench import messages
from bench.load.tally import Tally, every, say

FROM = "127.66.6.6"
MOST_OPEN = 500
"""Connections that the attacker holds."""


def guess(_: int) -> bytes:
    return (
        f"GET /{messages.IDENTITY % 0} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
        f"Authorization: {messages.basic(0, 'a wrong password')}\r\n\r\n"
    ).encode()


def envelope(number: int) -> bytes:
    """As much work for a parser as fits: every element and attribute has a name of its own."""
    inner = "".join(
        f"<e{number}x{i} " + " ".join(f'a{i}x{j}=""' for j in range(60)) + "/>" for i in range(70)
    )
    text = (
        '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>'
        f"{inner}</soap:Body></soap:Envelope>"
    )
    return messages.post(text.encode(), keep_alive=False)


def half(_: int) -> bytes:
    return b"POST /ocpp/soap HTTP/1.1\r\nHost: x\r\nContent-Le"


KINDS = {"guess": guess, "envelope": envelope, "half": half}


async def run(options: argparse.Namespace) -> None:
    tally = Tally()
    sent = 0
    open_now: set[asyncio.Task[None]] = set()

    async def one(request: bytes) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", options.port, local_addr=(FROM, 0)
            )
            try:
                writer.write(request)
                async with asyncio.timeout(30):
                    await reader.read(65_536)
            finally:
                writer.close()

    def act() -> None:
        nonlocal sent
        if len(open_now) >= MOST_OPEN:
            return
        sent += 1
        task = asyncio.get_running_loop().create_task(one(KINDS[options.kind](sent)))
        open_now.add(task)
        task.add_done_callback(open_now.discard)

    pace = asyncio.get_running_loop().create_task(every(1 / options.rate, act, tally))
    say(ready=True)
    await asyncio.sleep(options.seconds)
    tally.stopping = True
    await pace
    for task in list(open_now):
        task.cancel()
    await asyncio.gather(*open_now, return_exceptions=True)
    say(answers=sent)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
