"""The files of TLS: what can be used, what cannot and why, their renewal, their end."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from csms import conf
from csms.tls import Certificates, TlsProblem, certificates_expiring, context_of
from tests.tls.certificates import DAY, Authority

AUTHORITY = Authority()
EC = AUTHORITY.issue("csms.example", server=True)
RSA = AUTHORITY.issue("csms.example", kind="rsa", server=True)


def config(**environment: str) -> conf.Settings:
    return conf.read(environment)


def problem(**environment: str) -> str:
    with pytest.raises(TlsProblem) as raised:
        context_of(config(**environment))
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    """Value of CSMS_TLS_CERTIFICATES."""
    return f"{EC.write(tmp_path, 'ec')}, {RSA.write(tmp_path, 'rsa')}"


def test_two_certificates(pairs: str) -> None:
    context = context_of(config(CSMS_TLS_CERTIFICATES=pairs))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.verify_mode == ssl.CERT_NONE


def test_one_file_with_both(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(EC.pem + EC.key_pem)
    context_of(config(CSMS_TLS_CERTIFICATES=str(both)))


def test_missing(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    assert problem(CSMS_TLS_CERTIFICATES=f"{missing}:{missing}") == (
        f"CSMS_TLS_CERTIFICATES: {missing} cannot be read: No such file or directory."
    )


def test_missing_key(tmp_path: Path, pairs: str) -> None:
    text = problem(CSMS_TLS_CERTIFICATES=f"{tmp_path}/ec.pem:{tmp_path}/no.key")
    assert text.endswith("no.key cannot be read: No such file or directory.")


def test_folder(tmp_path: Path) -> None:
    assert problem(CSMS_TLS_CERTIFICATES=f"{tmp_path}").endswith("cannot be read: Is a directory.")


def test_key_of_another(tmp_path: Path, pairs: str) -> None:
    other = AUTHORITY.issue("other", server=True)
    other.write(tmp_path, "other")
    text = problem(CSMS_TLS_CERTIFICATES=f"{tmp_path}/ec.pem:{tmp_path}/other.key")
    assert text.endswith("other.key is not the one of this certificate.")
    text = problem(CSMS_TLS_CERTIFICATES=f"{tmp_path}/ec.pem:{tmp_path}/rsa.key")
    assert text.endswith("rsa.key is not the one of this certificate.")


def test_key_of_another_kind(tmp_path: Path, pairs: str) -> None:
    text = problem(CSMS_TLS_CERTIFICATES=f"{tmp_path}/ec.pem:{tmp_path}/rsa.key")
    assert text.startswith(f"CSMS_TLS_CERTIFICATES: {tmp_path}/ec.pem cannot be served")


def test_locked_key(tmp_path: Path, pairs: str) -> None:
    """It is refused, and nobody is asked for its password at the terminal."""
    (tmp_path / "locked.key").write_bytes(EC.locked_key_pem)
    text = problem(CSMS_TLS_CERTIFICATES=f"{tmp_path}/ec.pem:{tmp_path}/locked.key")
    assert text.endswith("locked.key is encrypted; it must not be.")


@pytest.mark.parametrize("content", [b"", b"garbage", EC.key_pem, EC.pem[:200]])
def test_no_certificate(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pem").write_bytes(content)
    assert problem(CSMS_TLS_CERTIFICATES=f"{tmp_path}/x.pem").endswith("holds no PEM certificate.")


@pytest.mark.parametrize("content", [b"", b"garbage", EC.pem])
def test_no_key(tmp_path: Path, pairs: str, content: bytes) -> None:
    (tmp_path / "x.key").write_bytes(content)
    text = problem(CSMS_TLS_CERTIFICATES=f"{tmp_path}/ec.pem:{tmp_path}/x.key")
    assert text.startswith(f"CSMS_TLS_CERTIFICATES: {tmp_path}/ec.pem cannot be served")


def test_two_of_a_kind(tmp_path: Path, pairs: str) -> None:
    """OpenSSL would keep the last one silently."""
    again = EC.write(tmp_path, "again")
    assert "keys of the same kind" in problem(CSMS_TLS_CERTIFICATES=f"{pairs},{again}")


def test_client_authority(tmp_path: Path, pairs: str) -> None:
    """Client certificates are asked for; a file without any authority would refuse all."""
    authority, revoked = tmp_path / "ca.pem", tmp_path / "crl.pem"
    authority.write_bytes(AUTHORITY.pem)
    revoked.write_bytes(AUTHORITY.revocation_list())
    given = {"CSMS_TLS_CERTIFICATES": pairs, "CSMS_TLS_CLIENT_CA": str(authority)}
    context = context_of(config(**given, CSMS_TLS_CLIENT_CRL=str(revoked)))
    assert context.verify_mode == ssl.CERT_OPTIONAL
    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
    text = problem(**given, CSMS_TLS_CLIENT_CRL=str(authority))
    assert text == f"CSMS_TLS_CLIENT_CRL: {authority} holds no revocation list."
    for wrong in (EC.pem, b"", b"garbage", AUTHORITY.revocation_list()):
        authority.write_bytes(wrong)
        assert str(authority) in problem(**given)


# ---------------------------------------------------------------------------------- renewal


def test_renewal(tmp_path: Path, pairs: str, caplog: pytest.LogCaptureFixture) -> None:
    """A changed file is taken up; a bad one is logged once, and the old stays in use."""
    certificates = Certificates(config(CSMS_TLS_CERTIFICATES=pairs))
    first = certificates.current()
    assert not certificates.refresh()
    AUTHORITY.issue("csms.example", server=True).write(tmp_path, "ec")
    assert certificates.refresh()
    second = certificates.current()
    assert second is not first
    (tmp_path / "ec.pem").write_bytes(b"half a certif")
    caplog.clear()
    assert not certificates.refresh()
    assert not certificates.refresh()
    assert certificates.current() is second
    assert [record.getMessage() for record in caplog.records] == [
        f"CSMS_TLS_CERTIFICATES: {tmp_path}/ec.pem holds no PEM certificate. "
        "What was loaded before stays in use."
    ]


def test_renewal_in_two_steps(tmp_path: Path, pairs: str) -> None:
    """Between the writing of certificate and key they do not fit: the old stays until they do."""
    certificates = Certificates(config(CSMS_TLS_CERTIFICATES=pairs))
    first = certificates.current()
    renewed = AUTHORITY.issue("csms.example", server=True)
    (tmp_path / "ec.pem").write_bytes(renewed.pem)
    assert not certificates.refresh()
    assert certificates.current() is first
    (tmp_path / "ec.key").write_bytes(renewed.key_pem)
    assert certificates.refresh()


def test_file_that_vanishes(tmp_path: Path, pairs: str) -> None:
    certificates = Certificates(config(CSMS_TLS_CERTIFICATES=pairs))
    (tmp_path / "ec.pem").unlink()
    assert not certificates.refresh()
    EC.write(tmp_path, "ec")
    assert certificates.refresh()


# -------------------------------------------------------------------------------------- end


def test_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What ends within 30 days (a list: 2) is listed, soonest first, and logged once a day."""
    now = datetime.now(UTC)
    soon = AUTHORITY.issue("soon", server=True, begin=now - DAY, lasts=11 * DAY)
    over = AUTHORITY.issue("over", server=True, kind="rsa", begin=now - 9 * DAY, lasts=8 * DAY)
    authority, revoked = tmp_path / "ca.pem", tmp_path / "crl.pem"
    authority.write_bytes(AUTHORITY.pem)
    revoked.write_bytes(AUTHORITY.revocation_list(2 * DAY))
    settings = config(
        CSMS_TLS_CERTIFICATES=f"{soon.write(tmp_path, 'soon')},{over.write(tmp_path, 'over')}",
        CSMS_TLS_CLIENT_CA=str(authority),
        CSMS_TLS_CLIENT_CRL=str(revoked),
    )
    found = certificates_expiring(now=now, config=settings)
    assert [(item.setting, item.path) for item in found] == [
        ("CSMS_TLS_CERTIFICATES", f"{tmp_path}/over.pem"),
        ("CSMS_TLS_CLIENT_CRL", str(revoked)),
        ("CSMS_TLS_CERTIFICATES", f"{tmp_path}/soon.pem"),
    ]
    assert found[0].line(now) == (
        f"The certificate of CN=over,O=Operator in {tmp_path}/over.pem "
        f"ended on {now - DAY:%Y-%m-%d %H:%M} UTC."
    )
    assert found[1].line(now).startswith("The revocation list of CN=Test authority,O=Operator in")
    assert certificates_expiring(now=now, within=DAY, config=settings) == found[:1]
    revoked.write_bytes(AUTHORITY.revocation_list(3 * DAY))
    assert len(certificates_expiring(now=now, config=settings)) == 2
    revoked.write_bytes(AUTHORITY.revocation_list(2 * DAY))
    certificates = Certificates(settings)
    for hours in (0, 1, 23):
        certificates.report(now + timedelta(hours=hours))
    assert len(caplog.records) == 3
    certificates.report(now + timedelta(hours=25))
    assert len(caplog.records) == 6
    revoked.unlink()
    assert len(certificates_expiring(now=now, config=settings)) == 2


def test_nothing_ends_without_tls() -> None:
    assert certificates_expiring(now=datetime.now(UTC), config=config()) == []
