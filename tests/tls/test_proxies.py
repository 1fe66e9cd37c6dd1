"""nginx and HAProxy, as docs/proxy.md sets them up, in front of the whole central system."""

import base64
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests import factories
from tests.running import PATIENCE, System, last_message, running
from tests.servers import Missing
from tests.tls.certificates import Authority, Issued
from tests.tls.clients import client_context
from tests.tls.conftest import Pki
from tests.tls.proxies import Proxy, proxy

if TYPE_CHECKING:
    from csms.models import ChargePoint

CLIENT = "127.0.0.5"
"""Where charge points come from: an address of this machine that is not the proxy's."""

REFUSED = (400, 401, 403)
"""Statuses with which a charge point is refused: 400 goes with IdentityMismatch."""

ENVELOPE = (
    '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:c="urn://Ocpp/Cs/2015/10/"><e:Header>'
    "<c:chargeBoxIdentity>{identity}</c:chargeBoxIdentity><a:Action>/Heartbeat</a:Action>"
    "<a:MessageID>urn:uuid:1</a:MessageID><a:From><a:Address>http://127.0.0.5/cp</a:Address>"
    "</a:From><a:To>http://x/</a:To></e:Header><e:Body><c:heartbeatRequest>{more}"
    "</c:heartbeatRequest></e:Body></e:Envelope>"
)


class Front:
    """A central system and the proxy in front of it."""

    def __init__(self, system: System, before: Proxy, pki: Pki) -> None:
        self.system = system
        self.proxy = before
        self.pki = pki

    def context(self, certificate: Issued | None) -> ssl.SSLContext:
        return client_context(self.pki.server_ca, certificate=certificate)

    def request(
        self,
        method: str,
        path: str,
        *,
        certificate: Issued | None = None,
        direct: bool = False,
        cookies: httpx.Cookies | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Through the proxy, or past it."""
        base = f"https://localhost:{self.proxy.port}"
        transport = httpx.HTTPTransport(local_address=CLIENT, verify=self.context(certificate))
        with httpx.Client(transport=transport, timeout=PATIENCE, cookies=cookies) as client:
            return client.request(
                method, (self.system.http_url if direct else base) + path, **options
            )

    def heartbeat(self, row: "ChargePoint", **options: Any) -> httpx.Response:
        content = ENVELOPE.format(identity=row.identity, more=options.pop("more", ""))
        return self.request("POST", "/ocpp/soap", content=content, **options)

    def open(
        self,
        row: "ChargePoint",
        *,
        certificate: Issued | None = None,
        headers: dict[str, str] | None = None,
    ) -> ClientConnection:
        return connect(
            f"wss://localhost:{self.proxy.port}/ocpp/json/{row.identity}",
            ssl=self.context(certificate),
            subprotocols=[Subprotocol("ocpp1.6")],
            additional_headers=headers or {},
            source_address=(CLIENT, 0),
            proxy=None,
            open_timeout=PATIENCE,
        )


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def lasting_front(
    request: pytest.FixtureRequest,
    pki: Pki,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
) -> Iterator[Front]:
    settings = {
        "CSMS_TRUSTED_PROXIES": "127.0.0.1/32",
        "CSMS_OPERATOR_NAME": "Operator",
        "CSMS_TRUSTED_NETWORKS": "127.0.0.0/8",
    }
    folder = tmp_path_factory.mktemp(request.param)
    with running(**settings) as system:
        try:
            http_port = int(system.http_url.rpartition(":")[2])
            ports = {"http_port": http_port, "json_port": system.server.port}
            with proxy(request.param, pki, folder, **ports) as before:
                yield Front(system, before, pki)
        except Missing as missing:
            pytest.skip(str(missing))


@pytest.fixture
def front(lasting_front: Front, transactional_db: None) -> Iterator[Front]:
    from csms.services import admission

    admission.forget()
    yield lasting_front
    lasting_front.system.settle()


def test_soap(front: Front) -> None:
    """The address is the charge point's."""
    row = factories.charge_point(transport="soap")
    answer = front.heartbeat(row)
    assert answer.status_code == 200, answer.text
    assert "currentTime" in answer.text
    front.system.written()
    assert last_message(row).remote_address == CLIENT


def test_json(front: Front) -> None:
    row = factories.charge_point(transport="json")
    with front.open(row) as charger:
        charger.send('[2,"1","Heartbeat",{}]')
        assert '"currentTime"' in charger.recv(timeout=PATIENCE)
        row.refresh_from_db()
        assert row.remote_address == CLIENT
        wire = front.system.server.connections[row.pk].wire
        assert (wire.peer.tls, wire.peer.certificate, wire.peer.trustworthy) == (True, None, True)


def test_profile_2(front: Front) -> None:
    """A password over TLS that ends at the proxy; past the proxy it would be profile 1."""
    from csms.services.charge_points import password_set

    password = "0123456789abcdef0123456789abcdef01234567"
    headers = {}
    for transport in ("json", "soap"):
        row = factories.charge_point(transport=transport, security_profile=2)
        password_set(charge_point=row, password=password)
        plain = f"{row.identity}:{password}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(plain).decode()}"}
        if transport == "json":
            with front.open(row, headers=headers):
                pass
    assert front.heartbeat(row, headers=headers).status_code == 200
    assert front.heartbeat(row, headers=headers, direct=True).status_code in REFUSED


def test_n9_profile_3_soap(front: Front) -> None:
    """The certificate passes through the proxy; another one, or none, proves nothing."""
    row = factories.charge_point(transport="soap", security_profile=3, certificate_name="SERIAL-1")
    authority = front.pki.chargers
    right = authority.issue("SERIAL-1")
    assert front.heartbeat(row, certificate=right).status_code == 200
    for wrong in (authority.issue("SERIAL-2"), authority.issue("SERIAL-1", organization="Other")):
        assert front.heartbeat(row, certificate=wrong).status_code in REFUSED
    assert front.heartbeat(row).status_code in REFUSED


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_n9_profile_3_json(front: Front, kind: str) -> None:
    row = factories.charge_point(transport="json", security_profile=3, certificate_name="SERIAL-1")
    right = front.pki.chargers.issue("SERIAL-1", kind=kind)
    with front.open(row, certificate=right) as charger:
        charger.send('[2,"1","Heartbeat",{}]')
        assert '"currentTime"' in charger.recv(timeout=PATIENCE)
        peer = front.system.server.connections[row.pk].wire.peer
        assert peer.certificate is not None
        assert peer.certificate.common_name == "SERIAL-1"
        assert int(peer.certificate.serial, 16) == right.certificate.serial_number
    with pytest.raises(InvalidStatus) as refused:
        front.open(row)
    assert refused.value.response.status_code in REFUSED


@pytest.mark.parametrize("revoked", [True, False])
def test_n9_n10_refused_by_the_proxy(front: Front, revoked: bool) -> None:
    """What it cannot verify it does not pass on: revoked, or of another authority."""
    row = factories.charge_point(transport="soap", security_profile=0)
    certificate = front.pki.revoked if revoked else Authority("Somebody").issue("SERIAL-1")
    try:
        answer = front.heartbeat(row, certificate=certificate)
    except httpx.TransportError:
        return  # HAProxy ends the handshake
    assert answer.status_code == 400  # nginx says so over the connection
    assert "currentTime" not in answer.text


FORGED = {
    "X-Forwarded-For": "192.0.2.66",
    "X-Forwarded-Proto": "https",
    "X-SSL-Client-Verify": "SUCCESS",
    "Forwarded": "for=192.0.2.66",
}


def test_forged_headers_end_at_the_proxy(front: Front) -> None:
    """What a client says of itself is overwritten, or deleted."""
    forged = FORGED | {
        "X-SSL-Client-Cert": base64.b64encode(front.pki.chargers.issue("SERIAL-1").der).decode()
    }
    row = factories.charge_point(transport="soap")
    assert front.heartbeat(row, headers=forged).status_code == 200
    front.system.written()
    assert last_message(row).remote_address == CLIENT
    for transport in ("soap", "json"):
        safe = factories.charge_point(
            transport=transport, security_profile=3, certificate_name="SERIAL-1"
        )
        if transport == "soap":
            assert front.heartbeat(safe, headers=forged).status_code in REFUSED
            # Past the proxy, from an address that is not listed, they are not believed either.
            direct = front.heartbeat(safe, headers=forged, direct=True)
            assert direct.status_code in REFUSED
        else:
            with pytest.raises(InvalidStatus):
                front.open(safe, headers=forged)


def test_who_says_it_forwards_is_not_in_a_trusted_network(front: Front) -> None:
    """A proxy that nobody listed: whom it forwards could be anybody."""
    row = factories.charge_point(transport="soap", security_profile=0)
    assert front.heartbeat(row, direct=True).status_code == 200
    headers = {"X-Forwarded-For": "10.1.2.3"}
    assert front.heartbeat(row, direct=True, headers=headers).status_code in REFUSED


def test_large_message(front: Front) -> None:
    """A StopTransaction of eight hours has 400 KB: it passes in one piece."""
    row = factories.charge_point(transport="soap")
    answer = front.heartbeat(row, more=f"<!--{'x' * 400_000}-->")
    assert answer.status_code == 200, answer.text


def test_admin_over_the_proxy(front: Front) -> None:
    """It knows that it is reached over HTTPS: a form passes the check of its origin."""
    factories.operator("operator")
    page = front.request("GET", "/admin/login/")
    assert page.status_code == 200
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    origin = f"https://localhost:{front.proxy.port}"
    answer = front.request(
        "POST",
        "/admin/login/",
        data={"csrfmiddlewaretoken": token, "username": "operator", "password": "operator"},
        headers={"Origin": origin, "Referer": f"{origin}/admin/login/"},
        cookies=page.cookies,
    )
    assert answer.status_code == 302, answer.text[:500]


def test_soap_urls_are_not_logged(front: Front) -> None:
    """They may hold a password."""
    row = factories.charge_point(transport="soap")
    front.request("GET", "/admin/login/")
    front.request("POST", f"/ocpp/soap/{row.identity}/secret", content="<x/>")
    assert "/ocpp/soap" not in front.proxy.access_log
