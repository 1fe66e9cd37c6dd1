"""The central system in parts, as docs/scaling.md describes it, behind its HAProxy."""

import contextlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.faults.databases import Postgres
from tests.faults.proxy import Address
from tests.faults.site import ROOT, Site
from tests.servers import Missing, Server, free_port, start_redis
from tests.serving import MANAGE, STARTS_WITHIN, Environment, manage

DOCUMENTED = ROOT / "docs" / "scaling.md"


class Part:
    """One `manage.py serve --role …`, on ports that last over its restarts."""

    def __init__(self, role: str, name: str, environment: Environment) -> None:
        self.role = role
        self.name = name
        self.ports = {"http": free_port(), "json": free_port(), "watch": free_port()}
        self.environment = environment | {
            "PGAPPNAME": name,
            "PYTHONUNBUFFERED": "1",
            **{f"CSMS_{kind.upper()}_PORT": str(port) for kind, port in self.ports.items()},
        }
        self.process: subprocess.Popen[str] | None = None
        self._said: list[str] = []

    def start(self) -> None:
        """Return at once; `ready` waits."""
        self.process = subprocess.Popen(
            [sys.executable, MANAGE, "serve", "--role", self.role],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            self._said += process.stdout

    @property
    def output(self) -> str:
        return "".join(self._said)

    def ready(self) -> None:
        """Return once it can take messages."""
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.output
            with contextlib.suppress(httpx.TransportError):
                if self.watch("/health/ready").status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(self.output)

    def watch(self, path: str) -> httpx.Response:
        """What it answers on the port for programs that watch it."""
        return httpx.get(f"http://127.0.0.1:{self.ports['watch']}{path}", timeout=5)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STARTS_WITHIN)


class WideSite(Site):
    """Gateways, web processes and one that delivers; `json` and `http` are HAProxy's ports."""

    def __init__(
        self, folder: Path, *, postgres: Postgres, gateways: tuple[str, ...], webs: tuple[str, ...]
    ) -> None:
        self.redis_port = free_port()
        super().__init__(
            folder,
            postgres=postgres,
            names="",
            REDIS_URL=f"redis://127.0.0.1:{self.redis_port}/0",
            CSMS_CALL_TIMEOUT="5",
            CSMS_MAX_CONNECTIONS_PER_ADDRESS="5000",
            CSMS_ACCEPT_RATE="1000",
            CSMS_TRUSTED_PROXIES="127.0.0.1",
        )
        self.http, self.json = _Port(free_port()), _Port(free_port())  # type: ignore[assignment]
        self.parts = {
            **{name: Part("json", name, self.environment) for name in gateways},
            **{name: Part("http", name, self.environment) for name in webs},
            "deliver": Part("deliver", "deliver", self.environment),
        }
        self._redis: Server | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}/api/v1"

    def token(self) -> str:
        """A token of the REST API that may do everything."""
        said = manage(self.environment, "api_token", "add", "wide", "--can", "all").stdout
        found = re.search(r"csms_\S+", said)
        assert found is not None
        return found[0]

    @contextlib.contextmanager
    def running(self, *names: str) -> Iterator[None]:
        """Redis, HAProxy and these parts; whatever happens, all are gone afterwards."""
        try:
            self.redis_start()
            for name in names:
                self.parts[name].start()
            for name in names:
                self.parts[name].ready()
            with self._haproxy():
                yield
        finally:
            for part in self.parts.values():
                if part.process is not None and part.process.poll() is None:
                    part.kill()
            if self._redis is not None:
                self._redis.stop()

    def redis_start(self) -> None:
        self._redis = start_redis(self.redis_port)

    def redis_stop(self) -> None:
        assert self._redis is not None
        self._redis.stop()
        self._redis = None

    @contextlib.contextmanager
    def _haproxy(self) -> Iterator[None]:
        """HAProxy with the documented configuration, its addresses replaced by ours."""
        program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if program is None:
            raise Missing("HAProxy is not installed (Debian: apt install haproxy).")
        config, log = (self.folder.parent / f"haproxy.{end}" for end in ("cfg", "log"))
        config.write_text(self._adapted())
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, "-db", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + STARTS_WITHIN
            while not self._answers():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.http.port}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def _adapted(self) -> str:
        found = re.findall(r"```haproxy\n(.*?)```", DOCUMENTED.read_text("utf-8"), re.DOTALL)
        assert len(found) == 1
        text: str = found[0]
        for bound, port in ((":80", self.http.port), (":9000", self.json.port)):
            assert text.count(f"bind {bound}\n") == 1
            text = text.replace(f"bind {bound}\n", f"bind 127.0.0.1:{port}\n")
        for role, kind in (("http", "web"), ("json", "gateway")):
            line = re.search(rf"^ +server {kind}1 \S+ (.*)$", text, re.MULTILINE)
            assert line is not None
            servers = [
                f"    server {part.name} 127.0.0.1:{part.ports[role]} "
                + line[1].replace("9100", str(part.ports["watch"]))
                for part in self.parts.values()
                if part.role == role
            ]
            lines = re.compile(rf"(?:^ +server {kind}\d .*\n)+", re.MULTILINE)
            text = lines.sub("".join(f"{server}\n" for server in servers), text)
        return text


class _Port:
    """Where HAProxy listens, as the fleet asks for it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.targets: list[Address] = []
