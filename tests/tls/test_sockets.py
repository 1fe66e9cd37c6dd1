"""The TLS ports as charge points and scanners see them (N7, N8, N10)."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csms import conf
from csms.http.server import HttpServer
from csms.listener import REVOKED_EVERY
from csms.services import refusals
from csms.tls import SUITES, Certificates, context_of
from tests.http.serving import LOOPS, SHORT, Served, serving
from tests.tls.certificates import DAY, Authority, Issued
from tests.tls.clients import client_context, connect, get, hello, set_versions
from tests.tls.conftest import Pki

PATIENT = replace(SHORT, head_seconds=1.0, idle_seconds=60.0)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it is told of TLS."""
    tls = dict(scope["extensions"]["tls"])
    der = tls.pop("client_cert_der")
    answer = json.dumps(
        {"scheme": scope["scheme"], "der": der.hex() if der else None, **tls}
    ).encode()
    length = (b"content-length", b"%d" % len(answer))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": answer})


class TlsServed:
    """A server with a TLS port."""

    def __init__(self, pki: Pki, served: Served, certificates: Certificates, port: int) -> None:
        self.pki = pki
        self.served = served
        self.certificates = certificates
        self.port = port

    def ask(self, **options: Any) -> dict[str, Any]:
        """What the application is told. Raises OSError when the server refuses."""
        with connect(self.port, client_context(self.pki.server_ca, **options)) as connection:
            answer: dict[str, Any] = json.loads(get(connection))
            return answer


@pytest.fixture(scope="module", params=list(LOOPS))
def tls(request: pytest.FixtureRequest, pki: Pki) -> Iterator[TlsServed]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    certificates = Certificates(conf.read(pki.environment))

    def prepare(server: HttpServer) -> None:
        server.listen_tls(listening, certificates.current, certificates.revoked)

    with serving(loop=request.param, app=application, prepare=prepare, limits=PATIENT) as served:
        yield TlsServed(pki, served, certificates, listening.getsockname()[1])


# --------------------------------------------------------------------------- N7: versions


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_n7_versions_that_are_spoken(tls: TlsServed, version: str) -> None:
    told = tls.ask(version=version)
    assert told["tls_version"] == {"1.2": 0x0303, "1.3": 0x0304}[version]
    assert told["scheme"] == "https"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_n7_versions_that_are_refused(tls: TlsServed, version: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011  an alert, or the end of the connection
        tls.ask(version=version)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_n7_the_client_of_the_scan_speaks_old_versions(pki: Pki, version: str) -> None:
    """Else the test above would prove nothing."""
    context = context_of(conf.read({"CSMS_TLS_CERTIFICATES": pki.pairs}))
    set_versions(context, "1.0", "1.3")
    context.set_ciphers("ALL:@SECLEVEL=0")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context(pki.server_ca, version=version).wrap_bio(
        to_client, to_server, server_hostname="localhost"
    )
    for side in (client, server, client, server, client):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert server.version() == f"TLSv{version}".removesuffix(".0")


def test_n7_no_compression(tls: TlsServed) -> None:
    """A ServerHello of TLS 1.2 that chooses no compression, though it is offered."""
    answer = hello(tls.port)
    assert answer[:1] == b"\x16"
    assert answer[9:11] == b"\x03\x03"
    after_session = 44 + answer[43]
    assert answer[after_session : after_session + 2] in (b"\xc0\x2b", b"\xc0\x2f")
    assert answer[after_session + 2] == 0


# ----------------------------------------------------------------------------- N8: suites


@pytest.mark.parametrize("suite", SUITES)
def test_n8_suites(tls: TlsServed, suite: str) -> None:
    """Each by itself, at TLS 1.2: static RSA too, with the RSA certificate."""
    context = client_context(tls.pki.server_ca, version="1.2", suite=suite)
    with connect(tls.port, context) as connection:
        used = connection.cipher()
        assert used is not None
        assert used[:2] == (suite, "TLSv1.2")
        assert get(connection)


def test_n8_the_required_suites_are_there() -> None:
    """A00.FR.317, by OpenSSL's names."""
    assert {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    } <= set(SUITES)


@pytest.mark.parametrize("suite", ["ECDHE-RSA-AES128-SHA256", "AES128-SHA", "DHE-RSA-AES128-SHA"])
def test_n8_nothing_else(tls: TlsServed, suite: str) -> None:
    with pytest.raises(ssl.SSLError):
        tls.ask(version="1.2", suite=suite)


def test_n8_forward_secrecy_first(tls: TlsServed) -> None:
    """A client that can do both, and prefers static RSA, gets ECDHE."""
    context = client_context(
        tls.pki.server_ca, version="1.2", suite="AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
    )
    with connect(tls.port, context) as connection:
        used = connection.cipher()
        assert used is not None
        assert used[0] == "ECDHE-RSA-AES256-GCM-SHA384"


# ----------------------------------------------------------- N9, N10: client certificates


def test_certificates_are_not_required(tls: TlsServed) -> None:
    """Security profile 2 lives beside 3."""
    told = tls.ask()
    assert told["der"] is None
    assert told["client_cert_chain"] == []


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_n9_certificate_arrives(tls: TlsServed, version: str, kind: str) -> None:
    charger = tls.pki.chargers.issue("SERIAL-1", kind=kind)
    told = tls.ask(version=version, certificate=charger)
    assert bytes.fromhex(told["der"]) == charger.der
    assert told["client_cert_chain"] == [charger.pem.decode()]


def refused(tls: TlsServed, certificate: Issued) -> None:
    for version in ("1.2", "1.3"):
        with pytest.raises(OSError):  # noqa: PT011  an alert, or a reset after it
            tls.ask(version=version, certificate=certificate)


def test_n9_expired(tls: TlsServed) -> None:
    began = datetime.now(UTC) - 9 * DAY
    refused(tls, tls.pki.chargers.issue("SERIAL-1", begin=began, lasts=8 * DAY))


def test_n9_not_valid_yet(tls: TlsServed) -> None:
    refused(tls, tls.pki.chargers.issue("SERIAL-1", begin=datetime.now(UTC) + DAY))


def test_n9_wrong_authority(tls: TlsServed) -> None:
    """Also when it has the name of the right one."""
    for name in ("Somebody", "Charge points"):
        refused(tls, Authority(name).issue("SERIAL-1"))


def test_n9_certificate_of_a_server(tls: TlsServed) -> None:
    """A certificate of the right authority that is not for clients."""
    refused(tls, tls.pki.chargers.issue("SERIAL-1", server=True))


def test_n10_revoked(tls: TlsServed) -> None:
    """Refused as soon as the new list is there; no session of before lets it in again."""
    charger, other = tls.pki.chargers.issue("SERIAL-1"), tls.pki.chargers.issue("SERIAL-2")
    context = client_context(tls.pki.server_ca, version="1.2", certificate=charger)
    with connect(tls.port, context) as connection:
        assert get(connection)
        session = connection.session
    tls.pki.revoke(charger)
    assert tls.certificates.refresh()
    refused(tls, charger)
    assert tls.ask(certificate=other)["der"]
    with (
        socket.create_connection(("127.0.0.1", tls.port), timeout=10) as plain,
        pytest.raises(OSError),  # noqa: PT011  an alert, or a reset after it
        context.wrap_socket(plain, server_hostname="localhost", session=session) as again,
    ):
        get(again)


def test_n10_an_open_connection_ends_when_its_certificate_is_revoked(
    tls: TlsServed,
) -> None:
    """A00.FR.704; another one's stays open, and the end is a security event."""
    charger, other = tls.pki.chargers.issue("SERIAL-7"), tls.pki.chargers.issue("SERIAL-8")
    refusals.forget()
    with (
        connect(tls.port, client_context(tls.pki.server_ca, certificate=charger)) as ended,
        connect(tls.port, client_context(tls.pki.server_ca, certificate=other)) as stays,
    ):
        assert get(ended)
        assert get(stays)
        tls.pki.revoke(charger)
        assert tls.certificates.refresh()
        ended.settimeout(2 * REVOKED_EVERY + 5)
        with suppress(ConnectionResetError):
            assert ended.recv(1) == b""
        assert get(stays)
    told = [one.info for one in refusals.take(0.0) if one.kind == "InvalidClientCertificate"]
    assert told.count("the certificate of an open connection was revoked") == 1


def test_handshakes_that_fail_are_security_events(tls: TlsServed) -> None:
    """By their kind; who only looks whether the port is open is none."""
    refusals.forget()
    for version in ("1.1", "1.2"):
        with pytest.raises(OSError):  # noqa: PT011  an alert, or the end of the connection
            tls.ask(version=version, suite="AES128-SHA" if version == "1.2" else None)
    refused(tls, tls.pki.revoked)
    with socket.create_connection(("127.0.0.1", tls.port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(100)
    socket.create_connection(("127.0.0.1", tls.port), timeout=10).close()
    for _ in range(100):
        noted = {one.kind: one.remote_address for one in refusals.take(0.0)}
        if len(noted) == 4:
            break
        time.sleep(0.05)
    assert noted == dict.fromkeys(
        (
            "InvalidTLSVersion",
            "InvalidTLSCipherSuite",
            "InvalidClientCertificate",
            "TLSHandshakeFailed",
        ),
        "127.0.0.1",
    )


def test_n10_a_list_that_is_overdue_lets_nobody_in(pki: Pki) -> None:
    """Nobody knows whether the certificate is still valid then."""
    authority = Authority("Overdue")
    folder = pki.folder
    (folder / "overdue-ca.pem").write_bytes(authority.pem)
    (folder / "overdue.pem").write_bytes(authority.revocation_list(timedelta(minutes=1)))
    environment = pki.environment | {
        "CSMS_TLS_CLIENT_CA": f"{folder}/overdue-ca.pem",
        "CSMS_TLS_CLIENT_CRL": f"{folder}/overdue.pem",
    }
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    certificates = Certificates(conf.read(environment))

    def prepare(server: HttpServer) -> None:
        server.listen_tls(listening, certificates.current)

    with serving(app=application, prepare=prepare) as served:
        tls = TlsServed(pki, served, certificates, listening.getsockname()[1])
        refused(tls, authority.issue("SERIAL-1"))
        assert tls.ask()["der"] is None


# -------------------------------------------------------------------------------- renewal


def server_certificate(connection: ssl.SSLSocket) -> bytes:
    certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def test_renewal_keeps_open_connections(tls: TlsServed) -> None:
    context = client_context(tls.pki.server_ca)
    with connect(tls.port, context) as before:
        assert get(before)
        tls.pki.renew()
        assert tls.certificates.refresh()
        with connect(tls.port, context) as after:
            assert get(after)
            assert server_certificate(after) != server_certificate(before)
        assert get(before)


# ---------------------------------------------------------------------------------- abuse


@pytest.fixture
def hasty(pki: Pki) -> Iterator[TlsServed]:
    """Gives a handshake two seconds, and an address three of them at a time."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    certificates = Certificates(conf.read(pki.environment))

    def prepare(server: HttpServer) -> None:
        server.listen_tls(listening, certificates.current, handshake_seconds=2.0)

    with serving(app=application, prepare=prepare, CSMS_MAX_CONNECTIONS_PER_ADDRESS="3") as served:
        yield TlsServed(pki, served, certificates, listening.getsockname()[1])


def test_silent_before_the_handshake(hasty: TlsServed) -> None:
    """Who says nothing, or half a ClientHello, is closed, as on the plain port."""
    for begin in (b"", b"\x16\x03\x01\x02\x00\x01"):
        with socket.create_connection(("127.0.0.1", hasty.port), timeout=10) as client:
            began = time.monotonic()
            client.sendall(begin)
            with suppress(ConnectionResetError):
                assert client.recv(100) == b""
            assert time.monotonic() - began < 5
    assert hasty.ask()["scheme"] == "https"


def test_plain_http_at_the_tls_port(hasty: TlsServed) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert not client.recv(100).startswith(b"HTTP/")
    assert hasty.ask()["scheme"] == "https"


def test_many_handshakes_of_one_address(hasty: TlsServed) -> None:
    """F20: counted before anything is computed; others get in, and so does it later."""
    silent = [socket.create_connection(("127.0.0.1", hasty.port), timeout=10) for _ in range(3)]
    try:
        time.sleep(0.1)
        began = time.monotonic()
        with closing(socket.create_connection(("127.0.0.1", hasty.port), timeout=10)) as fourth:
            assert fourth.recv(100) == b""
            assert time.monotonic() - began < 1.5
        with closing(socket.socket()) as other:
            other.bind(("127.0.0.2", 0))
            other.connect(("127.0.0.1", hasty.port))
            context = client_context(hasty.pki.server_ca)
            with context.wrap_socket(other, server_hostname="localhost") as connection:
                assert get(connection)
    finally:
        for each in silent:
            each.close()
    time.sleep(0.5)
    assert hasty.ask()["scheme"] == "https"


def test_limits_hold_behind_tls(tls: TlsServed) -> None:
    """A head that never ends is given up there too."""
    with connect(tls.port, client_context(tls.pki.server_ca)) as connection:
        began = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nhost: ")
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 3
