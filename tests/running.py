"""The whole central system on free ports of this process, over the test's own database.

Edges, inbox, deliveries and Django's pages run on an event loop in a thread, as `manage.py serve`
arranges them; the test itself is plain synchronous code that speaks the wire and looks at rows.
"""

import asyncio
import itertools
import json
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeVar

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from csms import conf
from csms.asgi import SOAP_PATH, long_body, make_application
from csms.http.server import HttpServer, http_config
from csms.models import ChargePoint, Message
from csms.services.inbox import Inbox
from csms.services.security_events import refusals_keep
from ocpp_json.delivery import Delivery as JsonDelivery
from ocpp_json.server import JsonServer
from ocpp_soap.delivery import Delivery as SoapDelivery

T = TypeVar("T")
_ACTION = re.compile(r'\s*\[\s*2\s*,\s*"[^"]*"\s*,\s*"(\w+)"')
PATIENCE = 10.0
"""Seconds for which a test waits for anything."""


class System:
    """A running central system. It lasts for several tests; `settle` ends what a test began."""

    def __init__(self) -> None:
        self.json_url = self.http_url = self.soap_url = ""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="system", daemon=True)
        self._lasting: set[asyncio.Task[Any]] = set()
        self._deliveries: list[asyncio.Task[None]] = []
        self._opened = ExitStack()

    def start(self) -> None:
        self._thread.start()
        self.run(self._start())

    def stop(self) -> None:
        self.run(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 2 * PATIENCE) -> T:
        """Run a coroutine on the system's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    async def _start(self) -> None:
        self.inbox = Inbox()
        self.inbox.start()
        self.server = JsonServer(inbox=self.inbox, gateway="test")
        await self.server.start("127.0.0.1", 0)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self._http = HttpServer(http_config(make_application(self.inbox), long_body=long_body))
        self._web = asyncio.create_task(self._http.serve(sockets=[listener]))
        self.json_url = f"ws://127.0.0.1:{self.server.port}"
        self.http_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.soap_url = self.http_url + SOAP_PATH
        while not self._http.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.005)
        self._lasting = asyncio.all_tasks()

    async def _end(self) -> None:
        await self.server.close()
        self._http.should_exit = True
        await self._web
        await self.inbox.stop()

    def deliver(self, most_at_once: int = 1_000) -> None:
        """Deliver commands from now on, on both transports; so many over SOAP at a time."""

        async def start() -> None:
            soap = SoapDelivery(inbox=self.inbox, pause=0.01, most_at_once=most_at_once)
            self._deliveries = [
                asyncio.create_task(JsonDelivery(self.server).run()),
                asyncio.create_task(soap.run()),
            ]

        if not self._deliveries:
            self.run(start())

    def settle(self) -> None:
        """Close what is open and wait until nothing of the test runs or touches the database."""

        async def settle() -> None:
            for task in self._deliveries:
                task.cancel()
            self._deliveries = []
            running = asyncio.all_tasks() - self._lasting - {asyncio.current_task()}
            if running:
                _, late = await asyncio.wait(running, timeout=PATIENCE)
                assert not late, late

        self._opened.close()
        self.run(settle())
        self.written()

    def written(self) -> None:
        """Wait until message log and security events are complete: some of them are written behind
        the answers."""
        self.run(self.inbox.stop())  # it commits what waits
        self.run(refusals_keep())
        self.inbox.start()

    def charger(self, row: ChargePoint, **options: Any) -> "JsonCharger":
        """Connect a charge point until the end of the test."""
        charger = JsonCharger(self, row, **options)
        self._opened.enter_context(charger)
        return charger

    def callback(self, answer: Callable[[str], str | bytes], status: int = 200) -> "Callback":
        """Listen for calls of a SOAP charge point until the end of the test."""
        return self._opened.enter_context(Callback(answer, status))


@contextmanager
def running(**environment: str) -> Iterator[System]:
    """A central system with these settings, until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        conf.settings.cache_clear()
        system = System()
        system.start()
        try:
            yield system
        finally:
            system.stop()
    conf.settings.cache_clear()


# ------------------------------------------------------------------------- charge points


class JsonCharger:
    """A charge point's WebSocket, at the level of frames; use it as a context."""

    def __init__(
        self,
        system: System,
        row: ChargePoint,
        *,
        subprotocols: tuple[str, ...] = ("ocpp1.6",),
        path: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.row = row
        self.judge: Callable[[str, Any], None] | None = None
        """Judges each answer, when set: called with the message's name and the payload."""
        self._numbers = itertools.count(1)
        self._opening = connect(
            system.json_url + (path or f"/{row.identity}"),
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            additional_headers=headers or {},
            proxy=None,
            open_timeout=PATIENCE,
        )
        self.socket: ClientConnection

    def __enter__(self) -> Self:
        self.socket = self._opening.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._opening.__exit__(*details)

    def send(self, frame: str) -> None:
        self.socket.send(frame)

    def receive(self, seconds: float = PATIENCE) -> Any:
        """The next frame. TimeoutError when there is none."""
        return json.loads(self.socket.recv(timeout=seconds))

    def ask(self, frame: str) -> Any:
        """The answer to a frame of ours."""
        self.send(frame)
        answer = self.receive()
        if self.judge is not None and answer[0] == 3:
            named = _ACTION.match(frame)
            assert named is not None
            self.judge(named[1] + "Response", answer[2])
        return answer

    def call(self, name: str, _id: Any = "", **payload: Any) -> dict[str, Any]:
        """The payload with which a call is answered; it must not be an error."""
        message_id = _id or f"call-{next(self._numbers)}"
        answer = self.ask(json.dumps([2, message_id, name, payload]))
        while answer[0] == 2:  # the central system asks something too
            answer = self.receive()
        assert answer[:2] == [3, message_id], answer
        result: dict[str, Any] = answer[2]
        return result

    def lives(self) -> None:
        """The connection is open, and calls are answered."""
        assert "currentTime" in self.call("Heartbeat", _id="alive?")


def post(system: System, envelope: str | bytes, path: str = "", **headers: str) -> httpx.Response:
    """What an envelope is answered."""
    return httpx.post(
        system.soap_url + path,
        content=envelope,
        headers={"Content-Type": "application/soap+xml; charset=utf-8", **headers},
        trust_env=False,
        timeout=PATIENCE,
    )


class Callback(ThreadingHTTPServer):
    """Where a SOAP charge point is called: keeps what came, answers what `answer` makes of it."""

    daemon_threads = True

    def __init__(self, answer: Callable[[str], str | bytes], status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Called)
        self.answer = answer
        self.status = status
        self.requests: list[tuple[dict[str, str], str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/cp"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __exit__(self, *details: Any) -> None:
        self.shutdown()
        self._thread.join()
        super().__exit__(*details)


class _Called(BaseHTTPRequestHandler):
    server: Callback

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, body))
        answer = self.server.answer(body)
        content = answer.encode() if isinstance(answer, str) else answer
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/soap+xml; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing is said."""


# -------------------------------------------------------------------------------- rows


def last_message(row: ChargePoint, **which: Any) -> Message:
    """The newest row of a charge point's message log."""
    found = Message.objects.filter(charge_point=row, **which).order_by("-id").first()
    assert found is not None
    return found


def noted(message: Message) -> set[str]:
    """Names of the tolerances with which a message was read."""
    return {str(note).partition(" at ")[0] for note in message.notes}


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until something is so; what it says."""
    pause = threading.Event()
    for _ in range(round(seconds / 0.02)):
        found = condition()
        if found:
            return found
        pause.wait(0.02)
    raise AssertionError("It did not become so.")
