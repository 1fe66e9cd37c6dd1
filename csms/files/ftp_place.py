"""What an FTP login sees: one file to fetch, or one to write, in a folder without a list."""

import errno
import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from django.db import Error, connection
from django.utils import timezone
from pyftpdlib.filesystems import AbstractedFS, FilesystemError

from csms.services import uploads
from csms.services.firmware_images import Served, image_served
from csms.services.locations import grant_of

logger = logging.getLogger("csms.files")

T = TypeVar("T")

FTP_SCHEMES = frozenset({"ftp", "ftps"})


def connected(function: Callable[..., T], /, **arguments: Any) -> T:
    """Call a service from a thread of the FTP server, which keeps no database connection."""
    try:
        return function(**arguments)
    finally:
        connection.close()


class Visit(NamedTuple):
    """A login: its user name and password, for firmware or an upload."""

    name: str
    secret: str
    scheme: str
    fetches: bool


def visit_of(*, username: str, password: str) -> Visit | None:
    """What a user name and a password stand for; None: nothing."""
    if "." in username:
        grant = grant_of(username, password, now=timezone.now())
        if grant is None or grant.scheme not in FTP_SCHEMES:
            return None
        return Visit(username, password, grant.scheme, fetches=True)
    try:
        upload = uploads.upload_open(key=username, secret=password)
    except uploads.UploadRefused:
        return None
    scheme = upload.scheme if upload.scheme in FTP_SCHEMES else "ftp"
    return Visit(username, password, scheme, fetches=False)


class Place(AbstractedFS):
    """pyftpdlib's idea of a file system, without one behind it."""

    def __init__(self, root: str, cmd_channel: Any) -> None:
        super().__init__("/", cmd_channel)
        self._visit: Visit = cmd_channel.visit
        self._known: Served | None = None

    # Names

    def ftp2fs(self, ftppath: str) -> str:
        return str(self.ftpnorm(ftppath))

    def fs2ftp(self, fspath: str) -> str:
        return fspath

    def validpath(self, path: str) -> bool:
        return path.startswith("/") and "/" not in path[1:]

    def realpath(self, path: str) -> str:
        return path

    # Folders: there is one

    def chdir(self, path: str) -> None:
        if path != "/":
            raise FilesystemError("There are no folders.")
        self.cwd = "/"

    def listdir(self, path: str) -> list[str]:
        raise FilesystemError("Nothing is listed.")

    def isdir(self, path: str) -> bool:
        return path == "/"

    def islink(self, path: str) -> bool:
        return False

    def lexists(self, path: str) -> bool:
        return path == "/" or self.isfile(path)

    # Files

    def isfile(self, path: str) -> bool:
        return self._visit.fetches and path == f"/{self._facts().name}"

    def getsize(self, path: str) -> int:
        self._check(path)
        return self._facts().size

    def getmtime(self, path: str) -> float:
        self._check(path)
        return self._facts().created_at.timestamp()

    def open(self, filename: str, mode: str) -> Any:
        """`rb` fetches, `wb` delivers; pyftpdlib asks for others to append and to continue."""
        if mode == "rb" and self._visit.fetches:
            self._check(filename)
            served = self._served()
            served.content.name = served.name  # for pyftpdlib's log
            return served.content
        if mode == "wb" and not self._visit.fetches and len(filename) > 1:
            return Delivery(self._visit, filename[1:])
        raise FilesystemError("This login is not for that.")

    def _check(self, path: str) -> None:
        if not self.isfile(path):
            raise FilesystemError("There is no such file.")

    def _facts(self) -> Served:
        if self._known is None:
            self._known = self._served()
            self._known.content.close()
        return self._known

    def _served(self) -> Served:
        try:
            served = connected(
                image_served,
                text=self._visit.name,
                signature=self._visit.secret,
                now=timezone.now(),
                schemes=FTP_SCHEMES,
            )
        except Error:
            raise FilesystemError("Try again later.") from None
        if served is None:
            raise FilesystemError("The location has expired.")
        return served


class Delivery:
    """The file that is written: `finish` before `close`, or nothing stays of it."""

    def __init__(self, visit: Visit, name: str) -> None:
        self.name = name
        self.closed = False
        self.problem = ""
        """What the client is answered where the file cannot be kept."""
        self.finished = False
        try:
            self._receiving = connected(
                uploads.upload_begin, key=visit.name, secret=visit.secret, name=name
            )
        except uploads.UploadRefused as refusal:
            raise FilesystemError(str(refusal).rstrip(".")) from None
        except Error:
            raise FilesystemError("Try again later") from None

    def write(self, data: bytes) -> None:
        """Raises OSError, as files do."""
        try:
            connected(self._receiving.write, data=data)
        except (uploads.UploadRefused, Error, OSError) as problem:
            self.problem = _answer(problem)
            raise OSError(errno.EIO, self.problem) from None

    def finish(self) -> str:
        """The file is complete; returns `problem`. TLS may close in two steps: the second changes
        nothing."""
        if not self.finished:
            self.finished = True
            try:
                connected(self._receiving.finish)
            except (uploads.UploadRefused, Error, OSError) as problem:
                self.problem = _answer(problem)
        return self.problem

    def close(self) -> None:
        self.closed = True
        try:
            connected(self._receiving.close)
        except Error:
            return  # its lease ends, and another attempt may be made


def _answer(problem: Exception) -> str:
    """As RFC 959 4.2 has it."""
    if isinstance(problem, uploads.UploadTooLarge):
        return f"552 {problem}"
    if isinstance(problem, uploads.UploadRefused):
        return f"550 {problem}"
    logger.error("An upload cannot be kept: %s", problem)
    return "451 It cannot be kept now; try again later."
