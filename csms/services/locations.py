"""Where charge points find our files: base URLs by scheme, signed and expiring locations.

::

    https://host/files/firmware/IMAGE.CHARGE-POINT.EXPIRES.SCHEME/SIGNATURE/NAME     fetched there
    ftp://IMAGE.CHARGE-POINT.EXPIRES.SCHEME:SIGNATURE@host:2121/NAME
    https://host/files/uploads/KEY/SECRET/                                       delivered there
    ftp://KEY:SECRET@host:2121/

A firmware location needs no row: who it is for and until when is what is signed. Signatures and
secrets stand in URLs at places that csms/services/secrets.py masks wherever they are stored.
"""

import base64
import hmac
import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.utils.crypto import salted_hmac

from csms.conf import Settings, settings
from csms.conf.files import SCHEMES
from csms.models import ChargePoint, ConfigurationKey
from csms.models.charge_points import SecurityProfile, Transport
from csms.services.commands import CommandRefused

PROTOCOLS = "supportedfiletransferprotocols"
SECURITY_KEYS = frozenset({"securityprofile", "certificatestoremaxlength", "additionalrootcheck"})
"""Configuration keys of the security extension: who has one knows its operations."""
_PURPOSE = "csms: location of firmware"


class Unreachable(CommandRefused):
    """No location can be given to this charge point; the message says why."""


# --------------------------------------------------------------------------- base URLs


def base_urls(config: Settings | None = None) -> dict[str, str]:
    """Base URL by scheme, the best first, of what is served: `https` → `https://host:8443`."""
    config = config or settings()
    if config.file_urls:
        found = {urlsplit(url).scheme: url for url in config.file_urls}
        return {scheme: found[scheme] for scheme in SCHEMES if scheme in found}
    host = config.public_host or ("localhost" if config.demo else "")
    if not host:
        return {}
    tls = bool(config.tls_certificates)
    served = {
        "https": (tls, config.https_port),
        "ftps": (tls and config.ftp, config.ftp_port),
        "http": (True, config.http_port),
        "ftp": (config.ftp, config.ftp_port),
    }
    return {
        scheme: f"{scheme}://{_bracketed(host)}:{port}"
        for scheme, (on, port) in served.items()
        if on and port
    }


def _bracketed(host: str) -> str:
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


# ------------------------------------------------------------------ what charge points know


class TransferFacts(NamedTuple):
    """What a charge point told of transfers."""

    schemes: frozenset[str] = frozenset()
    """SupportedFileTransferProtocols, in lower case; empty: not known."""
    security: bool = False
    """It has configuration keys of the security extension."""


def transfer_facts(charge_points: Iterable[ChargePoint]) -> dict[int, TransferFacts]:
    """What is known of each charge point (primary key) that told something."""
    rows = ConfigurationKey.objects.filter(
        charge_point__in=list(charge_points), folded__in=[PROTOCOLS, *SECURITY_KEYS], known=True
    ).order_by()
    facts: dict[int, TransferFacts] = {}
    for pk, folded, value in rows.values_list("charge_point_id", "folded", "value"):
        known = facts.get(pk, TransferFacts())
        if folded == PROTOCOLS:
            names = (name.strip().casefold() for name in value.split(","))
            known = known._replace(schemes=frozenset(filter(None, names)))
        else:
            known = known._replace(security=True)
        facts[pk] = known
    return facts


def speaks_security(charge_point: ChargePoint, facts: TransferFacts) -> bool:
    """Whether a charge point is known to have the security extension."""
    if charge_point.transport != Transport.JSON:
        return False
    return facts.security or charge_point.security_profile == SecurityProfile.CLIENT_CERTIFICATE


def scheme_for(charge_point: ChargePoint, facts: TransferFacts, wanted: str = "") -> str:
    """The scheme of a location for a charge point; `wanted` is somebody's choice. Raises
    Unreachable.

    N40: that of SupportedFileTransferProtocols, where these are known. Else HTTP for who speaks
    JSON, which is HTTP too; FTP, where it is served, for who speaks SOAP: §4.4 and §4.5 name it.
    """
    served = base_urls()
    if not served:
        raise Unreachable(
            "It is not known under which address charge points reach our files: set "
            "CSMS_PUBLIC_HOST or CSMS_FILE_URLS."
        )
    if wanted:
        if wanted not in served:
            raise Unreachable(f"Files are not served over {wanted.upper()}, only {_said(served)}.")
        return wanted
    if facts.schemes:
        for scheme in served:
            if scheme in facts.schemes:
                return scheme
        raise Unreachable(
            f"Its SupportedFileTransferProtocols are {_said(sorted(facts.schemes))}; files are "
            f"served over {_said(served)}."
        )
    if charge_point.transport == Transport.SOAP and "ftp" in served:
        return "ftp"
    secure = charge_point.security_profile >= SecurityProfile.TLS
    usual = ("https", "http", "ftp", "ftps") if secure else ("http", "https", "ftp", "ftps")
    return next(scheme for scheme in usual if scheme in served)


def _said(schemes: Iterable[str]) -> str:
    return ", ".join(scheme.upper() for scheme in schemes)


# --------------------------------------------------------------------------- locations


class Grant(NamedTuple):
    """What a signed location allows: this image, to this charge point, until then."""

    image: int
    charge_point: int
    expires: int
    """Unix time (s)."""
    scheme: str

    @property
    def text(self) -> str:
        return f"{self.image}.{self.charge_point}.{self.expires}.{self.scheme}"


def _signature(text: str) -> str:
    """128 bits, as 22 characters: some charge points keep URLs in short buffers."""
    secret = django_settings.SECRET_KEY
    digest = salted_hmac(_PURPOSE, text, secret=secret, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def firmware_location(
    *, scheme: str, image: int, charge_point: int, name: str, expires_at: datetime
) -> str:
    """Where one charge point fetches one image until then."""
    grant = Grant(image, charge_point, int(expires_at.timestamp()), scheme)
    return _url(scheme, "firmware", grant.text, _signature(grant.text)) + name


def upload_location(*, scheme: str, key: str, secret: str) -> str:
    """The directory to which one file is delivered (§5.9)."""
    return _url(scheme, "uploads", key, secret)


def _url(scheme: str, kind: str, name: str, secret: str) -> str:
    base = base_urls()[scheme]
    if scheme in ("http", "https"):
        return f"{base}/files/{kind}/{name}/{secret}/"
    return f"{scheme}://{name}:{secret}@{urlsplit(base).netloc}/"


def grant_of(text: str, signature: str, *, now: datetime) -> Grant | None:
    """What a location allows; None: nothing (any more)."""
    parts = text.split(".")
    if len(parts) != 4 or not hmac.compare_digest(_signature(text).encode(), signature.encode()):
        return None
    grant = Grant(int(parts[0]), int(parts[1]), int(parts[2]), parts[3])
    return grant if now < datetime.fromtimestamp(grant.expires, UTC) else None
