"""Firmware over HTTP, fetched by curl: whole, in parts, continued, and by nobody else (N40)."""

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import factories
from tests.files.site import CONTENT, curl, digest, image, location

if TYPE_CHECKING:
    from tests.files.site import Site

pytestmark = pytest.mark.django_db(transaction=True)


def test_curl_fetches_it_whole(site: "Site", tmp_path: Path) -> None:
    url = location(image(), factories.charge_point())
    done = curl("-f", "-D", "-", "-o", str(tmp_path / "fw"), url)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "fw").read_bytes() == CONTENT
    head = done.stdout.decode().lower()
    assert f'etag: "{digest(CONTENT)}"' in head
    assert "accept-ranges: bytes" in head
    assert "x-content-type-options: nosniff" in head
    assert 'filename="fw-1.5.bin"' in head


def test_curl_continues_where_it_broke_off(site: "Site", tmp_path: Path) -> None:
    url = location(image(), factories.charge_point())
    (tmp_path / "fw").write_bytes(CONTENT[:100_001])
    done = curl("-f", "-C", "-", "-D", "-", "-o", str(tmp_path / "fw"), url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"HTTP/1.1 206")
    assert b"content-range: bytes 100001-299999/300000" in done.stdout
    assert (tmp_path / "fw").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("asked", "status", "got"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=299990-", 206, CONTENT[-10:]),
        ("bytes=-7", 206, CONTENT[-7:]),
        ("bytes=299999-999999999", 206, CONTENT[-1:]),
        ("bytes=300000-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=9-1", 200, CONTENT),
        ("bytes=0-1,5-6", 200, CONTENT),
        ("lines=1-2", 200, CONTENT),
    ],
)
def test_ranges(site: "Site", asked: str, status: int, got: bytes) -> None:
    url = location(image(), factories.charge_point())
    answer = httpx.get(url, headers={"range": asked}, trust_env=False)
    assert (answer.status_code, answer.content) == (status, got)


def test_if_range_of_another_content_gets_all_of_it(site: "Site") -> None:
    url = location(image(), factories.charge_point())
    other = {"range": "bytes=5-", "if-range": '"another"'}
    assert httpx.get(url, headers=other, trust_env=False).content == CONTENT
    same = {"range": "bytes=5-", "if-range": f'"{digest(CONTENT)}"'}
    assert httpx.get(url, headers=same, trust_env=False).content == CONTENT[5:]


def test_head(site: "Site") -> None:
    answer = httpx.head(location(image(), factories.charge_point()), trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-length"] == "300000"
    assert answer.content == b""


def test_only_the_signed_location_leads_to_it(site: "Site") -> None:
    """Of another image or charge point, later, by another scheme, with another signature: 404."""
    row, charger = image(), factories.charge_point()
    other = image(b"other", version="2")
    good = location(row, charger)
    _, grant, signature, name = good.rsplit("/", 3)
    number, point, expires, scheme = grant.split(".")
    forged = [
        f"{other.pk}.{point}.{expires}.{scheme}/{signature}/{name}",
        f"{number}.{int(point) + 1}.{expires}.{scheme}/{signature}/{name}",
        f"{number}.{point}.{int(expires) + 9}.{scheme}/{signature}/{name}",
        f"{grant}/{'A' * 22}/{name}",
        f"{grant}/{signature[:-1]}/{name}",
        f"{grant}/{signature}/../{name}",
        f"{grant}/{signature}",
        "../../etc/passwd",
    ]
    base = good.split("/files/", maxsplit=1)[0] + "/files/firmware/"
    for path in forged:
        done = curl("--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", base + path)
        assert done.stdout == b"404", path
    assert curl("-f", "-o", "/dev/null", good).returncode == 0


def test_expired_and_of_a_charge_point_that_is_gone(site: "Site") -> None:
    row, charger = image(), factories.charge_point()
    assert httpx.get(location(row, charger, seconds=-1), trust_env=False).status_code == 404
    url = location(row, charger)
    charger.delete()
    assert httpx.get(url, trust_env=False).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_nothing_is_written_there(site: "Site", method: str) -> None:
    url = location(image(), factories.charge_point())
    answer = httpx.request(method, url, content=b"x", trust_env=False)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
