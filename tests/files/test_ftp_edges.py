"""What goes wrong between a charge point and the FTP server: every attempt that ends leaves the
upload as it was, is answered, and may be made again at once."""

import ftplib
import io
import socket
import ssl
import struct
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.utils import timezone

from csms import conf
from csms.files import ftp_data
from csms.models import Upload
from csms.models.uploads import UploadKind
from csms.services.storage import MIB, incoming_folder
from csms.services.uploads import upload_request
from tests import factories
from tests.files.site import CONTENT, fetched, ftp, image, location, sent_location, stored, until

if TYPE_CHECKING:
    from tests.files.site import Site

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMES = ["ftp", "ftps"]


def session(site: "Site", url: str) -> ftplib.FTP:
    return ftp(url, ca=site.pki.server_ca)


def asked(scheme: str = "ftp") -> tuple[Upload, str]:
    upload = upload_request(
        charge_point=factories.charge_point(), kind=UploadKind.DIAGNOSTICS, scheme=scheme
    )
    return upload, sent_location(upload.command)


def state_of(upload: Upload) -> str:
    return Upload.objects.get(pk=upload.pk).state


def is_free(upload: Upload) -> bool:
    """Whether another attempt may begin, and nothing is left of the last one."""
    return state_of(upload) == "waiting" and not list(incoming_folder().iterdir())


def reset(data: socket.socket) -> None:
    """Break a connection off without its end."""
    data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    data.close()


# ------------------------------------------------------------- no data connection comes


def waiting_for_data(client: ftplib.FTP, upload: Upload) -> None:
    """STOR is answered 150, and nobody connects."""
    client.makepasv()
    assert client.sendcmd("STOR diag.zip").startswith("150")
    assert state_of(upload) == "receiving"


@pytest.mark.parametrize("command", ["ABOR", "PASV", "USER somebody", "REIN"])
def test_what_waits_for_its_data_is_given_up(site: "Site", command: str) -> None:
    upload, url = asked()
    with session(site, url) as client:
        waiting_for_data(client, upload)
        client.sendcmd(command)
        assert is_free(upload)
        with session(site, url) as another:
            another.storbinary("STOR diag.zip", io.BytesIO(CONTENT))
    assert stored(upload) == CONTENT


def test_nobody_connects(site: "Site", monkeypatch: pytest.MonkeyPatch) -> None:
    """The same session tries again after the time-out."""
    monkeypatch.setattr(ftp_data.Passive, "timeout", 0.3)
    upload, url = asked()
    with session(site, url) as client:
        waiting_for_data(client, upload)
        with pytest.raises(ftplib.error_temp, match="421 Passive"):
            client.voidresp()
        until(lambda: is_free(upload))
        client.storbinary("STOR diag.zip", io.BytesIO(CONTENT))
    assert stored(upload) == CONTENT


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("sent", [0, 100_000])
def test_a_reset_at_any_moment_is_answered(site: "Site", scheme: str, sent: int) -> None:
    """Also before the server has taken the connection; it is never the end of a file."""
    upload, url = asked(scheme)
    with session(site, url) as client:
        for _ in range(3):
            data = client.transfercmd("STOR diag.zip")
            data.sendall(CONTENT[:sent])
            reset(data)
            with pytest.raises((ftplib.error_temp, ftplib.error_perm), match=r"426|522"):
                client.voidresp()
            until(lambda: is_free(upload))
        client.storbinary("STOR diag.zip", io.BytesIO(CONTENT))
    assert stored(upload) == CONTENT


def test_a_connection_that_was_reset_before_it_was_taken(site: "Site") -> None:
    upload, url = asked()
    with session(site, url) as client:
        host, port = client.makepasv()
        client.putcmd("STOR diag.zip")
        reset(socket.create_connection((host, port)))
        answers = [""]
        while not any(answer.startswith(("425", "426")) for answer in answers):
            answers.append(client.getline())
        until(lambda: is_free(upload))


def test_without_a_data_connection(site: "Site") -> None:
    """Neither PASV nor PORT came before: that is said at once."""
    upload, url = asked()
    with session(site, url) as client:
        assert client.sendcmd("STOR diag.zip").startswith("150")
        with pytest.raises(ftplib.error_temp, match="425"):
            client.voidresp()
        assert is_free(upload)


def test_tls_that_ends_without_a_farewell(site: "Site") -> None:
    """Many clients close the connection without close_notify: what came is the file."""
    upload, url = asked("ftps")
    with session(site, url) as client:
        assert isinstance(client, ftplib.FTP_TLS)
        client.context.maximum_version = ssl.TLSVersion.TLSv1_2  # later, unread tickets reset it
        data = client.transfercmd("STOR diag.zip")
        data.sendall(CONTENT)
        data.close()
        assert client.voidresp().startswith("226")
    assert stored(upload) == CONTENT


# ---------------------------------------------------------------------- limits, over either


@pytest.mark.parametrize("scheme", SCHEMES)
def test_too_large_is_answered(site: "Site", scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conf._changed, "upload_max_mb", 1)
    conf.settings.cache_clear()
    upload, url = asked(scheme)
    with session(site, url) as client:
        with pytest.raises((ftplib.Error, OSError)) as problem:
            client.storbinary("STOR diag.zip", io.BytesIO(bytes(3 * MIB)))
        if isinstance(problem.value, ftplib.Error):
            assert str(problem.value).startswith("552 A file has at most")
        else:  # its client saw the reset first
            with pytest.raises(ftplib.error_perm, match="552 A file has at most"):
                client.voidresp()
        until(lambda: is_free(upload))
        client.storbinary("STOR diag.zip", io.BytesIO(bytes(MIB)))
    assert stored(upload) == bytes(MIB)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_empty_file_is_none(site: "Site", scheme: str) -> None:
    upload, url = asked(scheme)
    with session(site, url) as client:
        with pytest.raises(ftplib.error_perm, match="empty"):
            client.storbinary("STOR diag.zip", io.BytesIO(b""))
        assert is_free(upload)


def test_who_drips_holds_no_place(site: "Site", monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than the pace in each span ends it; as much as that goes on."""
    monkeypatch.setattr(ftp_data._Kept, "timeout", 0.5)
    monkeypatch.setattr(ftp_data, "PACE_BYTES", 1000)
    upload, url = asked()
    with session(site, url) as client:
        data = client.transfercmd("STOR diag.zip")
        for _ in range(8):
            data.sendall(bytes(1000))
            time.sleep(0.2)
        assert state_of(upload) == "receiving"
        with pytest.raises(OSError):  # noqa: PT011, PT012
            for _ in range(20):
                data.sendall(bytes(10))
                time.sleep(0.2)
        data.close()
        with pytest.raises(ftplib.error_temp, match="421"):
            client.voidresp()
    until(lambda: is_free(upload))


# ------------------------------------------------------------------------- who may what


def test_aborted_and_continued(site: "Site") -> None:
    """REST and APPE continue nothing; the whole file is taken afterwards."""
    upload, url = asked()
    with session(site, url) as client:
        data = client.transfercmd("STOR diag.zip")
        data.sendall(CONTENT[:1000])
        until(lambda: state_of(upload) == "receiving")
        time.sleep(0.2)
        client.putcmd("ABOR")
        with pytest.raises(ftplib.error_temp, match="426"):
            client.voidresp()
        assert client.voidresp().startswith("226")
        data.close()
        until(lambda: is_free(upload))
        for offset, command in ((1000, "STOR diag.zip"), (None, "APPE diag.zip")):
            with pytest.raises(ftplib.error_perm):
                client.storbinary(command, io.BytesIO(CONTENT[1000:]), rest=offset)
        assert is_free(upload)
        client.storbinary("STOR diag.zip", io.BytesIO(CONTENT))
    assert stored(upload) == CONTENT


def test_two_at_once(site: "Site") -> None:
    """Whoever is second, over FTP or HTTP, is refused; the first one goes on."""
    upload, url = asked()
    with session(site, url) as first, session(site, url) as second:
        data = first.transfercmd("STOR diag.zip")
        data.sendall(CONTENT[:1000])
        until(lambda: state_of(upload) == "receiving")
        with pytest.raises(ftplib.error_perm, match="Somebody is writing"):
            second.storbinary("STOR other.zip", io.BytesIO(b"other"))
        with pytest.raises(ftplib.error_perm, match="Somebody is writing"):
            first.sendcmd("STOR other.zip")
        key, secret = url.removeprefix("ftp://").split("@")[0].split(":")
        place = f"{site.http_url}/files/uploads/{key}/{secret}/"
        assert httpx.put(place, content=b"other", trust_env=False).status_code == 409
        data.sendall(CONTENT[1000:])
        data.close()
        assert first.voidresp().startswith("226")
    assert stored(upload) == CONTENT


def test_a_key_with_the_secret_of_another(site: "Site") -> None:
    (mine, url), (other, theirs) = asked(), asked()
    secret = url.split("@")[0].rpartition(":")[2]
    key = theirs.removeprefix("ftp://").split(":")[0]
    with pytest.raises(ftplib.error_perm, match="530"):
        session(site, f"ftp://{key}:{secret}@127.0.0.1:{site.ftp_port}/")
    place = f"{site.http_url}/files/uploads/{key}/{secret}/"
    assert httpx.put(place, content=b"x", trust_env=False).status_code == 404
    assert is_free(mine)
    assert is_free(other)


def test_a_session_outlives_no_expiry(site: "Site") -> None:
    """What was logged in before may neither write nor read afterwards."""
    upload, url = asked()
    row = image()
    soon = location(row, factories.charge_point(), "ftp", seconds=2)
    with session(site, url) as writer, session(site, soon) as reader:
        assert fetched(reader, row.file_name) == CONTENT
        Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        with pytest.raises(ftplib.error_perm, match="over"):
            writer.storbinary("STOR diag.zip", io.BytesIO(b"late"))
        time.sleep(2)
        with pytest.raises(ftplib.error_perm, match="expired"):
            fetched(reader, row.file_name)
    assert is_free(upload)


@pytest.mark.parametrize("name", ["{other}", "../{other}", "uploads/{stored}", "{stored}", "diag"])
@pytest.mark.parametrize("command", ["SIZE", "MDTM", "RETR", "NLST"])
def test_nothing_is_told_of_what_belongs_to_others(site: "Site", command: str, name: str) -> None:
    """Names of other images, of files in the storage, of what it delivered itself."""
    mine, other = image(), image(b"other", version="2", name="other.bin")
    done, its = asked()
    with session(site, its) as client:
        client.storbinary("STOR diag", io.BytesIO(b"delivered"))
        done.refresh_from_db()
        text = name.format(other=other.file_name, stored=str(done.file.name).rpartition("/")[2])
        with pytest.raises(ftplib.error_perm):
            client.sendcmd(f"{command} {text}")
    with (
        session(site, location(mine, factories.charge_point(), "ftp")) as client,
        pytest.raises(ftplib.error_perm),
    ):
        client.sendcmd(f"{command} {text}")


@pytest.mark.parametrize("user", ["a\0b", "x" * 500, "1.1.9999999999.ftp", "é.1.1.1", "%s%n"])
def test_names_of_nobody(site: "Site", user: str, caplog: Any) -> None:
    """They are asked of no database, and nobody's log fills with them."""
    with ftplib.FTP(timeout=10) as client:
        client.connect("127.0.0.1", site.ftp_port)
        with pytest.raises(ftplib.error_perm, match="530 This login is wrong"):
            client.login(user, "secret")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    "command",
    [
        "PORT 10,0,0,1,10,10",
        "PORT 127,0,0,1,0,22",
        "EPRT |1|10.0.0.1|2570|",
        "EPRT |1|127.0.0.1|22|",
    ],
)
def test_data_is_sent_to_nobody_else(site: "Site", command: str) -> None:
    """The bounce attack (RFC 2577), over an upload's login."""
    upload, url = asked()
    with session(site, url) as client, pytest.raises(ftplib.error_perm, match="501"):
        client.sendcmd(command)
    assert is_free(upload)


def test_data_is_taken_from_nobody_else(site: "Site") -> None:
    """Whoever is quicker at the port of a data connection, from another address, writes nothing."""
    upload, url = asked()
    with session(site, url) as client:
        host, port = client.makepasv()
        client.putcmd("STOR diag.zip")
        with socket.create_connection((host, port), source_address=("127.0.0.2", 0)) as thief:
            thief.sendall(b"forged")
        with socket.create_connection((host, port)) as data:
            data.sendall(CONTENT)
        answers = [client.getline()[:3] for _ in range(3)]
    assert answers == ["150", "425", "226"]
    assert stored(upload) == CONTENT
