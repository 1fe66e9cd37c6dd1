"""nginx and HAProxy with the configuration that docs/proxy.md gives, on free ports."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import Missing, free_port
from tests.tls.conftest import Pki

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "proxy.md"
STARTS_WITHIN = 20.0


def documented(kind: str) -> str:
    """The code block of that kind in the documentation."""
    found = re.findall(rf"```{kind}\n(.*?)```", DOCUMENTED.read_text("utf-8"), re.DOTALL)
    assert len(found) == 1
    text: str = found[0]
    return text


def _adapted(kind: str, pki: Pki, folder: Path, http_port: int, json_port: int, port: int) -> str:
    """The documented configuration with the ports and files of a test."""
    text = documented(kind)
    for was, becomes in (
        ("/etc/ssl/csms/", f"{pki.folder}/"),
        ("127.0.0.1:8000", f"127.0.0.1:{http_port}"),
        ("127.0.0.1:9000", f"127.0.0.1:{json_port}"),
        *([("/var/log/nginx/", f"{folder}/")] if kind == "nginx" else []),
        ("listen 443 " if kind == "nginx" else "bind :443 ", f"@ 127.0.0.1:{port} "),
    ):
        assert was in text, was
        text = text.replace(was, becomes)
    return text.replace("@ ", "listen " if kind == "nginx" else "bind ")


class Proxy:
    """A running proxy."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder

    @property
    def access_log(self) -> str:
        log = self.folder / "access.log"
        return log.read_text() if log.exists() else ""


@contextmanager
def proxy(kind: str, pki: Pki, folder: Path, *, http_port: int, json_port: int) -> Iterator[Proxy]:
    """Run nginx or HAProxy in front of these ports. Raises Missing."""
    program = shutil.which(kind, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise Missing(f"{kind} is not installed (Debian: apt install {kind}).")
    port = free_port()
    text = _adapted(kind, pki, folder, http_port, json_port, port)
    config, log = folder / f"{kind}.conf", folder / "log"
    if kind == "nginx":
        paths = " ".join(
            f"{name}_temp_path {folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = (
            f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
            f"events {{ worker_connections 512; }}\n"
            f"http {{ {paths}\n{text}}}\n"
        )
        command = [program, "-c", str(config), "-p", str(folder), "-e", "stderr"]
    else:
        for name in ("ec", "rsa"):  # as the documentation says
            parts = [(pki.folder / f"{name}.{end}").read_bytes() for end in ("pem", "key")]
            (pki.folder / f"{name}-both.pem").write_bytes(b"".join(parts))
        command = [program, "-db", "-f", str(config)]
    config.write_text(text)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_open(process, port, log)
        yield Proxy(port, folder)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_open(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
