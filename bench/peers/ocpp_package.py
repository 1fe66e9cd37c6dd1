"""A central system written with the package `ocpp` on `websockets`: validates, stores nothing.

As its documentation shows it, on the same event loop as ours. Says its port, runs until SIGTERM.
"""

import asyncio
import itertools
import signal
from typing import Any

import uvloop
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.load.tally import say
from bench.messages import now_text

_transactions = itertools.count(1)


class Charger(ChargePoint):  # type: ignore[misc]  # the package has no types
    """Answers what the benchmarks send."""

    @on(Action.boot_notification)  # type: ignore[untyped-decorator]
    def on_boot(self, **_: Any) -> Any:
        return call_result.BootNotification(
            current_time=now_text(), interval=300, status=RegistrationStatus.accepted
        )

    @on(Action.heartbeat)  # type: ignore[untyped-decorator]
    def on_heartbeat(self, **_: Any) -> Any:
        return call_result.Heartbeat(current_time=now_text())

    @on(Action.meter_values)  # type: ignore[untyped-decorator]
    def on_meter_values(self, **_: Any) -> Any:
        return call_result.MeterValues()

    @on(Action.start_transaction)  # type: ignore[untyped-decorator]
    def on_start(self, **_: Any) -> Any:
        return call_result.StartTransaction(
            transaction_id=next(_transactions),
            id_tag_info=IdTagInfo(status=AuthorizationStatus.accepted),
        )

    @on(Action.stop_transaction)  # type: ignore[untyped-decorator]
    def on_stop(self, **_: Any) -> Any:
        return call_result.StopTransaction()


async def handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    try:
        await Charger(connection.request.path.strip("/"), connection).start()
    except ConnectionClosed:
        return


async def run() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        say(port=next(iter(server.sockets)).getsockname()[1])
        await stopping.wait()


if __name__ == "__main__":
    import logging

    logging.getLogger("ocpp").setLevel(logging.ERROR)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
