"""Chargers that all reconnect at once, each with its key, and boot; as after a power cut.

    python -m bench.load.storm --port P --connections N

One that is refused or not taken tries again after one to three seconds, as chargers do. Prints the
seconds until all have been told Accepted, and how often it took another try.
"""

import argparse
import asyncio
import random
import resource
import time

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from bench import messages
from bench.load.tally import Failed, say

WITHIN = 240.0
"""Seconds after which a storm that has not ended is a failure."""


async def join(number: int, port: int) -> tuple[ClientConnection, int]:
    """The open connection of a charger that has booted, and how often it was refused."""
    url = f"ws://127.0.0.1:{port}/{messages.IDENTITY % number}"
    head = {"Authorization": messages.basic(number)}
    refused = 0
    while True:
        try:
            socket = await connect(
                url,
                additional_headers=head,
                subprotocols=[Subprotocol("ocpp1.6")],
                compression=None,
                ping_interval=None,
                open_timeout=30,
            )
            await socket.send(messages.BOOT % messages.message_id(number))
            answer = await asyncio.wait_for(socket.recv(), 60)
        except (OSError, TimeoutError, WebSocketException):
            refused += 1
            await asyncio.sleep(random.uniform(1, 3))
            continue
        if '"Accepted"' not in str(answer):
            raise Failed(f"Charger {number} was answered {str(answer)[:200]}")
        return socket, refused


async def run(options: argparse.Namespace) -> None:
    started = time.perf_counter()
    joining = (join(number, options.port) for number in range(options.connections))
    async with asyncio.timeout(WITHIN):
        joined = await asyncio.gather(*joining)
    elapsed = time.perf_counter() - started
    say(seconds=elapsed, refused=sum(refused for _, refused in joined), answers=len(joined))
    for socket, _ in joined:
        socket.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
