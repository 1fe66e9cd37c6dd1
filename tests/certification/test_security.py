"""Security cases, over JSON only. What 083, 086 and 087 ask is shown by tests/security/ and
tests/tls/.

In 074 to 081 certificates, firmware and signatures are the operator's: the central system keeps
what it is asked for, hands over what it is given, and keeps what it is told.
"""

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from csms.models import CertificateSigningRequest, Message, SecurityEvent, TransferStatus
from csms.ocpp.security import (
    SecurityEventNotification,
    SignedFirmwareStatus,
    SignedFirmwareStatusNotification,
    SignedUpdateFirmwareResponse,
    SignedUpdateFirmwareStatus,
)
from csms.simulator.json import JsonTransport
from tests import factories
from tests.simulator.certificate import ROOT
from tests.tls.certificates import new_key

if TYPE_CHECKING:
    from tests.certification.case import Case
    from tests.running import System

SERVER = "https://files.example.com/"
SIGNATURE = base64.b64encode(b"signature").decode()


def _basic(user: str, password: str) -> dict[str, str]:
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


def _event(case: "Case", kind: str) -> None:
    """The charge point tells of an event; it is answered and kept."""
    now = case.charge_point.clock.now()
    case.call(SecurityEventNotification(type=kind, timestamp=now, tech_info="as tested"))
    event = SecurityEvent.objects.get(charge_point=case.row, kind=kind)
    assert (event.tech_info, event.ours) == ("as tested", False)


def test_tc_073_update_password(json_case: "Case") -> None:
    from csms.services.charge_points import charge_point_change, password_set

    case, transport = json_case, json_case.charge_point.transport
    assert isinstance(transport, JsonTransport)
    charge_point_change(charge_point=case.row, security_profile=1)
    password_set(charge_point=case.row, password="first secret")
    transport.set_password(b"first secret")
    case.reconnect()
    assert case.asked("ChangeConfiguration", key="AuthorizationKey", value="rotate") == "Accepted"
    case.wait(lambda: transport.connections == 3)
    assert case.system.run(case.charge_point.heartbeat()).current_time
    with pytest.raises(InvalidStatus, match="401"):
        case.system.charger(case.row, headers=_basic(case.row.identity, "first secret"))
    key = transport.password
    assert key is not None
    assert len(key) == 20
    case.system.written()
    assert not Message.objects.filter(request__icontains=key.hex()).exists()


def _signed(csr: str) -> str:
    """The certificate that an authority of the operator's makes of a signing request."""
    asked, key, now = x509.load_pem_x509_csr(csr.encode()), new_key(), datetime.now(UTC)
    assert asked.is_signature_valid
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_tc_074_update_charge_point_certificate(json_case: "Case") -> None:
    case = json_case
    asked = {"requestedMessage": "SignChargePointCertificate"}
    assert case.asked("ExtendedTriggerMessage", **asked) == "Accepted"
    command = case.effect("ExtendedTriggerMessage")
    assert (command.effect, command.effect_text) == ("seen", "SignCertificate came.")
    kept = CertificateSigningRequest.objects.get(charge_point=case.row)
    chain = _signed(kept.csr)
    assert case.asked("CertificateSigned", certificateChain=chain) == "Accepted"
    assert not SecurityEvent.objects.filter(charge_point=case.row).exists()


@pytest.mark.parametrize(
    "use",
    [
        pytest.param("ManufacturerRootCertificate", id="075_1"),
        pytest.param("CentralSystemRootCertificate", id="075_2"),
    ],
)
def test_tc_075_install_certificate(json_case: "Case", use: str) -> None:
    case = json_case
    sent = {"certificateType": use, "certificate": ROOT}
    assert case.asked("InstallCertificate", **sent) == "Accepted"
    answer = case.answer("GetInstalledCertificateIds", certificateType=use)
    assert answer["certificateHashData"][0]["serialNumber"] == "1234"


def test_tc_076_delete_certificate(json_case: "Case") -> None:
    case, use = json_case, "ManufacturerRootCertificate"
    test_tc_075_install_certificate(case, use)
    (named,) = case.answer("GetInstalledCertificateIds", certificateType=use)["certificateHashData"]
    assert case.asked("DeleteCertificate", certificateHashData=named) == "Accepted"
    assert case.asked("DeleteCertificate", certificateHashData=named) == "NotFound"
    assert case.asked("GetInstalledCertificateIds", certificateType=use) == "NotFound"


def test_tc_077_invalid_charge_point_certificate(json_case: "Case") -> None:
    case = json_case
    assert case.asked("CertificateSigned", certificateChain="no certificate") == "Rejected"
    kind = "InvalidChargePointCertificate"
    case.wait(SecurityEvent.objects.filter(charge_point=case.row, kind=kind).exists)


def test_tc_078_invalid_central_system_certificate(json_case: "Case") -> None:
    use = "CentralSystemRootCertificate"
    sent = {"certificateType": use, "certificate": "no certificate"}
    assert json_case.asked("InstallCertificate", **sent) == "Rejected"
    _event(json_case, "InvalidCentralSystemCertificate")


def test_tc_079_security_log(json_case: "Case") -> None:
    case = json_case
    log = {"remoteLocation": SERVER}
    command = case.send("GetLog", log=log, logType="SecurityLog", requestId=5)
    assert command.answer == {
        "status": "Accepted",
        "filename": f"{case.row.identity}-SecurityLog.log",
    }
    rows = TransferStatus.objects.filter(charge_point=case.row, kind="log").order_by("id")
    case.wait(rows.filter(status="Uploaded").exists)
    assert [(row.status, row.request_id) for row in rows] == [("Uploading", 5), ("Uploaded", 5)]
    assert case.effect("GetLog").effect == "seen"


def _update(case: "Case") -> str:
    from tests.certification.case import in_future

    firmware: dict[str, Any] = {
        "location": SERVER,
        "retrieveDateTime": in_future(0),
        "signingCertificate": ROOT,
        "signature": SIGNATURE,
    }
    return case.asked("SignedUpdateFirmware", requestId=6, firmware=firmware)


def _progress(case: "Case") -> list[tuple[str, int | None]]:
    rows = TransferStatus.objects.filter(charge_point=case.row, kind="signed firmware")
    return [(row.status, row.request_id) for row in rows.order_by("id")]


def test_tc_080_secure_firmware_update(json_case: "Case") -> None:
    case = json_case
    assert _update(case) == "Accepted"
    case.wait(lambda: ("Installed", 6) in _progress(case))
    steps = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"]
    assert _progress(case) == [(step, 6) for step in steps]
    case.row.refresh_from_db()
    assert case.row.firmware_version == "1.0.1"
    assert case.effect("SignedUpdateFirmware").effect == "seen"


def test_tc_081_invalid_signature(json_case: "Case") -> None:
    case = json_case
    accepted = SignedUpdateFirmwareResponse(status=SignedUpdateFirmwareStatus.ACCEPTED)
    case.answers("SignedUpdateFirmware", accepted)
    assert _update(case) == "Accepted"
    steps = ["Downloading", "Downloaded", "InvalidSignature"]
    for step in steps:
        status = SignedFirmwareStatus(step)
        case.call(SignedFirmwareStatusNotification(status=status, request_id=6))
    _event(case, "InvalidFirmwareSignature")
    assert _progress(case) == [(step, 6) for step in steps]
    command = case.effect("SignedUpdateFirmware")
    assert (command.effect, command.effect_text) == ("missing", "InvalidSignature")


def test_tc_085_basic_authentication(system: "System") -> None:
    from csms.services.charge_points import password_set

    row, other = (factories.charge_point(security_profile=1) for _ in range(2))
    password_set(charge_point=row, password="secret")
    password_set(charge_point=other, password="other secret")
    wrong = [
        _basic(row.identity, "wrong"),
        _basic(other.identity, "other secret"),  # valid, but another's
        {},
    ]
    for headers in wrong:
        with pytest.raises(InvalidStatus, match="401") as refusal:
            system.charger(row, headers=headers)
        assert refusal.value.response.headers["WWW-Authenticate"] == 'Basic realm="ocpp"'
    system.charger(row, headers=_basic(row.identity, "secret")).lives()
    row.refresh_from_db()
    assert row.connected


def test_tc_088_subprotocol_negotiation(system: "System") -> None:
    row = factories.charge_point()
    charger = system.charger(row, subprotocols=("ocpp2.0.1", "ocpp1.6"))
    assert charger.socket.subprotocol == "ocpp1.6"
    charger.lives()
    # J3.2: without a common subprotocol the handshake is completed and the connection closed.
    other = system.charger(row, subprotocols=("ocpp0.1",))
    assert other.socket.subprotocol is None
    with pytest.raises(ConnectionClosedError, match=r"must be ocpp1\.6"):
        other.receive()
