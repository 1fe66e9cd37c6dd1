"""Knocking at a running central system over both transports, as any peer and with any proof."""

import base64
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lxml import etree
from websockets.exceptions import InvalidStatus

from csms.models import ChargePoint
from csms.ocpp import core
from csms.ocpp.base import Request, action
from csms.simulator import envelopes
from tests import factories
from tests.running import JsonCharger, System, post

INSIDE, OUTSIDE = "192.0.2.7", "198.51.100.7"
"""An address of a trusted network, and one of none."""
OPERATOR = "Example Operator"

_numbers = itertools.count(1)


def certificate(
    common_name: str = "SERIAL-1", organization: str = OPERATOR, *, days: float = 1
) -> bytes:
    """A client certificate (DER) that is valid for so many days more; its path is verified."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


class Knock(NamedTuple):
    """How somebody comes."""

    password: bytes | None = None
    user: str | None = None
    """None: the identity."""
    tls: bool = False
    certificate: bytes | None = None
    address: str = INSIDE

    def headers(self, identity: str) -> dict[str, str]:
        """What the proxy and the charge point say."""
        said = {
            "X-Forwarded-For": self.address,
            "X-Forwarded-Proto": "https" if self.tls else "http",
        }
        if self.password is not None:
            plain = (identity if self.user is None else self.user).encode() + b":" + self.password
            said["Authorization"] = f"Basic {base64.b64encode(plain).decode()}"
        if self.certificate is not None:
            said["X-SSL-Client-Verify"] = "SUCCESS"
            said["X-SSL-Client-Cert"] = base64.b64encode(self.certificate).decode()
        return said


BARE = Knock()


class Door:
    """A running central system and its two entrances."""

    def __init__(self, system: System) -> None:
        self.system = system

    def json(self, identity: str, knock: Knock = BARE) -> int:
        """The HTTP status of a handshake; 101 when it succeeds."""
        try:
            with self.connect(identity, knock) as charger:
                charger.lives()
        except InvalidStatus as refused:
            return refused.response.status_code
        return 101

    def connect(self, identity: str, knock: Knock = BARE) -> JsonCharger:
        """A connection, to be used as a context."""
        row = ChargePoint(identity=identity)
        path = f"/{quote(identity, safe='')}"
        return JsonCharger(self.system, row, path=path, headers=knock.headers(identity))

    def soap(
        self,
        identity: str,
        knock: Knock = BARE,
        *,
        path: str = "",
        request: Request[Any] | None = None,
        sender: str = "http://198.51.100.7:8080/",
        to: str = "",
    ) -> tuple[int, str]:
        """The HTTP status and the subcode of the Fault ("" without) of a message."""
        request = request or core.Heartbeat()
        envelope = envelopes.request(
            action(type(request)),
            request,
            identity=identity,
            message_id=f"urn:uuid:{next(_numbers)}",
            to=to or self.system.soap_url,
            sender=sender,
        )
        response = post(self.system, envelope, path, **knock.headers(identity))
        subcode = etree.fromstring(response.content).findtext(".//{*}Subcode/{*}Value") or ""
        return response.status_code, subcode.rpartition(":")[2]

    def admits(self, row: ChargePoint, knock: Knock = BARE) -> bool:
        """Whether it is let in, over its transport."""
        if row.transport == "json":
            return self.json(row.identity, knock) == 101
        return self.soap(row.identity, knock)[0] == 200


def charge_point(**columns: Any) -> ChargePoint:
    """One that exists and is accepted; `key` is what its password is to be."""
    from csms.services.passwords import key_encoded

    key = columns.pop("key", None)
    if key is not None:
        columns["password"] = key_encoded(key)
    return factories.charge_point(**columns)


def answer(call: Any, status: str) -> str:
    """The frame that answers a call with a status."""
    return json.dumps([3, call[1], {"status": status}])
