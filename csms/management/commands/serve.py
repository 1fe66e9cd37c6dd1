"""`manage.py serve`: admin, OCPP-S and OCPP-J in one process on one event loop."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import subprocess
import sys
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import uvicorn
from django.conf import settings as django_settings
from django.core.management.base import BaseCommand

from csms.asgi import SOAP_PATH, make_application
from csms.conf import settings, unknown_names
from csms.demo import demo_arguments, demo_password, demo_rests, demo_wanted
from csms.management.starting import check_database, listen, only_server
from csms.services import clock
from csms.services.admission import charge_points_release
from csms.services.inbox import Inbox
from csms.services.threads import in_thread
from ocpp_json.delivery import Delivery as JsonDelivery
from ocpp_json.server import JsonServer
from ocpp_soap.delivery import Delivery as SoapDelivery

logger = logging.getLogger("csms.serve")

SWITCH_INTERVAL = 0.0005
"""Seconds: with Python's 5 ms one busy admin page takes Heartbeat's p99 from 1.5 to 214 ms."""

GC_THRESHOLDS = (20_000, 20, 50)
"""Python's (700, 10, 10) looked at all that Django holds again and again: 14 % of the time over
SOAP, in stops of 80 ms. What is there at the start is also frozen: it stays to the end."""

DRAIN_SECONDS = 15
DEMO_SECONDS = 5


class HttpServer(uvicorn.Server):
    """uvicorn as a library: signals are ours, or it would end the process before the drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Command(BaseCommand):
    help = "Run the central system: admin and OCPP-S on one port, OCPP-J on another."

    def add_arguments(self, parser: ArgumentParser) -> None:
        config = settings()
        parser.add_argument("--host", default=config.host)
        parser.add_argument("--http-port", type=int, default=config.http_port)
        parser.add_argument("--json-port", type=int, default=config.json_port)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)
        for name in unknown_names():
            self.stderr.write(f"{name} is no setting of ours; docs/settings.md names them all.")
        check_database()
        http = listen(options["host"], options["http_port"], "HTTP", "CSMS_HTTP_PORT")
        json = listen(options["host"], options["json_port"], "OCPP-J", "CSMS_JSON_PORT")
        try:
            import uvloop
        except ImportError:  # pragma: no cover - uvloop is not made for Windows
            runner = asyncio.Runner()
        else:
            runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with only_server(), runner:
            runner.run(self._serve(http, json))

    async def _serve(self, http: socket.socket, json: socket.socket) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)

        gateway = uuid.uuid4().hex
        await in_thread(charge_points_release)  # none can be connected before we listen
        inbox = Inbox()
        inbox.start()
        watcher = clock.Watcher()
        watcher.start()
        json_server = JsonServer(inbox=inbox, gateway=gateway)
        await json_server.start(sock=json)
        http_server = HttpServer(http_config(make_application(inbox)))
        tasks = [
            asyncio.create_task(clock.run(), name="clock"),
            asyncio.create_task(clock.watch_effects(), name="watch over effects"),
            asyncio.create_task(JsonDelivery(json_server).run(), name="OCPP-J delivery"),
            asyncio.create_task(SoapDelivery(inbox=inbox).run(), name="OCPP-S delivery"),
        ]
        for task in tasks:
            task.add_done_callback(report)
        http_task = asyncio.create_task(http_server.serve(sockets=[http]), name="http")
        http_task.add_done_callback(lambda _: stopping.set())
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self._announce(http, json)
        demo = await in_thread(start_demo, http=http, json=json)

        await stopping.wait()
        self.stdout.write("Stopping: finishing what was received …")
        if demo is not None:
            await asyncio.to_thread(end_demo, demo)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await json_server.drain()
                http_server.should_exit = True
                await http_task
        except TimeoutError:  # pragma: no cover - only when the database hangs
            logger.warning("Not everything was finished within %d s.", DRAIN_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await inbox.stop()
        watcher.stop()
        await in_thread(charge_points_release, gateway=gateway)

    def _announce(self, http: socket.socket, json: socket.socket) -> None:
        host = settings().public_host or "localhost"
        base = f"http://{host}:{http.getsockname()[1]}"
        self.stdout.write(f"Admin               {base}/admin/")
        self.stdout.write(f"OCPP-S (SOAP)       {base}{SOAP_PATH}")
        self.stdout.write(f"OCPP-J (WebSocket)  ws://{host}:{json.getsockname()[1]}/<identity>")
        if http.getsockname()[0] in ("0.0.0.0", "::"):  # noqa: S104
            self.stdout.write("Other machines can reach these; CSMS_HOST=127.0.0.1 keeps them out.")
        self.stdout.flush()


def http_config(application: Any) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=16 * 1024,
        ws="none",
    )


def start_demo(*, http: socket.socket, json: socket.socket) -> "subprocess.Popen[bytes] | None":
    """Start the simulated fleet in a process of its own, when there is one."""
    if not demo_wanted():
        demo_rests()
        return None
    command = [sys.executable, str(django_settings.BASE_DIR / "manage.py"), "simulate"]
    ports = {"http_port": http.getsockname()[1], "json_port": json.getsockname()[1]}
    demo = subprocess.Popen(
        [*command, *demo_arguments(**ports)],
        stdin=subprocess.PIPE,  # it ends with its input, and so with us, however we end
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is for the server, which then ends it
    )
    assert demo.stdin is not None
    demo.stdin.write(f"{demo_password()}\n".encode())
    demo.stdin.flush()
    return demo


def end_demo(demo: "subprocess.Popen[bytes]") -> None:
    """End the simulated fleet while the server still answers it."""
    demo.terminate()
    try:
        demo.wait(DEMO_SECONDS)
    except subprocess.TimeoutExpired:
        demo.kill()
        demo.wait()


def report(task: "asyncio.Task[None]") -> None:
    """A background task must not end unnoticed."""
    if not task.cancelled() and task.exception() is not None:
        logger.error("The %s ended", task.get_name(), exc_info=task.exception())
