"""Diagnostics over HTTP, delivered by curl: as they are and in forms, once, within limits."""

import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.utils import timezone

from csms import conf
from csms.models import Upload
from csms.models.uploads import UploadKind
from csms.services.storage import MIB, incoming_folder
from csms.services.uploads import upload_request
from tests import factories
from tests.files.site import CONTENT, curl, digest, put, sent_location, stored, until

if TYPE_CHECKING:
    from tests.files.site import Site

pytestmark = pytest.mark.django_db(transaction=True)


def asked(**columns: Any) -> tuple[Upload, str]:
    """An upload over HTTP, and where it is delivered."""
    options = {"kind": UploadKind.DIAGNOSTICS, "scheme": "http"} | columns
    upload = upload_request(charge_point=factories.charge_point(), **options)
    return upload, sent_location(upload.command)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "diag 2026.tar.gz"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("ending", ["", "/", "diag.log", "/diag.log"])
def test_put(site: "Site", file: Path, ending: str) -> None:
    """Charge points put the file at the location, or below it, with and without a slash."""
    upload, url = asked()
    done = curl("-T", "-", "-w", "%{http_code}", url + ending, text=CONTENT)
    assert done.stdout.endswith(b"201"), done
    assert stored(upload) == CONTENT
    assert (upload.state, upload.size, upload.sha256) == ("received", 300_000, digest(CONTENT))
    assert upload.file_name == ("diag.log" if ending.endswith("log") else upload.key)
    assert str(upload.file.name).startswith("uploads/")
    assert not list(incoming_folder().iterdir())


def test_curl_puts_a_file_by_name(site: "Site", file: Path) -> None:
    upload, url = asked()
    assert put(url, file) == 201
    assert stored(upload) == CONTENT
    assert upload.file_name == "diag-2026.tar.gz"


def test_post_of_the_file_itself(site: "Site", file: Path) -> None:
    upload, url = asked()
    done = curl("--data-binary", f"@{file}", "-w", "%{http_code}", url)
    assert done.stdout.endswith(b"201"), done
    assert stored(upload) == CONTENT


def test_post_of_a_form(site: "Site", file: Path) -> None:
    upload, url = asked()
    done = curl("-F", "note=hello", "-F", f"file=@{file}", "-w", "%{http_code}", url)
    assert done.stdout.endswith(b"201"), done
    assert stored(upload) == CONTENT
    assert upload.file_name == "diag-2026.tar.gz"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"'),
        ("form-data; boundary=x", b"--x--\r\n"),
        ("form-data", b"--x--\r\n"),
        ("form-data; boundary=x", b"nothing of the kind"),
        ("mixed", b""),
    ],
)
def test_what_is_no_file(site: "Site", kind: str, body: bytes) -> None:
    upload, url = asked()
    answer = httpx.post(
        url, content=body, headers={"content-type": f"multipart/{kind}"}, trust_env=False
    )
    assert answer.status_code == 400, answer.text
    upload.refresh_from_db()
    assert (upload.state, upload.file.name, upload.size) == ("waiting", "", 0)


def test_once(site: "Site", file: Path) -> None:
    """What was delivered is neither replaced nor read."""
    upload, url = asked()
    assert put(url, file) == 201
    assert httpx.put(url + "other", content=b"other", trust_env=False).status_code == 410
    for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
        assert httpx.request(method, url + "diag.log", trust_env=False).status_code == 405
    assert stored(upload) == CONTENT


def test_never_in_parts(site: "Site") -> None:
    upload, url = asked()
    headers = {"content-range": "bytes 10-19/20"}
    answer = httpx.put(url, content=b"0123456789", headers=headers, trust_env=False)
    assert answer.status_code == 400
    upload.refresh_from_db()
    assert upload.state == "waiting"


@pytest.mark.parametrize(
    "path",
    [
        "../{key}/{secret}/x/y",
        "{key}/{secret}/a/b",
        "{key}/{secret}x/",
        "{key}/" + "0" * 32 + "/",
        "0123456789ab/{secret}/",
        "{key}/",
        "",
    ],
)
def test_only_its_own_location(site: "Site", path: str) -> None:
    upload, url = asked()
    base, key, secret = url.rstrip("/").rsplit("/", 2)
    target = f"{base}/{path.format(key=key, secret=secret)}"
    done = curl("--path-as-is", "-T", "-", "-w", "%{http_code}", target, text=b"evil")
    assert done.stdout.endswith(b"404"), done
    upload.refresh_from_db()
    assert (upload.state, upload.attempt) == ("waiting", 0)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("..%2f..%2fetc%2fpasswd", None),
        ("%2e%2e", "-"),
        ("a%00b", "a-b"),
        ("caf%C3%A9%0d%0aX:1.log", "caf-X-1.log"),
        ("x" * 300 + ".tar", "x" * 96 + ".tar"),
    ],
)
def test_names_are_made_harmless(site: "Site", name: str, kept: str | None) -> None:
    upload, url = asked()
    done = curl("--path-as-is", "-T", "-", "-w", "%{http_code}", url + name, text=b"x")
    upload.refresh_from_db()
    if kept is None:
        assert done.stdout.endswith(b"404")
        assert upload.state == "waiting"
    else:
        assert done.stdout.endswith(b"201"), done
        assert upload.file_name == (upload.key if kept == "-" else kept)


def test_too_large(site: "Site", monkeypatch: pytest.MonkeyPatch) -> None:
    """Announced or not, nothing stays of it, and a smaller one is still taken."""
    monkeypatch.setitem(conf._changed, "upload_max_mb", 1)
    conf.settings.cache_clear()
    upload, url = asked()
    large = bytes(MIB + 1)
    announced = curl("--data-binary", "@-", url, text=large)
    assert b"at most" in announced.stdout, announced
    streamed = httpx.put(url, content=iter([large[:100]] * 10_600), trust_env=False)
    assert streamed.status_code == 413
    until(lambda: Upload.objects.get(pk=upload.pk).state == "waiting")
    chunks = ("-H", "Transfer-Encoding: chunked", "-F", "file=@-;filename=a.log", url)
    form = curl("-o", "/dev/null", "-w", "%{http_code}", *chunks, text=large)
    assert form.stdout == b"413", form
    until(lambda: Upload.objects.get(pk=upload.pk).state == "waiting")
    assert not list(incoming_folder().iterdir())
    assert httpx.put(url, content=large[:MIB], trust_env=False).status_code == 201


def test_no_bytes_are_no_file(site: "Site") -> None:
    upload, url = asked()
    for _ in range(2):
        assert httpx.put(url + "diag.log", content=b"", trust_env=False).status_code == 400
    upload.refresh_from_db()
    assert (upload.state, upload.size, upload.attempt) == ("waiting", 0, 2)
    assert not list(incoming_folder().iterdir())


def test_expired(site: "Site") -> None:
    upload, url = asked()
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert httpx.put(url, content=b"x", trust_env=False).status_code == 410
    assert Upload.objects.get(pk=upload.pk).size == 0


def test_one_that_breaks_off_may_be_tried_again(site: "Site") -> None:
    """Two do not write at once; what broke off leaves nothing."""
    upload, url = asked()
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as half:
        head = f"PUT {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        half.sendall(head.encode() + CONTENT[:200_000])
        until(lambda: Upload.objects.get(pk=upload.pk).state == "receiving")
        assert httpx.put(url, content=b"x", trust_env=False).status_code == 409
    until(lambda: Upload.objects.get(pk=upload.pk).state == "waiting")
    assert httpx.put(url, content=CONTENT, trust_env=False).status_code == 201
    assert stored(upload) == CONTENT
    assert upload.attempt == 2


def test_what_a_killed_process_was_writing_may_be_tried_again(site: "Site") -> None:
    upload, url = asked()
    Upload.objects.filter(pk=upload.pk).update(
        state="receiving", attempt=1, busy_until=timezone.now() + timedelta(seconds=30)
    )
    assert httpx.put(url, content=b"x", trust_env=False).status_code == 409
    Upload.objects.update(busy_until=timezone.now() - timedelta(seconds=1))
    assert httpx.put(url, content=b"new", trust_env=False).status_code == 201
    assert stored(upload) == b"new"
