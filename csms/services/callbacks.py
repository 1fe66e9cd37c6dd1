"""Where SOAP charge points may be called back: the defence against request forgery.

An address comes from a header that anybody can write (wsa:From). It is called only when scheme,
port and network are allowed; the name is resolved once and the resolved address is what is called.
The targets of webhooks obey the same rules, by settings of their own.
"""

import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from csms.conf import Network, Settings, settings

NOWHERE = "http://www.w3.org/2005/08/addressing/"
"""WS-Addressing's own addresses, `anonymous` and `none`, begin so: nobody can be called there."""


class CallbackRefused(ValueError):
    """The callback address may not be used; the message says why."""


class Rules(NamedTuple):
    """Which addresses of a kind may be called."""

    what: str
    """Begins the sentences of a refusal."""
    schemes: tuple[str, ...]
    networks: tuple[Network, ...]
    """Empty: anywhere but where nothing of others is."""
    ports: tuple[range, ...]
    loopback: bool
    """Loopback addresses too (the demo)."""
    setting: str
    """What the settings of networks and ports begin with."""


def soap_rules(config: Settings) -> Rules:
    """Those of SOAP charge points' callback addresses."""
    return Rules(
        what="The callback address",
        schemes=("http", "https"),
        networks=config.soap_callback_networks,
        ports=config.soap_callback_ports,
        loopback=config.demo,
        setting="CSMS_SOAP_CALLBACK",
    )


def webhook_rules(config: Settings) -> Rules:
    """Those of webhooks' targets."""
    return Rules(
        what="The URL",
        schemes=("http", "https") if config.webhook_http else ("https",),
        networks=config.webhook_networks,
        ports=config.webhook_ports,
        loopback=False,
        setting="CSMS_WEBHOOK",
    )


class Target(NamedTuple):
    """A checked callback address."""

    url: str
    host: str
    """The host name, for the Host header."""
    address: str
    """The resolved address that is connected to."""
    port: int

    @property
    def pinned(self) -> str:
        """The URL with the resolved address in the place of the name."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        netloc = f"{address}:{self.port}"
        return urlsplit(self.url)._replace(netloc=netloc, fragment="").geturl()


def complete(address: str, peer: str) -> str:
    """A From address with an empty host (`http://:8082/`) completed by the peer's address.

    Empty when it is no address that could be called.
    """
    if address.strip().startswith(NOWHERE):
        return ""
    try:
        parts = urlsplit(address.strip())
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return ""
        if parts.hostname:
            return address.strip()
        port = parts.port
    except ValueError:
        return ""
    if not peer:
        return ""
    host = f"[{peer}]" if ":" in peer else peer
    return urlunsplit(
        (parts.scheme, f"{host}:{port}" if port else host, parts.path or "/", parts.query, "")
    )


def network_allowed(address: str, rules: Rules) -> bool:
    """Whether an IP address lies where may be called."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if rules.loopback and ip.is_loopback:
        return True
    if rules.networks:
        return any(ip in network for network in rules.networks if network.version == ip.version)
    return not (
        any(ip in network for network in _NEVER if network.version == ip.version)
        or ip.is_loopback
        or ip.is_link_local
        or ip.is_multicast
        or ip.is_reserved
        or ip.is_unspecified
    )


_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.0/24", "fd00:ec2::254/128"),
        *("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"),
    )
)
"""Metadata services of clouds; IPv6 that stands for any IPv4 address (NAT64, Teredo, 6to4)."""


def _is_ours(address: str) -> bool:
    """Whether an address is one of this machine: only there can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def parse(
    url: str, config: Settings | None = None, *, rules: Rules | None = None
) -> tuple[str, int]:
    """Host and port of a callback address whose scheme, port and literal address are allowed.

    Nothing is resolved, so that it is cheap enough for every message. Without `rules` those of SOAP
    charge points hold. Raises CallbackRefused.
    """
    rules = rules or soap_rules(config or settings())
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise CallbackRefused(f"{rules.what} is no URL.") from None
    if parts.scheme not in rules.schemes or not host:
        schemes = " or ".join(f"{scheme}://" for scheme in rules.schemes)
        raise CallbackRefused(f"{rules.what} must be {schemes} with a host.")
    if "@" in parts.netloc:
        raise CallbackRefused(f"{rules.what} must not hold a user name.")
    port = port or (443 if parts.scheme == "https" else 80)
    if not any(port in ports for ports in rules.ports):
        raise CallbackRefused(f"Port {port} is not in {rules.setting}_PORTS.")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            literal = "127.0.0.1"
        else:
            return host, port
    else:
        literal = host
    if not network_allowed(literal, rules):
        raise CallbackRefused(
            f"{rules.what} {host} is not in an allowed network: see {rules.setting}_NETWORKS."
        )
    return host, port


def check(url: str, config: Settings | None = None, *, rules: Rules | None = None) -> Target:
    """Resolve a callback address once and check where it leads. Blocks. Raises CallbackRefused."""
    rules = rules or soap_rules(config or settings())
    host, port = parse(url, rules=rules)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter: a label is empty or too long
        raise CallbackRefused(f"The host {host} cannot be resolved.") from None
    for _family, _type, _proto, _name, place in found:
        address = str(place[0])
        plain = address.partition("%")[0]
        if not network_allowed(plain, rules):
            raise CallbackRefused(f"The host {host} leads outside the allowed networks.")
        if not (rules.networks or rules.loopback) and _is_ours(plain):
            raise CallbackRefused(
                f"The host {host} is this machine: name its network in {rules.setting}_NETWORKS "
                "if that is meant."
            )
    return Target(url, host, str(found[0][4][0]), port)
