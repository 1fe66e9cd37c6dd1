"""CSMS_FILE_STORAGE=s3://…: the same files, in S3 (one of a few lines, over HTTP)."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from django.core.files.storage import storages

from csms.models import FirmwareImage, Upload
from csms.models.uploads import UploadKind
from csms.services.firmware_images import image_delete
from csms.services.storage import opened, pieces
from csms.services.uploads import upload_begin, upload_request
from tests import factories
from tests.files.images import image, location_of
from tests.files.site import CONTENT

pytestmark = pytest.mark.django_db


class Bucket(BaseHTTPRequestHandler):
    """PUT, HEAD, GET and DELETE of objects."""

    objects: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            body = _unchunked(body)
        self.objects[self.path.partition("?")[0]] = body
        self._answer(200)

    def do_GET(self) -> None:
        content = self.objects.get(self.path.partition("?")[0])
        if content is None:
            self._answer(404)
        else:
            self._answer(200, content)

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        self.objects.pop(self.path.partition("?")[0], None)
        self._answer(204)

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Fri, 20 Nov 2026 12:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing is said."""


def _unchunked(body: bytes) -> bytes:
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            break
        content, body = content + body[:length], body[length + 2 :]
    return content


@pytest.fixture
def bucket(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    from csms.settings import _files

    pytest.importorskip("storages")
    kept: dict[str, bytes] = {}
    handler = type("Handler", (Bucket,), {"objects": kept})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "eu-1"),
        ("NO_PROXY", "*"),
    ):
        monkeypatch.setenv(name, value)
    settings.STORAGES = settings.STORAGES | {"files": _files("s3://fleet/ocpp")}
    for model in (FirmwareImage, Upload):
        monkeypatch.setattr(model._meta.get_field("file"), "storage", storages["files"])
    yield kept
    cast(Any, storages["files"]).connection.meta.client.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_images_and_uploads(
    bucket: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    from csms import conf

    row = image()
    assert list(bucket) == [f"/fleet/ocpp/{row.file.name}"]
    with opened(row.file) as content:
        assert b"".join(pieces(content, 10, first=299_990)) == CONTENT[-10:]
    monkeypatch.setattr(conf, "_changed", {"file_urls": ("http://files.test",)})
    conf.settings.cache_clear()
    upload = upload_request(charge_point=factories.charge_point(), kind=UploadKind.DIAGNOSTICS)
    secret = location_of(upload.command).rstrip("/").rpartition("/")[2]
    with upload_begin(key=upload.key, secret=secret) as receiving:
        receiving.write(CONTENT)
        receiving.finish()
    upload.refresh_from_db()
    assert bucket[f"/fleet/ocpp/{upload.file.name}"] == CONTENT
    with django_capture_on_commit_callbacks(execute=True):
        image_delete(image=row)
    assert len(bucket) == 1
    monkeypatch.undo()
    conf.settings.cache_clear()
