"""Where a request comes from, as the edge proved it: address, TLS, client certificate."""

from datetime import datetime
from typing import NamedTuple


class ClientCertificate(NamedTuple):
    """A client certificate whose path was verified by us or by a listed proxy in front of us."""

    common_name: str
    organization: str
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
