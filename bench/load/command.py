"""One charger that answers, and one program that commands it over REST, one command at a time.

A latency is the time from sending the POST to the arrival of its own CALL at the charger: each
command carries a mark by which the two are matched.
"""

import argparse
import asyncio
import itertools
import json
import time
import uuid
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from bench import messages
from bench.load.tally import Tally, say


def command(mark: str) -> dict[str, Any]:
    """It has no effect that would be waited for in vain: hundreds of these would be looked
    after."""
    return {"action": "DataTransfer", "payload": {"vendorId": "bench", "messageId": mark}}


async def run(options: argparse.Namespace) -> None:
    tally = Tally()
    identity = messages.IDENTITY % 0
    booted = asyncio.Event()
    awaited: dict[str, asyncio.Future[float]] = {}
    """When the CALL of each mark arrived; what an earlier run left behind is in no way awaited."""

    async def charge_point() -> None:
        url = f"ws://127.0.0.1:{options.port}/{identity}"
        async with connect(url, subprotocols=[Subprotocol("ocpp1.6")], compression=None) as socket:
            await socket.send(messages.BOOT % messages.message_id(0))
            async for frame in socket:
                at = time.perf_counter()
                kind, number, *rest = json.loads(frame)
                if kind == 2:
                    arrived = awaited.pop(rest[1].get("messageId", ""), None)
                    if arrived is not None:
                        arrived.set_result(at)
                    await socket.send(json.dumps([3, number, {"status": "Accepted"}]))
                else:
                    booted.set()

    async def program() -> None:
        url = f"http://127.0.0.1:{options.http_port}/api/v1/charge-points/{identity}/commands"
        headers = {"Authorization": f"Bearer {options.token}"}
        run_of = uuid.uuid4().hex[:8]
        async with httpx.AsyncClient(headers=headers, timeout=30) as client:
            for number in itertools.count():
                if tally.stopping:
                    return
                mark = f"{run_of}-{number}"
                awaited[mark] = arrived = asyncio.get_running_loop().create_future()
                sent_at = time.perf_counter()
                posting = asyncio.create_task(client.post(url, json=command(mark)))
                at = await asyncio.wait_for(arrived, 30)
                tally.answers += 1
                tally.latencies.append(at - sent_at)
                response = await posting
                if response.status_code != 202:
                    tally.fail(response.text)
                await asyncio.sleep(options.pause)

    tasks = [asyncio.create_task(charge_point())]
    await asyncio.wait_for(booted.wait(), 30)
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
