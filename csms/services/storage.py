"""Files on their way into and out of the storage: in pieces, never whole in memory.

What comes in is collected on this machine's disk (`incoming` in CSMS_DATA_DIR) and handed to the
storage when it is complete: moved where that is a folder, sent where it is S3.
"""

import hashlib
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.files.base import File

from csms.services.threads import in_file_thread

MIB = 1024 * 1024
PIECE = 64 * 1024
"""Bytes that are read at once."""
ABANDONED = 86_400.0
"""Seconds after which what a killed process left on its way is deleted."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def incoming_folder() -> Path:
    """Where what comes in is collected, made when missing."""
    folder = Path(django_settings.FILE_UPLOAD_TEMP_DIR or django_settings.DATA_DIR / "incoming")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def safe_name(name: str, otherwise: str, *, length: int = 64) -> str:
    """The last part of a name with nothing in it but letters, digits, dots and dashes, for headers,
    URLs and disks; its ending stays."""
    last = re.split(r"[/\\]", name)[-1]
    plain = _UNSAFE.sub("-", last).strip(".-")
    if len(plain) > length:
        stem, _, ending = plain.rpartition(".")
        keep = f".{ending}" if stem and len(ending) <= 12 else ""
        plain = plain[: length - len(keep)] + keep
    return plain or otherwise


@contextmanager
def _os_errors() -> Iterator[None]:
    """Storages raise errors of their own kinds (S3: those of botocore): here all are OSErrors."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"The storage of files fails: {error}") from error


class TooLarge(ValueError):
    """More bytes came than are allowed."""


class Incoming:
    """A file that comes in; `close` forgets it unless `hand_over` was called."""

    def __init__(self, *, most: int) -> None:
        self.most = most
        self.size = 0
        self._digest = hashlib.sha256()
        self._file = tempfile.NamedTemporaryFile(dir=incoming_folder(), delete=False)  # noqa: SIM115

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Raises TooLarge."""
        self.size += len(data)
        if self.size > self.most:
            raise TooLarge(f"A file has at most {self.most:,} bytes.")
        self._digest.update(data)
        self._file.write(data)

    def hand_over(self, field: Any) -> None:
        """Let a FileField keep it; its row is not saved. Raises OSError."""
        self._file.flush()
        with open(self._file.name, "rb") as content:
            keep(field, _OnDisk(content, self._file.name))

    def close(self) -> None:
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)


class _OnDisk(File):  # type: ignore[type-arg]
    """A file that a storage on the same disk may move."""

    def __init__(self, content: Any, path: str) -> None:
        super().__init__(content, name="file")
        self._path = path

    def temporary_file_path(self) -> str:
        return self._path


def keep(field: Any, content: "File[bytes]") -> None:
    """Let a FileField keep a file; its row is not saved. Raises OSError."""
    with _os_errors():
        field.save("file", content, save=False)


def opened(field: Any) -> Any:
    """The file of a FileField, open for reading; the caller closes it. Raises OSError."""
    with _os_errors():
        return field.storage.open(field.name, "rb")


def deleted(field: Any) -> None:
    """Take the file of a FileField, if it has one, out of the storage. Raises OSError."""
    if field.name:
        with _os_errors():
            field.storage.delete(field.name)


def orphans_delete(storage: Any, folder: str, *, known: set[str], before: datetime) -> int:
    """Delete what lies in a folder of a storage since before then under no name that is known; how
    many files. Raises OSError."""
    gone = 0
    with _os_errors():
        try:
            names = [f"{folder}/{name}" for name in storage.listdir(folder)[1]]
        except FileNotFoundError:  # nothing was ever kept there
            return 0
        for name in names:
            if name not in known and storage.get_modified_time(name) < before:
                storage.delete(name)
                gone += 1
    return gone


def pieces(file: Any, length: int, *, first: int = 0) -> Iterator[bytes]:
    """So many bytes of an open file, from the one at `first`."""
    file.seek(first)
    while length > 0 and (piece := file.read(min(PIECE, length))):
        length -= len(piece)
        yield piece


async def streamed(file: Any, length: int, *, first: int = 0) -> AsyncIterator[bytes]:
    """The same off the event loop; closes the file."""
    parts = pieces(file, length, first=first)
    try:
        while piece := await in_file_thread(_next, parts=parts):
            yield piece
    finally:
        await in_file_thread(file.close)


def _next(parts: Iterator[bytes]) -> bytes:
    return next(parts, b"")


def incoming_trim(*, before_seconds: float = ABANDONED) -> int:
    """Delete what killed processes left on its way; how many files."""
    oldest = time.time() - before_seconds
    abandoned = [path for path in incoming_folder().iterdir() if path.stat().st_mtime < oldest]
    for path in abandoned:
        path.unlink(missing_ok=True)
    return len(abandoned)
