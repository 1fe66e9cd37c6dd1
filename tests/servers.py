"""Servers that tests need, started from the system's packages on free ports.

Each starter returns a running server with a `url` and a `stop()`; nothing outlives the test run.
`Missing` says in one sentence what is not installed.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Missing(Exception):
    """A program that these tests need is not installed."""


class Server:
    """A child process with a folder of its own, gone (with its folder) after `stop()`."""

    def __init__(self, *, process: subprocess.Popen[bytes], folder: Path, url: str) -> None:
        self.process = process
        self.folder = folder
        self.url = url

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start_postgresql(*, durable: bool = False) -> Server:
    """An empty PostgreSQL cluster: its superuser is `csms`, without password.

    Only when `durable` are its commits on the disk.
    """
    initdb, postgres = _postgresql_program("initdb"), _postgresql_program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="csms-pg-", dir="/tmp"))  # socket paths must be short
    owner = _owner(folder)
    data, log, port = folder / "data", folder / "log", free_port()
    made = subprocess.run(
        [initdb, "-D", data, "-U", "csms", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **owner,
    )
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise RuntimeError(f"initdb failed: {made.stderr.strip()}")
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        "max_connections": 200,
    }
    command = [postgres, "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches the tests first, they stop the server
            **owner,
        )
    server = Server(
        process=process, folder=folder, url=f"postgresql://csms@127.0.0.1:{port}/postgres"
    )
    _wait_until(server, log, lambda: "ready to accept connections" in log.read_text())
    return server


def start_redis(port: int = 0) -> Server:
    """An empty Redis that keeps nothing, on that port."""
    program = shutil.which("redis-server")
    if program is None:
        raise Missing("Redis is not installed (Debian: apt install redis-server).")
    folder = Path(tempfile.mkdtemp(prefix="csms-redis-"))
    log, port = folder / "log", port or free_port()
    arguments = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, *arguments, "--dir", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process=process, folder=folder, url=f"redis://127.0.0.1:{port}/0")
    _wait_until(server, log, lambda: "Ready to accept connections" in log.read_text())
    return server


def chromium() -> str:
    """Path of the system's Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    raise Missing("Chromium is not installed (Debian: apt install chromium).")


def _postgresql_program(name: str) -> str:
    """Debian keeps the server's programs out of PATH, in a folder for each version."""
    found = list(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if found:
        return str(max(found, key=lambda path: float(path.parts[-3])))
    path = shutil.which(name)
    if path is None:
        raise Missing("PostgreSQL is not installed (Debian: apt install postgresql).")
    return path


def _owner(folder: Path) -> dict[str, Any]:
    """How to start PostgreSQL, which refuses to run as root: as the user `postgres` then."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        shutil.rmtree(folder)
        raise Missing(
            "PostgreSQL does not run as root, and the user postgres is missing."
        ) from None
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _wait_until(server: Server, log: Path, ready: Callable[[], bool]) -> None:
    """Return once `ready()`; a server that ends or takes 30 seconds raises with its log."""
    deadline = time.monotonic() + 30
    while not ready():
        if server.process.poll() is not None or time.monotonic() > deadline:
            output = log.read_text()
            server.stop()
            raise RuntimeError(f"A server for the tests did not start: {output}")
        time.sleep(0.05)
