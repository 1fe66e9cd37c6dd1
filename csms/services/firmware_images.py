"""Firmware images: kept, served to those who have a location, announced to charge points."""

import hashlib
import logging
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.utils import timezone

from csms.conf import settings
from csms.models import ChargePoint, FirmwareImage
from csms.models.roll_outs import Method
from csms.ocpp.base import Request
from csms.ocpp.firmware_management import UpdateFirmware
from csms.ocpp.security import Firmware, SignedUpdateFirmware
from csms.services.commands import CommandRefused, operation_obstacle
from csms.services.firmware_signatures import image_problem
from csms.services.locations import (
    TransferFacts,
    firmware_location,
    grant_of,
    scheme_for,
    speaks_security,
)
from csms.services.storage import MIB, PIECE, deleted, keep, opened, safe_name

logger = logging.getLogger(__name__)

LARGEST_ID = 2**31


class ImageRefused(ValueError):
    """The image cannot be kept; `field` says where the problem is, if it is at one field."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ImageUsed(ValueError):
    """It belongs to a roll-out, whose record needs it."""


# --------------------------------------------------------------------------- keeping them


def image_add(
    *,
    content: "File[bytes]",
    version: str,
    vendor: str = "",
    model: str = "",
    notes: str = "",
    signing_certificate: str = "",
    signature: str = "",
    by: str = "",
) -> FirmwareImage:
    """Keep an image. Raises ImageRefused."""
    image = FirmwareImage(
        vendor=vendor.strip(),
        model=model.strip(),
        version=version.strip(),
        notes=notes,
        signing_certificate=signing_certificate.strip(),
        signature="".join(signature.split()),
        created_by=by[:150],
    )
    if not image.version:
        raise ImageRefused("An image has a version.", "version")
    image.size, image.sha256 = _measured(content)
    image.file_name = safe_name(content.name or "", "firmware.bin")
    _check_signature(image)
    content.seek(0)
    if _taken(image):
        raise ImageRefused(_TAKEN, "version")
    try:
        keep(image.file, content)
    except OSError as error:
        logger.error("A firmware image cannot be kept: %s", error)
        raise ImageRefused("It cannot be kept now: try again later.", "file") from None
    try:
        with transaction.atomic():
            image.save()
    except IntegrityError:
        deleted(image.file)
        raise ImageRefused(_TAKEN, "version") from None
    return image


_TAKEN = "There is an image of this vendor, model and version."


def _taken(image: FirmwareImage) -> bool:
    same = FirmwareImage.objects.filter(
        vendor=image.vendor, model=image.model, version=image.version
    )
    return same.exists()


def _measured(content: "File[bytes]") -> tuple[int, str]:
    """Size (bytes) and SHA-256 of a file. Raises ImageRefused."""
    most = settings().firmware_max_mb * MIB
    digest, size = hashlib.sha256(), 0
    for piece in content.chunks(PIECE):
        size += len(piece)
        if size > most:
            raise ImageRefused(
                f"An image has at most {settings().firmware_max_mb:,} MiB (CSMS_FIRMWARE_MAX_MB).",
                "file",
            )
        digest.update(piece)
    if not size:
        raise ImageRefused("The file is empty.", "file")
    return size, digest.hexdigest()


def _check_signature(image: FirmwareImage) -> None:
    if not image.signature and not image.signing_certificate:
        return
    if not image.signature:
        raise ImageRefused("Of a signed image the signature is needed too.", "signature")
    problem, field = image_problem(
        sha256=image.sha256,
        certificate=image.signing_certificate,
        signature=image.signature,
        now=timezone.now(),
    )
    if problem:
        raise ImageRefused(problem, field)


def image_change(
    *,
    image: FirmwareImage,
    notes: str | None = None,
    signing_certificate: str | None = None,
    signature: str | None = None,
) -> FirmwareImage:
    """Change what may change of an image: None stays. Raises ImageRefused."""
    if notes is not None:
        image.notes = notes
    if signing_certificate is not None:
        image.signing_certificate = signing_certificate.strip()
    if signature is not None:
        image.signature = "".join(signature.split())
    if signing_certificate is not None or signature is not None:
        _check_signature(image)
    image.save(update_fields=["notes", "signing_certificate", "signature"])
    return image


def image_delete(*, image: FirmwareImage) -> None:
    """Forget an image and its file. Raises ImageUsed."""
    with transaction.atomic():
        if image.roll_outs.exists():
            raise ImageUsed("A roll-out of it is kept: the image is part of its record.")
        image.delete()
        transaction.on_commit(lambda: deleted(image.file), robust=True)


# ------------------------------------------------------------------------------- serving


class Served(NamedTuple):
    """An image that may be fetched."""

    name: str
    size: int
    sha256: str
    created_at: datetime
    content: Any
    """Open for reading; the caller closes it."""


def image_served(
    *, text: str, signature: str, now: datetime, schemes: frozenset[str]
) -> Served | None:
    """What a location names, opened; None when it is wrong, has expired, is one of another scheme,
    or its charge point or image is gone."""
    grant = grant_of(text, signature, now=now)
    if grant is None or grant.scheme not in schemes:
        return None
    image = FirmwareImage.objects.filter(pk=grant.image).first()
    if image is None or not ChargePoint.objects.filter(pk=grant.charge_point).exists():
        return None
    content = opened(image.file)
    return Served(image.file_name, image.size, image.sha256, image.created_at, content)


# ---------------------------------------------------------------------------- announcing


def request_type(
    image: FirmwareImage, charge_point: ChargePoint, facts: TransferFacts, method: str = ""
) -> type[UpdateFirmware | SignedUpdateFirmware]:
    """The operation that announces an image to a charge point. Raises CommandRefused.

    WP L01: signed where the image is and the charge point has the security extension (JSON only).
    """
    signed = bool(image.signature)
    if method == Method.SIGNED and not signed:
        raise CommandRefused("The image has no signature: SignedUpdateFirmware cannot be sent.")
    wanted: type[UpdateFirmware | SignedUpdateFirmware] = UpdateFirmware
    if method == Method.SIGNED or (
        method != Method.PLAIN and signed and speaks_security(charge_point, facts)
    ):
        wanted = SignedUpdateFirmware
    reason = operation_obstacle(charge_point, wanted)
    if reason:
        raise CommandRefused(reason)
    return wanted


def image_obstacle(image: FirmwareImage, charge_point: ChargePoint) -> str:
    """Why an image is not for this charge point; empty when it is."""
    for field in ("vendor", "model"):
        wanted, told = getattr(image, field), getattr(charge_point, field)
        if wanted and not told:
            return f"Its {field} is not known yet, and the image is for {wanted} only."
        if wanted and wanted.casefold() != told.casefold():
            return f"Its {field} is {told}, and the image is for {wanted} only."
    if charge_point.firmware_version == image.version:
        return f"It runs {image.version} already."
    return ""


def firmware_request(
    *,
    image: FirmwareImage,
    charge_point: ChargePoint,
    facts: TransferFacts,
    now: datetime,
    waits: timedelta,
    not_before: datetime | None = None,
    scheme: str = "",
    method: str = "",
    retries: int = 0,
    retry_interval: int = 0,
    request_id: int = 0,
) -> Request[Any]:
    """The request that lets a charge point fetch and install an image. Raises CommandRefused.

    N40: its location works until the charge point may have begun (`retrieveDate`, or when the
    command has waited for as long as it may), has made all its attempts, and some hours more.
    """
    wanted = request_type(image, charge_point, facts, method)
    begins = max(now, not_before or now).replace(microsecond=0)
    latest = max(now + waits, begins) + timedelta(seconds=retries * retry_interval)
    scheme = scheme_for(charge_point, facts, scheme)
    location = firmware_location(
        scheme=scheme,
        image=image.pk,
        charge_point=charge_point.pk,
        name=image.file_name,
        expires_at=latest + timedelta(hours=settings().firmware_url_hours),
    )
    if wanted is UpdateFirmware:
        return UpdateFirmware(
            location=location,
            retrieve_date=begins,
            retries=retries,
            retry_interval=retry_interval,
        )
    firmware = Firmware(
        location=location,
        retrieve_date_time=begins,
        signing_certificate=image.signing_certificate,
        signature=image.signature,
    )
    return SignedUpdateFirmware(
        firmware=firmware,
        request_id=request_id % LARGEST_ID,
        retries=retries,
        retry_interval=retry_interval,
    )
