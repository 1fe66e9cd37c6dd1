"""Security profiles over the TLS ports of the process itself, from the handshake to the database:
N1, N7–N10 over both transports, with nothing in front."""

import asyncio
import base64
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from csms.models import ChargePoint, SecurityEvent
from csms.tls import SUITES, Certificates
from tests.running import PATIENCE, running
from tests.security.door import charge_point
from tests.tls.certificates import DAY, Authority, Issued
from tests.tls.clients import client_context
from tests.tls.conftest import Pki, pki
from tests.tls.test_proxies import ENVELOPE

if TYPE_CHECKING:
    from tests.running import System

__all__ = ["pki"]

pytestmark = pytest.mark.django_db(transaction=True)

KEY = b"\xff:\x00" * 6 + b"ok"
BOTH = pytest.mark.parametrize("transport", ["json", "soap"])
REFUSED = (400, 401, 403)
ENDED = 0
"""Stands for a handshake of TLS that was refused."""


class Safe:
    """A central system with its TLS ports."""

    def __init__(self, system: "System", pki: Pki) -> None:
        from csms import conf

        self.system, self.pki = system, pki
        self.certificates = Certificates(conf.settings())
        self.json_port, self.http_port = system.run(self._listen())

    async def _listen(self) -> tuple[int, int]:
        ports = []
        for server in (self.system.server, self.system._http):
            listening = socket.create_server(("127.0.0.1", 0))
            listening.setblocking(False)
            server.listen_tls(listening, self.certificates.current, self.certificates.revoked)
            ports.append(listening.getsockname()[1])
        tls = self.system._http._tls
        assert tls is not None
        tls.start()
        self.system._lasting |= asyncio.all_tasks() - {asyncio.current_task()}
        return ports[0], ports[1]

    def status(self, row: ChargePoint, *, key: bytes = b"", **tls: Any) -> int:
        """What a charge point is answered: 101 or 200 when it is let in."""
        headers = {}
        if key:
            plain = row.identity.encode() + b":" + key
            headers["Authorization"] = f"Basic {base64.b64encode(plain).decode()}"
        context = client_context(self.pki.server_ca, **tls)
        try:
            if row.transport == "json":
                url = f"wss://localhost:{self.json_port}/{row.identity}"
                with connect(
                    url,
                    ssl=context,
                    subprotocols=[Subprotocol("ocpp1.6")],
                    additional_headers=headers,
                    proxy=None,
                    open_timeout=PATIENCE,
                ) as charger:
                    charger.send('[2,"1","Heartbeat",{}]')
                    assert "currentTime" in str(charger.recv(timeout=PATIENCE))
                return 101
            url = f"https://localhost:{self.http_port}/ocpp/soap"
            content = ENVELOPE.format(identity=row.identity, more="")
            with httpx.Client(verify=context, trust_env=False, timeout=PATIENCE) as client:
                return client.post(url, content=content, headers=headers).status_code
        except InvalidStatus as refused:
            return refused.response.status_code
        except (OSError, httpx.TransportError, WebSocketException):
            return ENDED

    def admits(self, row: ChargePoint, **how: Any) -> bool:
        return self.status(row, **how) == (101 if row.transport == "json" else 200)


@pytest.fixture(scope="module")
def lasting_safe(pki: Pki, django_db_setup: None) -> Iterator[Safe]:
    with running(**pki.environment, CSMS_OPERATOR_NAME="Operator") as system:
        yield Safe(system, pki)


@pytest.fixture
def safe(lasting_safe: Safe, transactional_db: None) -> Iterator[Safe]:
    yield lasting_safe
    lasting_safe.system.settle()


def kinds(safe: Safe) -> set[str]:
    safe.system.written()
    return set(SecurityEvent.objects.values_list("kind", flat=True))


def row_of(transport: str, profile: int) -> ChargePoint:
    return charge_point(
        transport=transport, security_profile=profile, key=KEY, certificate_name="SERIAL-1"
    )


@BOTH
@pytest.mark.parametrize("profile", [0, 1, 2, 3])
def test_n1_over_tls(safe: Safe, transport: str, profile: int) -> None:
    """N1: with a password it is profile 2, with a certificate 3; nothing else connects there."""
    row = row_of(transport, profile)
    right = safe.pki.chargers.issue("SERIAL-1")
    assert safe.admits(row, key=KEY) is (profile == 2)
    assert safe.admits(row, certificate=right) is (profile == 3)
    assert safe.admits(row) is (profile == 0)  # this machine is a trusted network


@BOTH
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3"])
def test_n7_versions(safe: Safe, transport: str, version: str) -> None:
    """N7: TLS 1.2 or above, on either port."""
    row = row_of(transport, 2)
    assert safe.admits(row, key=KEY, version=version) is (version >= "1.2")


@BOTH
@pytest.mark.parametrize("suite", SUITES)
def test_n8_suites(safe: Safe, transport: str, suite: str) -> None:
    """N8: each by itself, capped at TLS 1.2: the ECDSA certificate and the RSA one."""
    assert safe.admits(row_of(transport, 2), key=KEY, version="1.2", suite=suite)


@BOTH
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_n9_the_right_certificate(safe: Safe, transport: str, kind: str) -> None:
    """N9: a password counts for nothing beside it, and cannot stand in for it."""
    row = row_of(transport, 3)
    right = safe.pki.chargers.issue("SERIAL-1", kind=kind)
    assert safe.admits(row, certificate=right)
    assert safe.admits(row, certificate=right, key=b"wrong")
    assert safe.status(row, key=KEY) in REFUSED
    assert kinds(safe) == {"WrongSecurityProfile"}


def bad(pki: Pki, which: str) -> Issued:
    past, chargers = datetime.now(UTC) - 9 * DAY, pki.chargers
    match which:
        case "expired":
            return chargers.issue("SERIAL-1", begin=past, lasts=8 * DAY)
        case "authority":
            return Authority("Charge points").issue("SERIAL-1")
        case "revoked":
            revoked = chargers.issue("SERIAL-1")
            pki.revoke(revoked)
            return revoked
        case "organization":
            return chargers.issue("SERIAL-1", organization="Somebody")
    return chargers.issue("SERIAL-2")


@BOTH
@pytest.mark.parametrize("which", ["expired", "authority", "revoked", "organization", "another's"])
def test_n9_n10_certificates_that_prove_nothing(safe: Safe, transport: str, which: str) -> None:
    """N9: no valid path, another O, another charger's CN: the connection ends, and it is an event;
    N10: revoked, then refused."""
    row = row_of(transport, 3)
    shown = bad(safe.pki, which)
    safe.certificates.refresh()
    status = safe.status(row, certificate=shown)
    assert status == ENDED if which in ("expired", "authority", "revoked") else status in REFUSED
    assert kinds(safe) == {"InvalidClientCertificate"}
    assert safe.admits(row, certificate=safe.pki.chargers.issue("SERIAL-1"))
