"""Where a request comes from, as the edge proved it: address, TLS, client certificate.

Pure functions: what the socket says, and, only from a listed proxy (CSMS_TRUSTED_PROXIES), what
its headers say. docs/proxy.md has the configuration that a proxy needs.
"""

import base64
import binascii
import ipaddress
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.oid import NameOID

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = tuple[Network, ...]

FORWARDED_FOR = "x-forwarded-for"
FORWARDED_PROTO = "x-forwarded-proto"
CLIENT_VERIFY = "x-ssl-client-verify"
"""`SUCCESS` when the proxy verified the path of the client's certificate."""
CLIENT_CERT = "x-ssl-client-cert"
"""That certificate: PEM, percent-encoded (nginx), or its DER in base64 (HAProxy)."""

FORWARDING = frozenset({FORWARDED_FOR, FORWARDED_PROTO, CLIENT_VERIFY, CLIENT_CERT, "forwarded"})
"""Headers by which somebody says that they forward."""

LONGEST_CERTIFICATE = 32 * 1024
"""Characters of a certificate header that are looked at."""


class ClientCertificate(NamedTuple):
    """A client certificate whose path was verified by us or by a listed proxy in front of us."""

    common_name: str
    """ "" when the subject has none, or several."""
    organization: str
    """ "" when the subject has none, or several."""
    serial: str
    """Hex digits, upper case, without leading zeros."""
    not_after: datetime


class Peer(NamedTuple):
    """The other end of a connection."""

    address: str
    """IP address; behind a listed proxy the one that the proxy saw. "" when it is not known."""
    tls: bool = False
    """The connection is encrypted up to us, or up to a listed proxy."""
    certificate: ClientCertificate | None = None
    trustworthy: bool = True
    """False when a proxy that is not listed says it forwards: the address is then the proxy's."""


NOBODY = Peer("")


def peer_of(
    headers: Mapping[str, str],
    *,
    address: str,
    tls: bool = False,
    certificate: bytes | None = None,
    proxies: Networks = (),
) -> Peer:
    """The peer behind one request.

    `headers` has names in lower case; of a repeated header the last one, which the nearest proxy
    has set. `address` and `tls` are the socket's; `certificate` is the client certificate (DER)
    that TLS verified. `proxies` are the networks whose headers are believed.
    """
    address = plain(address)
    named = None if certificate is None else client_certificate(certificate)
    if not proxies or not listed(address, proxies):
        return Peer(address, tls, named, FORWARDING.isdisjoint(headers))
    forwarded = headers.get(FORWARDED_FOR)
    if forwarded is None:  # the proxy speaks for itself: a health check, say
        return Peer(address, tls, named)
    client = _client(forwarded, proxies)
    if not client:
        return Peer(address, tls=False, certificate=None, trustworthy=False)
    encrypted = headers.get(FORWARDED_PROTO, "").strip().lower() in ("https", "wss")
    verified = encrypted and headers.get(CLIENT_VERIFY, "").strip().upper() == "SUCCESS"
    named = _forwarded_certificate(headers.get(CLIENT_CERT, "")) if verified else None
    return Peer(client, encrypted, named)


def last_headers(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers as `peer_of` wants them."""
    return {name.lower(): value for name, value in items}


@lru_cache(4096)
def plain(address: str) -> str:
    """An address as text, IPv4 also where the socket speaks IPv6 (`::ffff:10.0.0.1`)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


@lru_cache(4096)
def network_of(address: str) -> str:
    """Whom an address counts as: who has one IPv6 address has 2⁶⁴ of them. IPv4 comes as such."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
    except ValueError:
        return address


@lru_cache(4096)
def listed(address: str, networks: Networks) -> bool:
    """Whether an address lies in one of the networks."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _client(forwarded: str, proxies: Networks) -> str:
    """The address that the outermost listed proxy saw; "" when the list cannot be read.

    Each proxy adds at the right whom it saw; what stands left of the first address that is not a
    proxy of ours is only what that one says.
    """
    for item in reversed(forwarded[-1024:].split(",")):
        address = plain(item.strip())
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return ""
        if not listed(address, proxies):
            return address
    return address


@lru_cache(4096)
def client_certificate(der: bytes) -> ClientCertificate | None:
    """What is asked of a certificate; None when it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return ClientCertificate(
            common_name=_only(certificate.subject, NameOID.COMMON_NAME),
            organization=_only(certificate.subject, NameOID.ORGANIZATION_NAME),
            serial=f"{certificate.serial_number:X}",
            not_after=certificate.not_valid_after_utc,
        )
    except ValueError:
        return None


def _only(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if len(found) == 1 else ""


@lru_cache(4096)
def _forwarded_certificate(text: str) -> ClientCertificate | None:
    """The certificate in a proxy's header."""
    if len(text) > LONGEST_CERTIFICATE:
        return None
    try:
        content = unquote(text).strip()
        if content.startswith("-----BEGIN CERTIFICATE-----"):
            content = "".join(content.partition("-----END")[0].split("-----")[2].split())
        return client_certificate(base64.b64decode(content, validate=True))
    except (binascii.Error, ValueError):
        return None
