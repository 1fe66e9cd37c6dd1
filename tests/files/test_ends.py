"""How uploads and updates end: by what is told, by the file itself, by silence; and what stays of
them in the storage."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from csms import conf
from csms.models import Command, Upload
from csms.models.uploads import UploadKind
from csms.services import uploads
from csms.services.effects import effects_check
from csms.services.storage import Incoming
from csms.services.uploads import (
    upload_begin,
    upload_request,
    uploads_forget,
    uploads_settle,
    uploads_told,
    uploads_trim,
)
from tests import factories
from tests.files.site import sent_location

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(conf, "_changed", {"file_urls": ("http://files.test",)})
    monkeypatch.setattr(uploads, "_swept_at", datetime.min.replace(tzinfo=UTC))
    conf.settings.cache_clear()
    yield
    monkeypatch.undo()
    conf.settings.cache_clear()


def ago(**span: float) -> datetime:
    return timezone.now() - timedelta(**span)


def asked(kind: UploadKind = UploadKind.DIAGNOSTICS, **options: Any) -> Upload:
    return upload_request(charge_point=factories.charge_point(), kind=kind, **options)


def accepted(upload: Upload, **columns: Any) -> None:
    """The charge point said yes, two hours ago."""
    values = {
        "state": "accepted",
        "answer": {"fileName": "diag.zip"},
        "effect": "waiting",
        "sent_at": ago(hours=2),
        "effect_until": timezone.now() + timedelta(hours=1),
    }
    Command.objects.filter(uploads=upload).update(**values | columns)


def delivered(upload: Upload, content: bytes = b"log") -> None:
    secret = sent_location(upload.command).rstrip("/").rpartition("/")[2]
    with upload_begin(key=upload.key, secret=secret) as receiving:
        receiving.write(content)
        receiving.finish()
    upload.refresh_from_db()


def effect(upload: Upload) -> tuple[str, str]:
    effects_check(now=timezone.now())
    command = Command.objects.get(uploads=upload)
    return command.effect, command.effect_text


@pytest.mark.parametrize("kind", [UploadKind.DIAGNOSTICS, UploadKind.SECURITY_LOG])
@pytest.mark.parametrize("told", ["", "UploadFailed"])
def test_the_file_itself_is_the_effect(kind: UploadKind, told: str) -> None:
    """Whatever is told of it: the answer to an upload may get lost, a status too."""
    upload = asked(kind, retries=0)
    delivered(upload)
    accepted(upload)
    if told:
        transfer = "diagnostics" if kind == UploadKind.DIAGNOSTICS else "log"
        factories.transfer(upload.charge_point, kind=transfer, status=told)
    assert effect(upload) == ("seen", "The file is here.")


@pytest.mark.parametrize(
    ("minutes", "later", "expected"),
    [
        (39, "", "waiting"),
        (41, "", "missing"),
        (41, "Uploading", "waiting"),
        (41, "Idle", "missing"),
    ],
)
def test_silence_after_all_attempts_is_the_end(minutes: int, later: str, expected: str) -> None:
    """Three attempts ten minutes apart, and ten minutes more, though the deadline is far."""
    upload = asked(retries=2, retry_interval=600)
    accepted(upload)
    factories.transfer(
        upload.charge_point,
        kind="diagnostics",
        status="UploadFailed",
        received_at=ago(minutes=minutes),
    )
    if later:
        factories.transfer(upload.charge_point, kind="diagnostics", status=later)
    assert effect(upload)[0] == expected
    uploads_settle(now=timezone.now())
    upload.refresh_from_db()
    assert upload.state == ("ended" if expected == "missing" else "waiting")


def test_of_whom_nothing_is_heard_may_deliver_until_it_expires() -> None:
    """Some charge points tell no status: their retries may take longer than the deadline."""
    upload = asked(retries=100, retry_interval=3600)
    accepted(upload, effect="missing", effect_text="Nothing was seen in time.")
    uploads_settle(now=timezone.now())
    delivered(upload)
    assert upload.state == "received"


def test_what_was_told_before_is_not_about_this_one() -> None:
    upload = asked()
    accepted(upload)
    charger = upload.charge_point

    def told() -> Any:
        found: Any = uploads_told(Upload.objects.all()).get()
        return found.told

    factories.transfer(charger, kind="log", status="Uploaded", received_at=ago(hours=3))
    factories.transfer(charger, kind="firmware", status="Installed")
    assert told() is None
    factories.transfer(charger, kind="diagnostics", status="Uploading")
    assert told() == "Uploading"


# ---------------------------------------------------------------------------- the storage


def test_a_folder_that_cannot_be_written_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt leaves the upload as it was."""
    upload = asked()

    def full(self: Incoming, *, most: int) -> None:
        raise OSError("No space left on device")

    secret = sent_location(upload.command).rstrip("/").rpartition("/")[2]
    with monkeypatch.context() as patch:
        patch.setattr(Incoming, "__init__", full)
        with pytest.raises(OSError, match="No space"):
            upload_begin(key=upload.key, secret=secret)
    delivered(upload)


def path_of(upload: Upload) -> Path:
    return Path(upload.file.path)


def test_what_no_upload_names_goes_when_its_time_is_over(
    django_capture_on_commit_callbacks: Any,
) -> None:
    """Charge points that were deleted in the shell; the file of another one stays."""
    old, young, kept = asked(), asked(), asked()
    for upload in (old, young, kept):
        delivered(upload)
    for upload in (old, kept):
        long_ago = ago(days=91).timestamp()
        os.utime(path_of(upload), (long_ago, long_ago))
    old.charge_point.delete()
    young.charge_point.delete()
    assert uploads_trim(now=timezone.now(), config=conf.settings()) == 0
    assert [path_of(row).exists() for row in (old, young, kept)] == [False, True, True]


def test_nothing_goes_where_all_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conf._changed, "upload_retention_days", 0)
    conf.settings.cache_clear()
    upload = asked()
    delivered(upload)
    os.utime(path_of(upload), (0, 0))
    upload.charge_point.delete()
    uploads_trim(now=timezone.now(), config=conf.settings())
    assert path_of(upload).exists()


def test_forgotten_with_their_files(django_capture_on_commit_callbacks: Any) -> None:
    upload, other = asked(), asked()
    for row in (upload, other):
        delivered(row)
    with django_capture_on_commit_callbacks(execute=True):
        uploads_forget(charge_points=[upload.charge_point])
    assert list(Upload.objects.all()) == [other]
    assert (path_of(upload).exists(), path_of(other).exists()) == (False, True)


def test_a_storage_that_fails_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 raises errors of its own kinds: whoever writes sees that it may try again."""
    upload = asked()

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("EndpointConnectionError")

    with monkeypatch.context() as patch:
        patch.setattr(type(upload.file.storage), "save", broken)
        with pytest.raises(OSError, match="EndpointConnectionError"):
            delivered(upload)
    upload.refresh_from_db()
    assert upload.state == "waiting"
    delivered(upload)
