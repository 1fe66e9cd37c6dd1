"""Fetching firmware and delivering files: for real on this machine, in pretence elsewhere.

A simulator should not send its invented files to strangers: unless it is allowed to talk to other
machines, a location that is not loopback is treated as a server that takes and gives everything.
"""

import asyncio
import ftplib
import io
import ipaddress
import ssl
from functools import partial
from urllib.parse import unquote, urlsplit

import httpx

TIMEOUT = 10.0
LARGEST = 64 * 1024 * 1024
"""Bytes of an image: of a larger one the download fails, as in a charge point's small memory."""


class TransferFailed(Exception):
    """The file did not get there, or did not come."""


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def upload(location: str, name: str, content: bytes, *, allow_remote: bool) -> None:
    """Put a file into the directory at `location` (ftp, ftps, http, https)."""
    if not (allow_remote or is_loopback(location)):
        return
    scheme = urlsplit(location).scheme
    try:
        if scheme in ("ftp", "ftps"):
            await asyncio.to_thread(_ftp_upload, location, name, content)
        elif scheme in ("http", "https"):
            url = location if location.endswith(name) else f"{location.rstrip('/')}/{name}"
            async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=_tls()) as client:
                (await client.put(url, content=content)).raise_for_status()
        else:
            raise TransferFailed(f"{scheme or 'no scheme'} is not supported")
    except (OSError, EOFError, ValueError, ftplib.Error, httpx.HTTPError) as error:
        raise TransferFailed(str(error) or type(error).__name__) from error


async def download(location: str, *, allow_remote: bool) -> bytes | None:
    """Fetch a file; None when that is only pretended."""
    if not (allow_remote or is_loopback(location)):
        return None
    scheme = urlsplit(location).scheme
    try:
        if scheme in ("ftp", "ftps"):
            return await asyncio.to_thread(_ftp_download, location)
        if scheme in ("http", "https"):
            return await _http_download(location)
    except (OSError, EOFError, ValueError, ftplib.Error, httpx.HTTPError) as error:
        raise TransferFailed(str(error) or type(error).__name__) from error
    raise TransferFailed(f"{scheme or 'no scheme'} is not supported")


async def _http_download(location: str) -> bytes:
    content = bytearray()
    async with (
        httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=_tls()) as client,
        client.stream("GET", location) as answer,
    ):
        answer.raise_for_status()
        async for piece in answer.aiter_bytes():
            _add(content, piece)
    return bytes(content)


def _add(content: bytearray, piece: bytes) -> None:
    content += piece
    if len(content) > LARGEST:
        raise ValueError("The file is too large.")


def _tls() -> ssl.SSLContext:
    """Encrypted, to whomever: a simulator is told of no authority."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _ftp(location: str) -> tuple[ftplib.FTP, str]:
    """A session at the server of a location, and the path."""
    parts = urlsplit(location)
    ftp: ftplib.FTP
    if parts.scheme == "ftps":
        ftp = ftplib.FTP_TLS(timeout=TIMEOUT, context=_tls())  # noqa: S321
    else:
        ftp = ftplib.FTP(timeout=TIMEOUT)  # noqa: S321 - OCPP 1.6 names FTP
    try:
        ftp.connect(parts.hostname or "", parts.port or 21)
        ftp.login(unquote(parts.username or "anonymous"), unquote(parts.password or "charger@"))
        if isinstance(ftp, ftplib.FTP_TLS):
            ftp.prot_p()
    except BaseException:
        ftp.close()
        raise
    return ftp, unquote(parts.path)


def _ftp_upload(location: str, name: str, content: bytes) -> None:
    ftp, path = _ftp(location)
    with ftp:
        if path.strip("/"):
            ftp.cwd(path)
        ftp.storbinary(f"STOR {name}", io.BytesIO(content))


def _ftp_download(location: str) -> bytes:
    ftp, path = _ftp(location)
    content = bytearray()
    with ftp:
        ftp.retrbinary(f"RETR {path}", partial(_add, content))
    return bytes(content)
