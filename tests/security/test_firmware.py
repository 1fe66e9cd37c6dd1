"""Signed firmware: a certificate or a signature that cannot be right is not sent (N13)."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from csms import conf
from csms.models import Command
from csms.services import firmware_signatures
from csms.services.commands import PayloadRefused, batch_send, command_send, request_of
from tests import factories

pytestmark = pytest.mark.django_db

SIGNATURE = base64.b64encode(b"s" * 70).decode()
CERTIFICATE, FIELD = "firmware.signingCertificate", "firmware.signature"


class Authority:
    """Issues certificates; of its own accord, or by another authority."""

    def __init__(self, name: str = "CA", issuer: "Authority | None" = None, *, ca: bool = True):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (issuer or self).issue(self.name, self.key, ca=ca)

    def issue(self, name: x509.Name, key: Any, *, ca: bool = False, days: float = 1) -> Any:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=min(days, 0) - 1 if days < 9 else days))
            .not_valid_after(now + timedelta(days=days if days < 9 else days + 1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def signer(self, key: Any = None, **how: Any) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Firmware")])
        return pem(self.issue(name, key or ec.generate_private_key(ec.SECP256R1()), **how))


def pem(*certificates: x509.Certificate) -> str:
    return "".join(
        certificate.public_bytes(serialization.Encoding.PEM).decode()
        for certificate in certificates
    )


def send(certificate: str, signature: str = SIGNATURE) -> Command:
    firmware = {
        "location": "https://files.example/fw.bin",
        "retrieveDateTime": "2026-03-01T00:00:00Z",
        "signingCertificate": certificate,
        "signature": signature,
    }
    request = request_of("SignedUpdateFirmware", {"requestId": 1, "firmware": firmware})
    return command_send(charge_point=factories.charge_point(), request=request)


def refused(certificate: str, signature: str = SIGNATURE) -> tuple[str, str]:
    """Where and why; nothing is stored, so that nothing is sent."""
    with pytest.raises(PayloadRefused) as refusal:
        send(certificate, signature)
    assert not Command.objects.exists()
    return refusal.value.path, str(refusal.value)


def test_n13_a_valid_certificate_and_a_signature() -> None:
    """N13: PEM with either end of line, a chain, white space in the base64."""
    certificate = Authority().signer()
    for text in (certificate, certificate.replace("\n", "\r\n"), certificate * 2):
        assert send(text, f"{SIGNATURE[:20]}\n{SIGNATURE[20:]}\n").state == "queued"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN",
        "none",
        "\N{SNOWMAN}",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    ],
)
def test_n13_what_is_no_certificate(text: str) -> None:
    """N13"""
    where, why = refused(text)
    assert where == CERTIFICATE
    assert "no X.509" in why


@pytest.mark.parametrize(("days", "why"), [(-1, "expired"), (30, "valid from")])
def test_n13_not_within_its_validity(days: float, why: str) -> None:
    """N13"""
    where, said = refused(Authority().signer(days=days))
    assert where == CERTIFICATE
    assert why in said


@pytest.mark.parametrize("kind", ["rsa", "ec", "other"])
def test_n13_keys_that_are_too_weak(kind: str) -> None:
    """N13: 112 bits of security at least (A00.FR.318, 319)."""
    keys = {
        "rsa": lambda: rsa.generate_private_key(65537, 1024),
        "ec": lambda: ec.generate_private_key(ec.SECP192R1()),
        "other": ed25519.Ed25519PrivateKey.generate,
    }
    assert refused(Authority().signer(keys[kind]()))[0] == CERTIFICATE


@pytest.mark.parametrize("signature", ["", "%%%", "c2ln*", "c2l"])
def test_n13_a_signature_that_is_no_base64(signature: str) -> None:
    """N13"""
    assert refused(Authority().signer(), signature)[0] == FIELD


def test_n13_an_rsa_signature_is_as_long_as_its_key() -> None:
    """N13: with another length it cannot be one by this key."""
    certificate = Authority().signer(rsa.generate_private_key(65537, 2048))
    assert refused(certificate, base64.b64encode(b"s" * 255).decode())[0] == FIELD
    assert send(certificate, base64.b64encode(b"s" * 256).decode()).state == "queued"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one that CSMS_FIRMWARE_CA names."""
    made = Authority()
    path = tmp_path / "ca.pem"
    path.write_text(pem(Authority("Another").certificate, made.certificate))
    config = conf.read({"CSMS_FIRMWARE_CA": str(path)})
    monkeypatch.setattr(firmware_signatures, "settings", lambda: config)
    return made


def test_n13_issued_by_the_named_authority(authority: Authority) -> None:
    """N13: directly, or through the chain that comes with it."""
    assert send(authority.signer()).state == "queued"
    between = Authority("Between", authority)
    assert send(between.signer() + pem(between.certificate)).state == "queued"
    assert send(pem(authority.certificate)).state == "queued"


def test_n13_issued_by_somebody_else(authority: Authority) -> None:
    """N13: one of the same name, a chain with a gap, an issuer that is no authority."""
    namesake = Authority()
    between = Authority("Between", authority)
    no_authority = Authority("Leaf", authority, ca=False)
    for chain in (
        namesake.signer(),
        namesake.signer() + pem(namesake.certificate),
        between.signer(),
        no_authority.signer() + pem(no_authority.certificate),
    ):
        where, why = refused(chain)
        assert where == CERTIFICATE
        assert "CSMS_FIRMWARE_CA" in why


def test_n13_authorities_that_cannot_be_read(authority: Authority, tmp_path: Path) -> None:
    """N13: then nothing is let through."""
    (tmp_path / "ca.pem").unlink()
    assert "cannot be read" in refused(authority.signer())[1]


def test_n13_many_at_once() -> None:
    """N13: a batch is refused as a whole."""
    firmware = {
        "location": "https://files.example/fw.bin",
        "retrieveDateTime": "2026-03-01T00:00:00Z",
        "signingCertificate": "none",
        "signature": SIGNATURE,
    }
    request = request_of("SignedUpdateFirmware", {"requestId": 1, "firmware": firmware})
    with pytest.raises(PayloadRefused):
        batch_send(charge_points=[factories.charge_point()], request=request)
