"""Long bodies: more time and bytes than others have, as long as they go on; and who may send them
to Django's pages."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from csms.conf import read
from csms.http.server import HttpServer
from tests.http.serving import SHORT, Client, application, serving

if TYPE_CHECKING:
    from tests.files.site import Site

MOST = 200_000
PACED = replace(SHORT, body_bytes=1000, pace_bytes=1000, pace_seconds=0.5)


def long_body(method: str, path: str) -> int:
    return MOST if path == "/echo" else 0


def prepare(server: HttpServer) -> None:
    server.config.long_body = long_body


def head(length: int, path: str = "/echo") -> bytes:
    return f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_long_body_may_take_its_time() -> None:
    """Longer than body_seconds, and larger than body_bytes."""
    with serving(limits=PACED, app=application, prepare=prepare) as served, served.client() as c:
        c.send(head(10_000))
        for _ in range(10):
            c.send(bytes(1000))
            time.sleep(0.1)
        assert c.answer().endswith(b" / 10000")
        assert c.lasted > 2 * PACED.body_seconds


@pytest.mark.parametrize("drip", [0, 10])
def test_one_that_stalls_is_cut(drip: int) -> None:
    with serving(limits=PACED, app=application, prepare=prepare) as served, served.client() as c:
        c.send(head(10_000) + bytes(2000))
        answer = c.drip(bytes(200)) if drip else c.rest()
        assert answer.startswith(b"HTTP/1.1 408")
        assert c.lasted < 5


def test_it_has_a_limit_too() -> None:
    with serving(limits=PACED, app=application, prepare=prepare) as served:
        with served.client() as c:
            assert c.answer(head(MOST + 1)).startswith(b"HTTP/1.1 413")
        with served.client() as c:
            assert c.answer(head(2000, "/other")).startswith(b"HTTP/1.1 413")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/admin/csms/firmwareimage/add/", "/api/v1/firmware-images"])
def test_nobody_fills_the_disk_unasked(site: "Site", path: str) -> None:
    """Django reads a body before it asks who sends it: here somebody asks first."""
    port = int(site.http_url.rpartition(":")[2])
    for more in ("", "Cookie: sessionid=x\r\n", "Authorization: Bearer csms_x\r\n"):
        with Client(port) as c:
            c.send(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{more}"
                f"Content-Length: {300 * 2**20}\r\n\r\n".encode()
            )
            assert c.answer().startswith(b"HTTP/1.1 403"), more
    with Client(port) as c:
        length = 600 * 2**20
        c.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert c.answer().startswith(b"HTTP/1.1 413")


@pytest.mark.django_db(transaction=True)
def test_who_may_sends_a_large_image(site: "Site") -> None:
    """20 MB, which no other page takes."""
    import httpx

    from csms.models import FirmwareImage
    from csms.services.tokens import token_add

    _, token = token_add(name="uploader", can="all")
    answer = httpx.post(
        f"{site.http_url}/api/v1/firmware-images",
        data={"version": "1"},
        files={"file": ("fw.bin", bytes(20_000_000))},
        headers={"authorization": f"Bearer {token}"},
        timeout=60,
        trust_env=False,
    )
    assert answer.status_code == 201, answer.text
    assert FirmwareImage.objects.get().size == 20_000_000


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("", True),
        ("https://a.example.com,ftp://a.example.com:2121", True),
        ("http://[::1]:8000/", True),
        ("http://a,http://b", False),
        ("http://a/path", False),
        ("sftp://a", False),
        ("a.example.com", False),
        ("http://user:pass@a", False),
    ],
)
def test_file_urls(text: str, fine: bool) -> None:
    from csms.conf import SettingError

    if fine:
        read({"CSMS_FILE_URLS": text})
        return
    with pytest.raises(SettingError, match="CSMS_FILE_URLS"):
        read({"CSMS_FILE_URLS": text})


def test_base_urls_follow_what_is_served() -> None:
    from csms.services.locations import base_urls

    host = {"CSMS_PUBLIC_HOST": "csms.example.com"}
    assert base_urls(read({})) == {}
    assert base_urls(read(host)) == {"http": "http://csms.example.com:8000"}
    tls = host | {"CSMS_FTP": "1", "CSMS_TLS_CERTIFICATES": "a.pem:a.key"}
    assert list(base_urls(read(tls))) == ["https", "ftps", "http", "ftp"]
    six = {"CSMS_PUBLIC_HOST": "2001:db8::1"}
    assert base_urls(read(six)) == {"http": "http://[2001:db8::1]:8000"}
