"""A bare `websockets` server: what one connection costs before anything is done with it.

It answers a CALL with its own payload, so that the same chargers can drive it, and a
StartTransaction with an id. Says its port, runs until SIGTERM.
"""

import asyncio
import signal

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from bench.load.tally import say


async def handle(connection: ServerConnection) -> None:
    async for message in connection:
        text = str(message)
        if "StartTransaction" in text:
            _, message_id, _ = text.split(",", 2)
            text = f'[2,{message_id},{{"transactionId":1}}]'
        await connection.send("[3" + text[2:])


async def run() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        say(port=next(iter(server.sockets)).getsockname()[1])
        await stopping.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
