"""Whom a request comes from: what sockets say, and what is believed of headers."""

import base64
import ipaddress
from typing import Any
from urllib.parse import quote

import pytest

from csms.services.peers import (
    ClientCertificate,
    Peer,
    client_certificate,
    last_headers,
    peer_of,
    plain,
)
from tests.tls.certificates import Authority

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
PROXY = "10.0.0.1"
CHARGER = Authority().issue("SERIAL-1", organization="Operator")
NAMED = ClientCertificate(
    "SERIAL-1",
    "Operator",
    f"{CHARGER.certificate.serial_number:X}",
    CHARGER.certificate.not_valid_after_utc,
)
BY_NGINX = quote(CHARGER.pem.decode(), safe="")
BY_HAPROXY = base64.b64encode(CHARGER.der).decode()


def through(address: str = PROXY, **headers: str) -> Peer:
    """The peer of a request with these headers (`_` for `-`), all networks as above."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return peer_of(named, address=address, proxies=PROXIES)


def test_socket() -> None:
    assert peer_of({"host": "x"}, address="192.0.2.1") == Peer("192.0.2.1")
    peer = peer_of({}, address="192.0.2.1", tls=True, certificate=CHARGER.der, proxies=PROXIES)
    assert peer == Peer("192.0.2.1", tls=True, certificate=NAMED)


@pytest.mark.parametrize(
    "name",
    [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-ssl-client-verify",
        "x-ssl-client-cert",
        "forwarded",
    ],
)
def test_nobody_else_is_believed(name: str) -> None:
    """The address is the socket's, and a network cannot be trusted that anybody may speak for."""
    for proxies in ((), PROXIES):
        peer = peer_of({name: "10.0.0.9"}, address="192.0.2.1", proxies=proxies)
        assert peer == Peer("192.0.2.1", trustworthy=False)


def test_own_tls_counts_beside_foreign_headers() -> None:
    """A certificate that we verified ourselves proves what it proves."""
    headers = {"x-forwarded-for": "10.0.0.9", "x-forwarded-proto": "http"}
    peer = peer_of(headers, address="192.0.2.1", tls=True, certificate=CHARGER.der)
    assert peer == Peer("192.0.2.1", tls=True, certificate=NAMED, trustworthy=False)


def test_listed_proxy() -> None:
    assert through(x_forwarded_for="192.0.2.1") == Peer("192.0.2.1")
    assert through(x_forwarded_for="192.0.2.1", x_forwarded_proto="http") == Peer("192.0.2.1")
    for scheme in ("https", "HTTPS", "wss"):
        peer = through(x_forwarded_for="192.0.2.1", x_forwarded_proto=scheme)
        assert peer == Peer("192.0.2.1", tls=True)


def test_proxy_that_speaks_for_itself() -> None:
    assert through() == Peer(PROXY)
    assert through(x_forwarded_proto="https") == Peer(PROXY)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),  # the client invented the first
        ("6.6.6.6, 192.0.2.1, 10.0.0.7", "192.0.2.1"),  # two proxies of ours
        ("10.0.0.8, 10.0.0.7", "10.0.0.8"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, fd00::2", "192.0.2.1"),
    ],
)
def test_lists_of_addresses(forwarded: str, address: str) -> None:
    """The last one that is no proxy of ours: what stands before it is what that one says."""
    assert through(x_forwarded_for=forwarded).address == address


@pytest.mark.parametrize(
    "forwarded", ["", "unknown", "6.6.6.6, _hidden", "192.0.2.1:80", "x" * 9999]
)
def test_unreadable_addresses(forwarded: str) -> None:
    """Nothing of such a proxy is believed."""
    peer = through(x_forwarded_for=forwarded, x_forwarded_proto="https")
    assert peer == Peer(PROXY, trustworthy=False)


@pytest.mark.parametrize("text", [BY_NGINX, BY_HAPROXY, quote(BY_HAPROXY)])
def test_certificates(text: str) -> None:
    headers = {"x_forwarded_for": "192.0.2.1", "x_forwarded_proto": "https"}
    verified = headers | {"x_ssl_client_verify": "SUCCESS", "x_ssl_client_cert": text}
    assert through(**verified) == Peer("192.0.2.1", tls=True, certificate=NAMED)
    for change in (
        {"x_ssl_client_verify": "NONE"},
        {"x_ssl_client_verify": "FAILED:certificate has expired"},
        {"x_ssl_client_verify": ""},
        {"x_forwarded_proto": "http"},
        {"x_ssl_client_cert": ""},
        {"x_ssl_client_cert": text[:200]},
        {"x_ssl_client_cert": text * 100},
        {"x_ssl_client_cert": "-----BEGIN CERTIFICATE-----"},
        {"x_ssl_client_cert": "\0\xff"},
    ):
        assert through(**(verified | change)).certificate is None


def test_names_that_a_certificate_lacks() -> None:
    issued = Authority().issue("", organization="")
    found = client_certificate(issued.der)
    assert found is not None
    assert (found.common_name, found.organization) == ("", "")
    assert client_certificate(b"no certificate") is None


def test_of_a_repeated_header_the_last_counts() -> None:
    """Proxies that add theirs, instead of replacing, add it behind."""
    headers = last_headers([("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")])
    assert peer_of(headers, address=PROXY, proxies=PROXIES).address == "192.0.2.1"


@pytest.mark.parametrize(
    ("address", "expected"),
    [("::ffff:10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("testclient", "testclient"), ("", "")],
)
def test_plain_addresses(address: str, expected: str) -> None:
    assert plain(address) == expected
    mapped: Any = peer_of({"x-forwarded-for": "192.0.2.1"}, address=address, proxies=PROXIES)
    assert mapped.trustworthy == (expected == PROXY)
