"""What the tests of files share: images, locations, curl and FTP clients."""

import ftplib
import hashlib
import io
import random
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.files.base import ContentFile

from csms.models import ChargePoint, Command, FirmwareImage, Upload
from csms.services.firmware_images import image_add
from csms.services.locations import firmware_location
from csms.services.sealing import unseal
from tests.running import System
from tests.tls.conftest import Pki

CONTENT = random.Random(1).randbytes(300_000)


@dataclass
class Site:
    """A running system that serves files."""

    system: System
    ftp_port: int
    pki: Pki

    @property
    def http_url(self) -> str:
        return self.system.http_url


def image(content: bytes = CONTENT, *, name: str = "fw 1.5.bin", **columns: Any) -> FirmwareImage:
    columns = {"version": "1.5.0"} | columns
    return image_add(content=ContentFile(content, name), **columns)


def location(
    row: FirmwareImage, charger: ChargePoint, scheme: str = "http", *, seconds: float = 3600
) -> str:
    return firmware_location(
        scheme=scheme,
        image=row.pk,
        charge_point=charger.pk,
        name=row.file_name,
        expires_at=datetime.now(UTC) + timedelta(seconds=seconds),
    )


def sent_location(command: Command | None) -> str:
    """The location that a waiting command will carry."""
    assert command is not None
    payload = unseal(command.sealed)
    for part in (payload, payload.get("firmware", {}), payload.get("log", {})):
        found = part.get("location") or part.get("remoteLocation")
        if found:
            return str(found)
    raise AssertionError(payload)


def curl(*arguments: str, text: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    """The real one, without a proxy; its output is body, then status."""
    return subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "20", *arguments],
        input=text,
        capture_output=True,
        check=False,
    )


def put(url: str, path: Path, *more: str) -> int:
    """The status with which a file is taken."""
    done = curl("-T", str(path), "-o", "/dev/null", "-w", "%{http_code}", *more, url)
    return int(done.stdout or b"0")


def ftp(url: str, *, ca: str = "") -> ftplib.FTP:
    """A logged-in session at the server of a location."""
    parts = urlsplit(url)
    session: ftplib.FTP
    if parts.scheme == "ftps":
        import ssl

        session = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=ca), timeout=10)
    else:
        session = ftplib.FTP(timeout=10)
    session.connect(parts.hostname or "", parts.port or 21)
    try:
        session.login(unquote(parts.username or ""), unquote(parts.password or ""))
    except ftplib.Error:
        session.close()
        raise
    if isinstance(session, ftplib.FTP_TLS):
        session.prot_p()
    return session


def fetched(session: ftplib.FTP, name: str, rest: int | None = None) -> bytes:
    content = io.BytesIO()
    session.retrbinary(f"RETR {name}", content.write, rest=rest)
    return content.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stored(upload: Upload) -> bytes:
    """What was kept of an upload."""
    upload.refresh_from_db()
    with upload.file.open("rb") as content:
        return bytes(content.read())


def until(condition: Any, seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
