"""Just enough of X.509 to name certificates and to ask for one, without a library.

Certificates are read far enough to name them; signing requests (PKCS #10) are made with a key on
the curve P-256 that is forgotten at once.
"""

import base64
import binascii
import hashlib
import random
import ssl
from typing import NamedTuple

from csms.ocpp.security import CertificateHashData, HashAlgorithm

_SEQUENCE, _SET, _INTEGER, _BITS, _OID, _UTF8 = 0x30, 0x31, 0x02, 0x03, 0x06, 0x0C


class _Element(NamedTuple):
    tag: int
    content: bytes
    whole: bytes
    rest: bytes


def _read(der: bytes) -> _Element:
    """The first DER element, and what follows it; raises ValueError."""
    if len(der) < 2:
        raise ValueError("The certificate ends too early.")
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start])
    end = start + length
    if end > len(der):
        raise ValueError("The certificate ends too early.")
    return _Element(der[0], der[start:end], der[:end], der[end:])


def name_of(pem: str) -> CertificateHashData:
    """How OCPP names a root certificate, which is its own issuer; raises ValueError."""
    certificate = _read(ssl.PEM_cert_to_DER_cert(pem.strip()))
    body = _read(certificate.content)
    element = _read(body.content)
    if element.tag == 0xA0:  # the version
        element = _read(element.rest)
    serial = element
    algorithm = _read(serial.rest)
    issuer = _read(algorithm.rest)
    validity = _read(issuer.rest)
    subject = _read(validity.rest)
    key = _read(subject.rest)
    key_bits = _read(_read(key.content).rest)
    if serial.tag != _INTEGER or key_bits.tag != _BITS:
        raise ValueError("This is no certificate.")
    return CertificateHashData(
        hash_algorithm=HashAlgorithm.SHA256,
        issuer_name_hash=hashlib.sha256(issuer.whole).hexdigest(),
        issuer_key_hash=hashlib.sha256(key_bits.content[1:]).hexdigest(),
        serial_number=f"{int.from_bytes(serial.content):x}",
    )


def readable(pem: str) -> bool:
    """Whether this is a certificate (the first of a chain)."""
    first = pem.strip().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
    try:
        name_of(first)
    except (ValueError, binascii.Error):
        return False
    return True


# --- a signing request (RFC 2986), signed with ECDSA on P-256 (SEC 1, FIPS 186-4)

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int]


def _add(left: _Point | None, right: _Point) -> _Point | None:
    if left is None:
        return right
    if left == right:
        slope = (3 * left[0] * left[0] - 3) * pow(2 * left[1], -1, _P) % _P
    elif left[0] == right[0]:
        return None
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, _P) % _P
    x = (slope * slope - left[0] - right[0]) % _P
    return x, (slope * (left[0] - x) - left[1]) % _P


def _times(factor: int) -> _Point:
    """The base point times a factor."""
    result: _Point | None = None
    power: _Point | None = _G
    while factor and power is not None:
        if factor & 1:
            result = _add(result, power)
        power = _add(power, power)
        factor >>= 1
    assert result is not None  # the factor is below the order
    return result


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


_EC_PUBLIC_KEY = _der(_OID, bytes.fromhex("2a8648ce3d0201"))
_P256 = _der(_OID, bytes.fromhex("2a8648ce3d030107"))
_ECDSA_SHA256 = _der(_SEQUENCE, _der(_OID, bytes.fromhex("2a8648ce3d040302")))
_ORGANIZATION = _der(_OID, bytes.fromhex("55040a"))
_COMMON_NAME = _der(_OID, bytes.fromhex("550403"))


def signing_request(common_name: str, organization: str, source: random.Random) -> str:
    """A PKCS #10 request in PEM; not for keys of any worth: `source` is no secret."""
    private = source.randrange(1, _N)
    public = _times(private)
    point = b"\x04" + public[0].to_bytes(32) + public[1].to_bytes(32)
    key = _der(_SEQUENCE, _der(_SEQUENCE, _EC_PUBLIC_KEY, _P256), _der(_BITS, b"\0", point))
    parts = ((_ORGANIZATION, organization), (_COMMON_NAME, common_name))
    subject = _der(
        _SEQUENCE,
        *(
            _der(_SET, _der(_SEQUENCE, oid, _der(_UTF8, text.encode())))
            for oid, text in parts
            if text
        ),
    )
    body = _der(_SEQUENCE, _integer(0), subject, key, _der(0xA0))
    digest = int.from_bytes(hashlib.sha256(body).digest())
    nonce = source.randrange(1, _N)
    r = _times(nonce)[0] % _N
    s = pow(nonce, -1, _N) * (digest + r * private) % _N
    signature = _der(_SEQUENCE, _integer(r), _integer(s))
    request = _der(_SEQUENCE, body, _ECDSA_SHA256, _der(_BITS, b"\0", signature))
    text = base64.encodebytes(request).decode().replace("\n", "")
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"
