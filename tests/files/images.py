"""Images and what commands say of them, without a running system."""

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256

from csms.models import FirmwareImage
from tests.files.site import CONTENT, image, sent_location
from tests.tls.certificates import Authority

__all__ = ["image", "location_of", "signature_of", "signed_image"]

location_of = sent_location


def signature_of(key: Any, content: bytes = CONTENT) -> str:
    """As manufacturers sign: ECDSA, or RSA with PSS."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        raw = key.sign(content, ec.ECDSA(SHA256()))
    else:
        pss = padding.PSS(padding.MGF1(SHA256()), 32)
        raw = key.sign(content, pss, SHA256())
    return base64.b64encode(raw).decode()


def signed_image(kind: str = "ec", **columns: Any) -> FirmwareImage:
    issued = Authority("Manufacturer").issue("Signer", kind=kind)
    return image(
        signing_certificate=issued.pem.decode(), signature=signature_of(issued.key), **columns
    )
