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
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from csms.asgi import SOAP_PATH, make_application
from csms.conf import settings
from csms.demo import demo_arguments, demo_password, demo_wanted
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
        check_database()
        http = listen(options["host"], options["http_port"], "HTTP", "CSMS_HTTP_PORT")
        json = listen(options["host"], options["json_port"], "OCPP-J", "CSMS_JSON_PORT")
        try:
            import uvloop
        except ImportError:  # pragma: no cover - uvloop is not made for Windows
            runner = asyncio.Runner()
        else:
            runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with runner:
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
            demo.terminate()
        async with asyncio.timeout(DRAIN_SECONDS) as limit:
            await json_server.drain()
            http_server.should_exit = True
            await http_task
        if limit.expired():  # pragma: no cover - only when the database hangs
            logger.warning("Not everything was finished within %d s.", DRAIN_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await inbox.stop()
        watcher.stop()
        await in_thread(charge_points_release, gateway=gateway)
        if demo is not None:
            await asyncio.to_thread(demo.wait, 10)

    def _announce(self, http: socket.socket, json: socket.socket) -> None:
        host = settings().public_host or "localhost"
        base = f"http://{host}:{http.getsockname()[1]}"
        self.stdout.write(f"Admin               {base}/admin/")
        self.stdout.write(f"OCPP-S (SOAP)       {base}{SOAP_PATH}")
        self.stdout.write(f"OCPP-J (WebSocket)  ws://{host}:{json.getsockname()[1]}/<identity>")
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


def check_database() -> None:
    """One clear line when the database is not there or not migrated."""
    try:
        if connection.vendor == "postgresql":  # the pool would wait, and not say what it waits for
            import psycopg

            with connection.wrap_database_errors:
                psycopg.connect(**connection.get_connection_params()).close()
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CommandError(f"The database cannot be reached: {reason}") from None
    finally:
        connection.close()
    if pending:
        raise CommandError("The database is not up to date: run `manage.py migrate` first.")


def listen(host: str, port: int, what: str, name: str) -> socket.socket:
    """A listening socket, or one clear line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)

    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise CommandError(
            f"{what} cannot listen on {host}:{port} ({error.strerror}): "
            f"end what uses the port, or set {name} to another."
        ) from None
    listener.setblocking(False)
    return listener


def start_demo(*, http: socket.socket, json: socket.socket) -> "subprocess.Popen[bytes] | None":
    """Start the simulated fleet in a process of its own, when there is one."""
    if not demo_wanted():
        return None
    command = [sys.executable, str(django_settings.BASE_DIR / "manage.py"), "simulate"]
    ports = {"http_port": http.getsockname()[1], "json_port": json.getsockname()[1]}
    return subprocess.Popen(
        [*command, *demo_arguments(**ports, password=demo_password())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def report(task: "asyncio.Task[None]") -> None:
    """A background task must not end unnoticed."""
    if not task.cancelled() and task.exception() is not None:
        logger.error("The %s ended", task.get_name(), exc_info=task.exception())
