"""`manage.py serve`: admin, OCPP-S and OCPP-J in one process on one event loop."""

import asyncio
import gc
import logging
import signal
import socket
import subprocess
import sys
import uuid
from argparse import ArgumentParser
from typing import Any, NamedTuple, Self

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand

from csms.asgi import SOAP_PATH, make_application
from csms.conf import settings, unknown_names
from csms.demo import demo_arguments, demo_password, demo_rests, demo_wanted
from csms.http.server import HttpServer, http_config
from csms.management.starting import check_database, listen, load_certificates, only_server
from csms.services import clock
from csms.services.admission import charge_points_release
from csms.services.inbox import Inbox
from csms.services.threads import in_thread
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
DEMO_SECONDS = 5


class Command(BaseCommand):
    help = "Run the central system: admin and OCPP-S on one port, OCPP-J on another."

    def add_arguments(self, parser: ArgumentParser) -> None:
        config = settings()
        parser.add_argument("--host", default=config.host)
        parser.add_argument("--http-port", type=int, default=config.http_port)
        parser.add_argument("--json-port", type=int, default=config.json_port)
        parser.add_argument("--https-port", type=int, default=config.https_port)
        parser.add_argument("--json-tls-port", type=int, default=config.json_tls_port)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)
        for name in unknown_names():
            self.stderr.write(f"{name} is no setting of ours; docs/settings.md names them all.")
        certificates = load_certificates()
        check_database()
        sockets = Sockets.open(options, tls=certificates is not None)
        try:
            import uvloop
        except ImportError:  # pragma: no cover - uvloop is not made for Windows
            runner = asyncio.Runner()
        else:
            runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with only_server(), runner:
            runner.run(self._serve(sockets, certificates))

    async def _serve(self, sockets: "Sockets", certificates: Certificates | None) -> None:
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
        await json_server.start(sock=sockets.json)
        http_server = HttpServer(http_config(make_application(inbox)))
        tasks = [
            asyncio.create_task(clock.run(), name="clock"),
            asyncio.create_task(clock.watch_effects(), name="watch over effects"),
            asyncio.create_task(clock.mail_events(), name="mails about security events"),
            asyncio.create_task(JsonDelivery(json_server).run(), name="OCPP-J delivery"),
            asyncio.create_task(SoapDelivery(inbox=inbox).run(), name="OCPP-S delivery"),
        ]
        if certificates is not None and sockets.https and sockets.json_tls:
            http_server.listen_tls(sockets.https, certificates.current)
            json_server.listen_tls(sockets.json_tls, certificates.current)
            tasks.append(asyncio.create_task(certificates.watch(), name="watch over certificates"))
        for task in tasks:
            task.add_done_callback(report)
        http_task = asyncio.create_task(http_server.serve(sockets=[sockets.http]), name="http")
        http_task.add_done_callback(lambda _: stopping.set())
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self._announce(sockets)
        demo = await in_thread(start_demo, http=sockets.http, json=sockets.json)

        await stopping.wait()
        self._say("Stopping: finishing what was received …")
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

    def _announce(self, sockets: "Sockets") -> None:
        host = settings().public_host or "localhost"
        http, json = _port(sockets.http), _port(sockets.json)
        lines = [
            ("Admin", f"http://{host}:{http}/admin/"),
            ("OCPP-S (SOAP)", f"http://{host}:{http}{SOAP_PATH}"),
            ("OCPP-J (WebSocket)", f"ws://{host}:{json}/<identity>"),
        ]
        if sockets.https and sockets.json_tls:
            https, json_tls = _port(sockets.https), _port(sockets.json_tls)
            lines += [
                ("Admin, TLS", f"https://{host}:{https}/admin/"),
                ("OCPP-S, TLS", f"https://{host}:{https}{SOAP_PATH}"),
                ("OCPP-J, TLS", f"wss://{host}:{json_tls}/<identity>"),
            ]
        for name, url in lines:
            self._say(f"{name:<20}{url}")
        if sockets.http.getsockname()[0] in ("0.0.0.0", "::"):  # noqa: S104
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

    http: socket.socket
    json: socket.socket
    https: socket.socket | None = None
    json_tls: socket.socket | None = None

    @classmethod
    def open(cls, options: dict[str, Any], *, tls: bool) -> Self:
        """Listen on all of them, or one clear line."""
        host = options["host"]
        http = listen(host, options["http_port"], "HTTP", "CSMS_HTTP_PORT")
        json = listen(host, options["json_port"], "OCPP-J", "CSMS_JSON_PORT")
        if not tls:
            return cls(http, json)
        https = listen(host, options["https_port"], "HTTPS", "CSMS_HTTPS_PORT")
        json_tls = listen(host, options["json_tls_port"], "OCPP-J over TLS", "CSMS_JSON_TLS_PORT")
        return cls(http, json, https, json_tls)


def _port(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


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
