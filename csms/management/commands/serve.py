"""`manage.py serve`: the central system, all of it in one process on one event loop, or in parts.

    --role all       everything (on SQLite the only choice)
    --role json      gateways: the sockets of OCPP-J charge points, commands to them
    --role http      admin, REST API, OCPP-S and files (with --ftp by FTP too); metrics and health
    --role deliver   commands to OCPP-S charge points, webhooks, expiries, upkeep, mails

With `--workers N` so many processes share the same ports.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple, Self

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from csms.asgi import SOAP_PATH, long_body, make_application, make_watch_application
from csms.conf import change as change_settings
from csms.conf import settings, unknown_names
from csms.demo import demo_arguments, demo_password, demo_rests, demo_wanted
from csms.files.ftp import FtpServer
from csms.files.ftp_tls import Contexts
from csms.http.server import HttpServer, http_config
from csms.management.starting import (
    BACKLOG,
    bind,
    check_database,
    load_certificates,
    only_server,
)
from csms.management.workers import supervise
from csms.services import bus, clock
from csms.services.gateways import Lease, gateway_name
from csms.services.inbox import Inbox
from csms.services.threads import in_thread
from csms.services.vendor_messages import handlers as vendor_handlers
from csms.services.webhook_delivery import Delivery as WebhookDelivery
from csms.tls import Certificates
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
ANSWERS_WITHIN = 5.0
"""Of the drain: seconds in which charge points may still answer what was sent to them."""
DEMO_SECONDS = 5

ROLES = {
    "all": frozenset({"json", "http", "deliver"}),
    "json": frozenset({"json"}),
    "http": frozenset({"http"}),
    "deliver": frozenset({"deliver"}),
}
"""What a process of each role does."""


class Command(BaseCommand):
    help = "Run the central system: admin and OCPP-S on one port, OCPP-J on another."

    def add_arguments(self, parser: ArgumentParser) -> None:
        config = settings()
        parser.add_argument("--role", choices=ROLES, default="all", help="what this process does")
        parser.add_argument("--workers", type=int, default=1, help="processes on the same ports")
        parser.add_argument("--worker", type=int, default=0, help=SUPPRESS)
        parser.add_argument("--supervisor", type=int, default=0, help=SUPPRESS)
        parser.add_argument("--host", default=config.host)
        parser.add_argument("--http-port", type=int, default=config.http_port)
        parser.add_argument("--json-port", type=int, default=config.json_port)
        parser.add_argument("--watch-port", type=int, default=config.watch_port)
        parser.add_argument("--https-port", type=int, default=config.https_port)
        parser.add_argument("--json-tls-port", type=int, default=config.json_tls_port)
        parser.add_argument("--ftp", action="store_true", default=config.ftp, help="files by FTP")
        parser.add_argument("--ftp-port", type=int, default=config.ftp_port)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)
        for name in unknown_names():
            self.stderr.write(f"{name} is no setting of ours; docs/settings.md names them all.")
        if connection.vendor == "sqlite" and (options["workers"] > 1 or options["role"] != "all"):
            raise CommandError(
                "Several processes cannot share a SQLite database: set DATABASE_URL to a "
                "PostgreSQL one, or leave out --role and --workers."
            )
        certificates = load_certificates()
        check_database()
        tls, shared = certificates is not None, options["workers"] > 1 or options["worker"] > 0
        sockets = Sockets.open(ROLES[options["role"]], options, tls=tls, shared=shared)
        change_settings(ftp=options["ftp"], **sockets.file_ports())
        try:
            import uvloop
        except ImportError:  # pragma: no cover - uvloop is not made for Windows
            runner = asyncio.Runner()
        else:
            runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with only_server(), runner:
            if not options["worker"] and not options["watch_port"] and (shared or not sockets.http):
                self._say("Set CSMS_WATCH_PORT: /metrics and /health of each process are there.")
            if options["workers"] > 1:
                self._announce(sockets)
                status = runner.run(supervise(_again(options, sockets), options["workers"]))
                if status:
                    raise CommandError("The workers could not start; what they said is above.")
                return
            sockets.listen()
            if not options["worker"]:
                self._announce(sockets)
            runner.run(self._serve(sockets, certificates, options))

    async def _serve(
        self, sockets: "Sockets", certificates: Certificates | None, options: dict[str, Any]
    ) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        if settings().redis_url:
            bus.connect(settings().redis_url)
        await in_thread(vendor_handlers)  # importing them may take a while
        inbox = Inbox()
        inbox.start()
        watcher = clock.Watcher()
        watcher.start()
        parts: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
            ("watch over effects", clock.watch_effects),
            ("security events", clock.keep_refusals),
        ]
        if certificates is not None:
            parts.append(("watch over certificates", certificates.watch))

        json_server = lease = http_server = http_task = None
        deliveries: list[JsonDelivery | SoapDelivery] = []
        if sockets.json:
            name = gateway_name(_port(sockets.json), options["worker"])
            json_server, lease = JsonServer(inbox=inbox, gateway=name), Lease(name)
            await lease.begin()
            await json_server.start(sock=sockets.json)
            if certificates is not None and sockets.json_tls:
                json_server.listen_tls(sockets.json_tls, certificates.current, certificates.revoked)
            deliveries.append(JsonDelivery(json_server))
            parts.append(("review of connections", json_server.watch))
            parts.append(("OCPP-J delivery", deliveries[-1].run))
            parts.append(("lease", partial(lease.hold, partial(connect_anew, json_server, lease))))
        if sockets.http:
            http_server = HttpServer(http_config(make_application(inbox), long_body=long_body))
            if certificates is not None and sockets.https:
                http_server.listen_tls(sockets.https, certificates.current, certificates.revoked)
            http_task = asyncio.create_task(http_server.serve(sockets=[sockets.http]), name="http")
            http_task.add_done_callback(lambda _: stopping.set())
        ftp_server = None
        if sockets.ftp:
            contexts = None if certificates is None else Contexts(certificates.current)
            ftp_server = FtpServer(sockets.ftp, contexts=contexts)
            ftp_server.start()
        if sockets.watch:
            watch_server = HttpServer(http_config(make_watch_application(inbox)))
            parts.append(("watch port", partial(watch_server.serve, sockets=[sockets.watch])))
        if "deliver" in ROLES[options["role"]]:
            parts.append(("clock", clock.run))
            parts.append(("mails about security events", clock.mail_events))
            deliveries.append(SoapDelivery(inbox=inbox))
            parts.append(("OCPP-S delivery", deliveries[-1].run))
            parts.append(("webhooks' delivery", WebhookDelivery().run))
        if options["worker"]:
            watched = partial(end_with, options["supervisor"], stopping)
            parts.append(("watch over the supervisor", watched))
        tasks = [asyncio.create_task(run(), name=what) for what, run in parts]
        for task in tasks:
            task.add_done_callback(report)
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        demo = None
        if sockets.http and sockets.json and not options["worker"]:
            demo = await in_thread(start_demo, http=sockets.http, json=sockets.json)

        await stopping.wait()
        self._say("Stopping: finishing what was received …")
        if demo is not None:
            await asyncio.to_thread(end_demo, demo)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.gather(*(each.finish(ANSWERS_WITHIN) for each in deliveries))
                if json_server is not None:
                    await json_server.drain()
                if http_server is not None and http_task is not None:
                    http_server.should_exit = True
                    await http_task
        except TimeoutError:  # pragma: no cover - only when the database hangs
            logger.warning("Not everything was finished within %d s.", DRAIN_SECONDS)
        if ftp_server is not None:
            await asyncio.to_thread(ftp_server.stop)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await inbox.stop()
        watcher.stop()
        if lease is not None:
            await lease.end()
        bus.disconnect()

    def _announce(self, sockets: "Sockets") -> None:
        host = settings().public_host or "localhost"
        for name, listening, url in (
            ("Admin", sockets.http, f"http://{host}:%d/admin/"),
            ("OCPP-S (SOAP)", sockets.http, f"http://{host}:%d{SOAP_PATH}"),
            ("OCPP-J (WebSocket)", sockets.json, f"ws://{host}:%d/<identity>"),
            ("Admin, TLS", sockets.https, f"https://{host}:%d/admin/"),
            ("OCPP-S, TLS", sockets.https, f"https://{host}:%d{SOAP_PATH}"),
            ("OCPP-J, TLS", sockets.json_tls, f"wss://{host}:%d/<identity>"),
            ("Metrics, health", sockets.watch, f"http://{host}:%d/metrics"),
            ("Files, FTP", sockets.ftp, f"ftp://{host}:%d/"),
        ):
            if listening is not None:
                self._say(f"{name:<20}{url % _port(listening)}")
        if any(listening.getsockname()[0] in ("0.0.0.0", "::") for listening in sockets.all):  # noqa: S104
            self._say("Other machines can reach these; CSMS_HOST=127.0.0.1 keeps them out.")
        self.stdout.flush()

    def _say(self, line: str) -> None:
        """Tell who started us; where programs read the log, as a line of it."""
        if settings().log_format == "json":
            logger.info("%s", line)
        else:
            self.stdout.write(line)


class Sockets(NamedTuple):
    """What the process listens on; those for TLS only where there are certificates."""

    http: socket.socket | None = None
    json: socket.socket | None = None
    https: socket.socket | None = None
    json_tls: socket.socket | None = None
    watch: socket.socket | None = None
    ftp: socket.socket | None = None

    @classmethod
    def open(
        cls, parts: frozenset[str], options: dict[str, Any], *, tls: bool, shared: bool
    ) -> Self:
        """Bind all of them, or one clear line."""
        bound: dict[str, socket.socket] = {}
        for part, field, what in (
            ("http", "http", "HTTP"),
            ("json", "json", "OCPP-J"),
            ("http", "https", "HTTPS"),
            ("json", "json_tls", "OCPP-J over TLS"),
        ):
            if part in parts and (tls or field == part):
                port, name = options[f"{field}_port"], f"CSMS_{field.upper()}_PORT"
                bound[field] = bind(options["host"], port, what, name, shared=shared)
        if options["watch_port"] and options["workers"] == 1:  # each worker has one of its own
            port = options["watch_port"] + max(0, options["worker"] - 1)
            bound["watch"] = bind(options["host"], port, "The watch port", "CSMS_WATCH_PORT")
        if "http" in parts and options["ftp"]:
            port = options["ftp_port"]
            bound["ftp"] = bind(options["host"], port, "FTP", "CSMS_FTP_PORT", shared=shared)
        return cls(**bound)

    def file_ports(self) -> dict[str, int]:
        """The ports at which charge points find files, as the settings name them."""
        served = {"http_port": self.http, "https_port": self.https, "ftp_port": self.ftp}
        return {name: _port(listening) for name, listening in served.items() if listening}

    @property
    def all(self) -> list[socket.socket]:
        return [listening for listening in self if listening is not None]

    def listen(self) -> None:
        for listening in self.all:
            listening.listen(BACKLOG)


def _again(options: dict[str, Any], sockets: Sockets) -> list[str]:
    """The arguments with which a worker does the same, on the ports that were bound."""
    arguments = ["--role", options["role"], "--host", options["host"]]
    arguments += ["--supervisor", str(os.getpid())]
    arguments += ["--watch-port", str(options["watch_port"])]
    arguments += ["--ftp"] if options["ftp"] else []
    for field, listening in zip(sockets._fields, sockets, strict=True):
        if listening is not None:
            arguments += [f"--{field.replace('_', '-')}-port", str(_port(listening))]
    return arguments


def _port(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


async def connect_anew(server: JsonServer, lease: Lease) -> None:
    """The lease was lost, and begun anew: charge points connect once more, under its name."""
    server.gateway = lease.name
    await server.disconnect_all()


async def end_with(supervisor: int, stopping: asyncio.Event) -> None:
    """A worker whose supervisor was killed ends in order: the next one starts workers of the same
    names, on the same ports."""
    while os.getppid() == supervisor:  # noqa: ASYNC110
        await asyncio.sleep(1)
    logger.warning("The process that started this worker is gone.")
    stopping.set()


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
