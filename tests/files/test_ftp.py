"""Files over FTP and FTPS, by Python's own client: what a login may do, and all that it may not."""

import ftplib
import io
import socket
import struct
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from csms.models import Upload
from csms.models.uploads import UploadKind
from csms.services.storage import incoming_folder
from csms.services.uploads import upload_request
from tests import factories
from tests.files.site import (
    CONTENT,
    curl,
    digest,
    fetched,
    ftp,
    image,
    location,
    sent_location,
    stored,
    until,
)

if TYPE_CHECKING:
    from tests.files.site import Site

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMES = ["ftp", "ftps"]


def session(site: "Site", url: str) -> ftplib.FTP:
    return ftp(url, ca=site.pki.server_ca)


def asked(scheme: str = "ftp") -> tuple[Upload, str]:
    charger = factories.charge_point()
    upload = upload_request(charge_point=charger, kind=UploadKind.DIAGNOSTICS, scheme=scheme)
    return upload, sent_location(upload.command)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("passive", [True, False])
def test_fetches_firmware(site: "Site", scheme: str, passive: bool) -> None:
    row = image()
    with session(site, location(row, factories.charge_point(), scheme)) as client:
        client.set_pasv(passive)
        assert fetched(client, row.file_name) == CONTENT
        assert client.size(row.file_name) == 300_000
        assert fetched(client, f"/{row.file_name}", rest=299_990) == CONTENT[-10:]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_curl_fetches_firmware(site: "Site", scheme: str) -> None:
    """curl knows explicit FTPS as ftp:// with --ssl-reqd."""
    url = location(image(), factories.charge_point(), scheme).replace("ftps://", "ftp://")
    tls = ("--ssl-reqd", "--cacert", site.pki.server_ca) if scheme == "ftps" else ()
    done = curl("-f", *tls, url)
    assert (done.returncode, done.stdout) == (0, CONTENT), done.stderr


def test_text_mode_changes_no_byte(site: "Site") -> None:
    row = image(b"a\nb\r\nc\x00\xff\n")
    with session(site, location(row, factories.charge_point(), "ftp")) as client:
        assert client.sendcmd("TYPE A").startswith("200")
        with client.transfercmd(f"RETR {row.file_name}") as data:
            assert data.recv(100) == b"a\nb\r\nc\x00\xff\n"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_delivers_diagnostics(site: "Site", scheme: str) -> None:
    upload, url = asked(scheme)
    with session(site, url) as client:
        assert client.storbinary("STOR diag.zip", io.BytesIO(CONTENT)).startswith("226")
    assert stored(upload) == CONTENT
    assert (upload.state, upload.file_name) == ("received", "diag.zip")
    assert upload.sha256 == digest(CONTENT)
    assert not list(incoming_folder().iterdir())


def test_curl_delivers_diagnostics(site: "Site") -> None:
    upload, url = asked()
    done = curl("-T", "-", url + "diag.log", text=CONTENT)
    assert done.returncode == 0, done.stderr
    assert stored(upload) == CONTENT


COMMANDS = [
    "LIST",
    "NLST",
    "MLSD",
    "STAT /",
    "MKD x",
    "RMD x",
    "DELE {name}",
    "RNFR {name}",
    "APPE {name}",
    "STOU",
    "SITE CHMOD 777 {name}",
    "MFMT 20200101000000 {name}",
    "CWD /etc",
    "RETR /etc/passwd",
    "RETR ../../etc/passwd",
    "RETR {name}/../x",
    "STOR a/b",
    "STOR /",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["firmware", "upload"])
def test_all_else_is_refused(site: "Site", kind: str, command: str) -> None:
    """Lists, folders, other names, changes, continuing: none of it, for either login."""
    row = image()
    upload, url = asked()
    if kind == "firmware":
        url = location(row, factories.charge_point(), "ftp")
    with session(site, url) as client, pytest.raises(ftplib.error_perm):
        client.sendcmd(command.format(name=row.file_name))
    upload.refresh_from_db()
    assert (upload.state, upload.size) == ("waiting", 0)


def test_each_login_has_its_own_file(site: "Site") -> None:
    row, other = image(), image(b"other", version="2", name="other.bin")
    url = asked()[1]
    with session(site, location(row, factories.charge_point(), "ftp")) as client:
        with pytest.raises(ftplib.error_perm):
            fetched(client, other.file_name)
        with pytest.raises(ftplib.error_perm):
            client.storbinary("STOR diag.zip", io.BytesIO(b"x"))
        with pytest.raises(ftplib.error_perm):
            client.storbinary(f"STOR {row.file_name}", io.BytesIO(b"x"))
    with session(site, url) as client, pytest.raises(ftplib.error_perm):
        fetched(client, row.file_name)
    with row.file.open("rb") as content:
        assert content.read() == CONTENT


def test_once(site: "Site") -> None:
    upload, url = asked()
    with session(site, url) as client:
        client.storbinary("STOR diag.zip", io.BytesIO(CONTENT))
        for command in ("STOR diag.zip", "STOR other.zip", "RETR diag.zip"):
            with pytest.raises(ftplib.error_perm):
                client.sendcmd(command)
    with pytest.raises(ftplib.error_perm, match="530"):
        session(site, url)
    assert stored(upload) == CONTENT


def test_nothing_is_continued(site: "Site") -> None:
    upload, url = asked()
    with session(site, url) as client, pytest.raises(ftplib.error_perm):
        client.storbinary("STOR diag.zip", io.BytesIO(b"tail"), rest=4)
    upload.refresh_from_db()
    assert upload.state == "waiting"


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("ftp://", "ftp://x"),
        lambda url: url.replace("@", "x@"),
        lambda url: "ftp://anonymous:a%40b@" + url.rpartition("@")[2],
    ],
)
def test_wrong_logins(site: "Site", change: Callable[[str], str]) -> None:
    for url in (asked()[1], location(image(), factories.charge_point(), "ftp")):
        with pytest.raises(ftplib.error_perm, match="530"):
            session(site, change(url))


def test_expired_logins(site: "Site") -> None:
    url = asked()[1]
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for old in (url, location(image(), factories.charge_point(), "ftp", seconds=-1)):
        with pytest.raises(ftplib.error_perm, match="530"):
            session(site, old)


def test_a_location_of_ftps_is_not_for_ftp(site: "Site") -> None:
    row = image()
    for url in (location(row, factories.charge_point(), "ftps"), asked("ftps")[1]):
        with pytest.raises(ftplib.error_perm, match="encrypt"):
            session(site, url.replace("ftps://", "ftp://"))
        with session(site, url) as client:
            assert isinstance(client, ftplib.FTP_TLS)
            client.prot_c()
            with pytest.raises(ftplib.error_perm, match="550"):
                client.retrbinary(f"RETR {row.file_name}", lambda data: None)


def test_a_location_of_http_opens_no_login(site: "Site") -> None:
    row = image()
    grant, secret = location(row, factories.charge_point(), "http").split("/")[5:7]
    with pytest.raises(ftplib.error_perm, match="530"):
        session(site, f"ftp://{grant}:{secret}@127.0.0.1:{site.ftp_port}/")


def test_a_reset_is_no_end_of_a_file(site: "Site") -> None:
    """What broke off leaves nothing, and may be tried again."""
    upload, url = asked()
    client = session(site, url)
    data = client.transfercmd("STOR diag.zip")
    data.sendall(CONTENT[:100_000])
    until(lambda: Upload.objects.get(pk=upload.pk).state == "receiving")
    time.sleep(0.5)  # it reads by now: before that, only a time-out ends it
    data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    data.close()
    with pytest.raises(ftplib.error_temp, match="426"):
        client.voidresp()
    until(lambda: Upload.objects.get(pk=upload.pk).state == "waiting")
    client.storbinary("STOR diag.zip", io.BytesIO(CONTENT))
    client.close()
    assert stored(upload) == CONTENT
