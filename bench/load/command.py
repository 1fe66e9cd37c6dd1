"""One charger that answers, and one program that commands it over REST, one command at a time.

A latency is the time from sending the POST to the CALL's arrival at the charger.
"""

import argparse
import asyncio
import json
import time

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from bench import messages
from bench.load.tally import Tally, say

COMMAND = {"action": "ClearCache", "payload": {}}
"""It has no effect that would be waited for in vain: hundreds of these would be looked after."""


async def run(options: argparse.Namespace) -> None:
    tally = Tally()
    identity = messages.IDENTITY % 0
    arrived: asyncio.Queue[float] = asyncio.Queue()

    async def charge_point() -> None:
        url = f"ws://127.0.0.1:{options.port}/{identity}"
        async with connect(url, subprotocols=[Subprotocol("ocpp1.6")], compression=None) as socket:
            await socket.send(messages.BOOT % messages.message_id(0))
            async for frame in socket:
                at = time.perf_counter()
                kind, number, *_ = json.loads(frame)
                if kind == 2:
                    arrived.put_nowait(at)
                    await socket.send(json.dumps([3, number, {"status": "Accepted"}]))
                else:
                    arrived.put_nowait(0.0)  # its boot was answered

    async def program() -> None:
        base = f"http://127.0.0.1:{options.http_port}/api/v1"
        headers = {"Authorization": f"Bearer {options.token}"}
        async with httpx.AsyncClient(headers=headers, timeout=30) as client:
            while not tally.stopping:
                while not arrived.empty():  # what an earlier run left behind
                    arrived.get_nowait()
                sent_at = time.perf_counter()
                posting = asyncio.create_task(
                    client.post(f"{base}/charge-points/{identity}/commands", json=COMMAND)
                )
                at = await asyncio.wait_for(arrived.get(), 30)
                tally.answers += 1
                tally.latencies.append(at - sent_at)
                response = await posting
                if response.status_code != 202:
                    tally.fail(response.text)
                await asyncio.sleep(options.pause)

    tasks = [asyncio.create_task(charge_point())]
    await asyncio.wait_for(arrived.get(), 30)
    await asyncio.sleep(1.5)  # what an earlier run left behind comes now
    tasks.append(asyncio.create_task(program()))
    measured = await tally.measure(warm_up=options.warm_up, seconds=options.seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    say(answers=tally.answers, **measured)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
