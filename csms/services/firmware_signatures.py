"""Signed firmware: what of its signature can be judged before anything is sent (WP L01.FR.11).

A signature is one over the firmware file. Where the file lies on somebody else's server, its
signature can be verified by the charge point only, which has it (WP L01.FR.04); verified are then
the certificate (readable, within its validity, for a key that is strong enough, issued by
CSMS_FIRMWARE_CA where that is set) and the form of the signature. That of an image of ours is
verified over its content.
"""

import base64
import binascii
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from csms.conf import settings
from csms.ocpp.base import Request
from csms.ocpp.security import SignedUpdateFirmware

LONGEST_CHAIN = 5
RSA_BITS, EC_BITS = 2048, 224
"""WP A00.FR.318, 319: 112 bits of security at least."""


class _Bad(ValueError):
    """Why; a plain sentence."""


def firmware_problem(request: Request[Any], *, now: datetime) -> tuple[str, str]:
    """What is wrong with a SignedUpdateFirmware, and the field that is; empty when nothing is, or
    when the request is another one."""
    if not isinstance(request, SignedUpdateFirmware):
        return "", ""
    field = "firmware.signingCertificate"
    try:
        key = _signer(request.firmware.signing_certificate, now)
        field = "firmware.signature"
        _check_form(request.firmware.signature, key)
    except _Bad as problem:
        return str(problem), field
    return "", ""


def image_problem(
    *, sha256: str, certificate: str, signature: str, now: datetime
) -> tuple[str, str]:
    """What is wrong with the signature of an image with this digest (hex), and the field that is:
    `signing_certificate` or `signature`; empty when nothing is."""
    field = "signing_certificate"
    try:
        key = _signer(certificate, now)
        field = "signature"
        _check_form(signature, key)
        _verify(bytes.fromhex(sha256), _raw(signature), key)
    except _Bad as problem:
        return str(problem), field
    return "", ""


def _verify(digest: bytes, signature: bytes, key: Any) -> None:
    """Raise _Bad unless it is one by this key over a file of this SHA-256 (WP L01.FR.12: ECDSA, or
    RSA with PSS; PKCS #1 v1.5, which manufacturers also use, is taken too)."""
    hashed = Prehashed(SHA256())
    if isinstance(key, ec.EllipticCurvePublicKey):
        ways: tuple[tuple[Any, ...], ...] = ((ec.ECDSA(hashed),),)
    else:
        pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO)
        ways = ((pss, hashed), (padding.PKCS1v15(), hashed))
    for way in ways:
        try:
            key.verify(signature, digest, *way)
        except (InvalidSignature, ValueError):
            continue
        return
    raise _Bad("It is not one of this file by the key of the certificate.")


def _signer(pem: str, now: datetime) -> Any:
    """The public key of a signing certificate, first of its chain. Raises _Bad."""
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise _Bad("It is no X.509 certificate in PEM.") from None
    authorities = _authorities()
    leaf = chain[0]
    _check_validity(leaf, now)
    if authorities:
        _check_issued(chain, authorities, now)
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        strong = key.key_size >= RSA_BITS
    else:
        strong = isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= EC_BITS
    if not strong:
        raise _Bad(f"Its key must be RSA of {RSA_BITS} bits or more, or on a curve of {EC_BITS}.")
    return key


def _authorities() -> list[x509.Certificate]:
    """Those of CSMS_FIRMWARE_CA, as they are now; none when it is not set. Raises _Bad."""
    path = settings().firmware_ca
    if not path:
        return []
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError):
        raise _Bad("The authorities of CSMS_FIRMWARE_CA cannot be read.") from None


def _check_validity(certificate: x509.Certificate, now: datetime) -> None:
    if now > certificate.not_valid_after_utc:
        raise _Bad(f"It has expired on {certificate.not_valid_after_utc:%Y-%m-%d}.")
    if now < certificate.not_valid_before_utc:
        raise _Bad(f"It is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on.")


def _check_issued(
    chain: list[x509.Certificate], authorities: list[x509.Certificate], now: datetime
) -> None:
    """Follow the issuers to one of the authorities, through the chain that was given."""
    certificate = chain[0]
    for _ in range(LONGEST_CHAIN):
        if certificate in authorities:
            return
        issuer = next((c for c in (*authorities, *chain) if _issued(certificate, c)), None)
        if issuer is None:
            break
        _check_validity(issuer, now)
        certificate = issuer
    raise _Bad("It is not issued by an authority of CSMS_FIRMWARE_CA.")


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether a certificate bears the signature of this authority."""
    if issuer == certificate or not _is_authority(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _check_form(signature: str, key: Any) -> None:
    """Raise _Bad unless this can be a signature by this key."""
    raw = _raw(signature)
    if not raw:
        raise _Bad("It is not base64.")
    if isinstance(key, rsa.RSAPublicKey) and len(raw) != (key.key_size + 7) // 8:
        raise _Bad(f"It has {len(raw)} bytes, which none by this key has.")


def _raw(signature: str) -> bytes:
    """The bytes of a signature in base64; none when it is no base64."""
    try:
        return base64.b64decode("".join(signature.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
