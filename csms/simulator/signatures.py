"""Signed firmware as a charge point judges it: the certificate before, the file after the download.

WP L01: a certificate that is not good is answered InvalidCertificate, a file that does not fit its
signature is told as InvalidSignature; a security event goes with either.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

LONGEST_CHAIN = 5


def is_trusted(pem: str, roots: Iterable[str], now: datetime) -> bool:
    """Whether a signing certificate (first of its chain) can be read, is valid and, where roots of
    manufacturers are installed (PEM), leads to one of them."""
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
        trusted = [x509.load_pem_x509_certificate(root.encode()) for root in roots]
    except ValueError:
        return False
    if not all(_is_valid(certificate, now) for certificate in chain):
        return False
    return not trusted or _leads_to(chain, trusted)


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _leads_to(chain: list[x509.Certificate], trusted: list[x509.Certificate]) -> bool:
    certificate = chain[0]
    for _ in range(LONGEST_CHAIN):
        if certificate in trusted:
            return True
        issuers = (other for other in (*trusted, *chain) if _issued(certificate, other))
        issuer = next(issuers, None)
        if issuer is None:
            return False
        certificate = issuer
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate == issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_signed(content: bytes | None, pem: str, signature: str) -> bool:
    """Whether a file is signed by the key of the certificate: ECDSA, or RSA with PSS or PKCS #1
    v1.5, over SHA-256. Of a file that was only pretended (None) the form counts."""
    try:
        raw = base64.b64decode("".join(signature.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    if content is None or not raw:
        return bool(raw)
    key = x509.load_pem_x509_certificates(pem.encode())[0].public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _fits(lambda: key.verify(raw, content, ec.ECDSA(SHA256())))
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO)
    return _fits(lambda: key.verify(raw, content, pss, SHA256())) or _fits(
        lambda: key.verify(raw, content, padding.PKCS1v15(), SHA256())
    )


def _fits(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except InvalidSignature:
        return False
    return True
