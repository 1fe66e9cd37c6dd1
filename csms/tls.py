"""TLS that this process serves itself: security profiles 2 and 3 of the OCPP 1.6 security
whitepaper.

`Certificates` holds the context in force and follows its files: each accepted socket gets the
context of that moment, so that a renewal drops nobody. docs/tls.md is for operators.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from csms.conf import Settings, settings

logger = logging.getLogger("csms.tls")

SUITES = (
    # A00.FR.317: "The Central System SHALL support at least the following four cipher suites":
    # ECDHE-ECDSA and static RSA. We add ECDHE-RSA, for forward secrecy with the RSA certificate.
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""Suites of TLS 1.2, ours first. Python's own list has no static RSA."""

SECURITY_LEVEL = 2
"""OpenSSL's: RSA and DH of at least 2,048 bits, curves of 224, no SHA-1. From 3 on static RSA is
forbidden."""

LOOK_SECONDS = 5.0
"""Seconds between two looks at the files."""

EXPIRY_NOTICE = timedelta(days=30)
"""How long before its end a certificate is reported."""

LIST_NOTICE = timedelta(days=2)
"""The same of a revocation list, which is renewed more often."""


NO_PAIR = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""OpenSSL's reasons when a key is another one's, of the same or of another kind."""


class TlsProblem(Exception):
    """A file that TLS needs cannot be used; the message is one line that says which and why."""


class Expiring(NamedTuple):
    """A certificate or revocation list that ends soon, or has ended."""

    setting: str
    """The setting that names its file."""
    path: str
    name: str
    """Its subject; of a revocation list its issuer."""
    not_after: datetime

    def line(self, now: datetime) -> str:
        """One sentence for logs and pages."""
        ended = self.not_after <= now
        what = "revocation list of" if self.setting == "CSMS_TLS_CLIENT_CRL" else "certificate of"
        return (
            f"The {what} {self.name} in {self.path} "
            f"{'ended' if ended else 'ends'} on {self.not_after:%Y-%m-%d %H:%M} UTC."
        )


# ---------------------------------------------------------------------------- the context


def context_of(config: Settings) -> ssl.SSLContext:
    """A context for what the settings name. Raises TlsProblem."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A00.FR.312-314: "TLS v1.2 or above"; A00.FR.320: no TLS compression.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(":".join((f"@SECLEVEL={SECURITY_LEVEL}", *SUITES)))
    kinds: dict[type, str] = {}
    for path, key in config.tls_certificates:
        leaf = _server_certificates(path)[0]
        kind = _kind(leaf, path)
        if kind in kinds:
            raise TlsProblem(
                f"CSMS_TLS_CERTIFICATES: {kinds[kind]} and {path} have keys of the same kind; "
                "one ECDSA and one RSA certificate can be served."
            )
        kinds[kind] = path
        _load_pair(context, path, key)
    if config.tls_client_ca:
        _ask_clients(context, config)
    return context


def _server_certificates(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content("CSMS_TLS_CERTIFICATES", path))
    except ValueError:
        raise TlsProblem(f"CSMS_TLS_CERTIFICATES: {path} holds no PEM certificate.") from None


def _kind(certificate: x509.Certificate, path: str) -> type:
    key = certificate.public_key()
    for kind in (EllipticCurvePublicKey, RSAPublicKey):
        if isinstance(key, kind):
            return kind
    raise TlsProblem(f"CSMS_TLS_CERTIFICATES: {path} is neither for an ECDSA nor for an RSA key.")


def _load_pair(context: ssl.SSLContext, path: str, key: str) -> None:
    _content("CSMS_TLS_CERTIFICATES", key)
    try:
        # Without a password OpenSSL would ask on the terminal for the one of an encrypted key.
        context.load_cert_chain(path, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        if getattr(error, "reason", "") in NO_PAIR:
            why = f"the key in {key} is not the one of this certificate"
        elif b"ENCRYPTED" in _content("CSMS_TLS_CERTIFICATES", key):
            why = f"the key in {key} is encrypted; it must not be"
        else:
            why = f"{key}: {_reason(error)}"
        raise TlsProblem(f"CSMS_TLS_CERTIFICATES: {path} cannot be served: {why}.") from None


def _ask_clients(context: ssl.SSLContext, config: Settings) -> None:
    """Ask for client certificates, verify the path of those that are shown (A00.FR.403)."""
    context.verify_mode = ssl.CERT_OPTIONAL
    _trust(context, "CSMS_TLS_CLIENT_CA", config.tls_client_ca)
    # A resumed session would not be verified again. The stateful cache of TLS 1.2 that this
    # leaves ends with the context, and so with each new revocation list.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if config.tls_client_crl:
        # A00.FR.704: revoked certificates are refused.
        _trust(context, "CSMS_TLS_CLIENT_CRL", config.tls_client_crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _trust(context: ssl.SSLContext, setting: str, path: str) -> None:
    _content(setting, path)
    before = context.cert_store_stats()
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError) as error:
        raise TlsProblem(f"{setting}: {path} cannot be used: {_reason(error)}.") from None
    kind = "crl" if setting == "CSMS_TLS_CLIENT_CRL" else "x509_ca"
    if context.cert_store_stats()[kind] == before[kind]:
        what = "revocation list" if kind == "crl" else "certificate of an authority"
        raise TlsProblem(f"{setting}: {path} holds no {what}.")


def _content(setting: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TlsProblem(f"{setting}: {path} cannot be read: {error.strerror}.") from None


def _reason(error: Exception) -> str:
    """OpenSSL's reason in plain text: `NO_START_LINE` is `no start line`."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason).replace("_", " ").lower() if reason else "it is no PEM file"


# ------------------------------------------------------------------------- following files


def _files(config: Settings) -> Iterator[str]:
    for pair in config.tls_certificates:
        yield from pair
    yield from filter(None, (config.tls_client_ca, config.tls_client_crl))


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class Certificates:
    """The context in force. Raises TlsProblem at its making."""

    def __init__(self, config: Settings | None = None) -> None:
        self._config = config or settings()
        self._stamps = self._look()
        self._context = context_of(self._config)
        self._lists = _lists(self._config)
        self._reported: datetime | None = None

    def current(self) -> ssl.SSLContext:
        """The context for a connection that begins now."""
        return self._context

    def revoked(self, certificate: bytes) -> bool:
        """Whether a client certificate (DER) is in the revocation lists in force."""
        known = x509.load_der_x509_certificate(certificate)
        return any(
            revoked.issuer == known.issuer
            and revoked.get_revoked_certificate_by_serial_number(known.serial_number) is not None
            for revoked in self._lists
        )

    def refresh(self) -> bool:
        """Take up changed files. What cannot be used is logged once, and the old stays."""
        stamps = self._look()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            context = context_of(self._config)
        except TlsProblem as problem:
            logger.error("%s What was loaded before stays in use.", problem)
            return False
        self._lists, self._context = _lists(self._config), context
        logger.info("Changed TLS files were taken up.")
        self._reported = None
        return True

    def report(self, now: datetime) -> None:
        """Log what ends soon: once a day, and after each change."""
        if self._reported is not None and now - self._reported < timedelta(days=1):
            return
        self._reported = now
        for expiring in certificates_expiring(now=now, config=self._config):
            logger.warning("%s", expiring.line(now))

    async def watch(self) -> None:
        """Follow the files for ever."""
        while True:
            await asyncio.to_thread(self.report, datetime.now(UTC))
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.refresh)

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in _files(self._config)]


# ------------------------------------------------------------------------------ their ends


def certificates_expiring(
    *,
    now: datetime,
    within: timedelta = EXPIRY_NOTICE,
    config: Settings | None = None,
) -> list[Expiring]:
    """What of our TLS files ends within that time (a list: two days) or has ended, soonest first.

    Files that cannot be read are left out: what is in force was loaded before.
    """
    soon = []
    for end in _ends(config or settings()):
        is_list = end.setting == "CSMS_TLS_CLIENT_CRL"
        if end.not_after <= now + (min(within, LIST_NOTICE) if is_list else within):
            soon.append(end)
    return sorted(soon, key=lambda end: end.not_after)


def _ends(config: Settings) -> Iterator[Expiring]:
    named = [("CSMS_TLS_CERTIFICATES", path) for path, _ in config.tls_certificates]
    if config.tls_client_ca:
        named.append(("CSMS_TLS_CLIENT_CA", config.tls_client_ca))
    for setting, path in named:
        for certificate in _readable(path):
            name = certificate.subject.rfc4514_string()
            yield Expiring(setting, path, name, certificate.not_valid_after_utc)
    if config.tls_client_crl:
        for revoked in _revocation_lists(config.tls_client_crl):
            if revoked.next_update_utc is not None:
                name = revoked.issuer.rfc4514_string()
                yield Expiring(
                    "CSMS_TLS_CLIENT_CRL", config.tls_client_crl, name, revoked.next_update_utc
                )


def _readable(path: str) -> Iterable[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError):
        return ()


def _lists(config: Settings) -> list[x509.CertificateRevocationList]:
    return list(_revocation_lists(config.tls_client_crl)) if config.tls_client_crl else []


_END_OF_LIST = b"-----END X509 CRL-----"


def _revocation_lists(path: str) -> Iterator[x509.CertificateRevocationList]:
    try:
        parts = Path(path).read_bytes().split(_END_OF_LIST)[:-1]
        for part in parts:
            yield x509.load_pem_x509_crl(part + _END_OF_LIST + b"\n")
    except (OSError, ValueError):
        return
