"""Firmware images."""

from typing import Any

from django.http import HttpRequest
from ninja import File, Form, Query, Router, Schema, Status
from ninja.files import UploadedFile
from pydantic import ConfigDict, Field

from csms.api.access import name_of, require
from csms.api.errors import Refusal
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.wire import Moment
from csms.attachments import attachment
from csms.models import FirmwareImage
from csms.services.firmware_images import (
    ImageRefused,
    ImageUsed,
    image_add,
    image_change,
    image_delete,
)

router = Router(tags=["Firmware"])

AS_FILE = {
    "responses": {
        200: {
            "description": "The file.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    }
}
"""What OpenAPI says of an answer that is a file."""


class ImageOut(Schema):
    id: int
    vendor: str = Field(description="As charge points tell it; empty: any.")
    model: str = Field(description="As charge points tell it; empty: any.")
    version: str
    notes: str
    file_name: str = Field(description="What charge points fetch it as.")
    size: int = Field(description="Bytes.")
    sha256: str
    signed: bool
    created_by: str
    created_at: Moment

    @staticmethod
    def resolve_signed(obj: FirmwareImage) -> bool:
        return bool(obj.signature)


class ImageIn(Schema):
    """What goes in a form beside the file."""

    model_config = ConfigDict(extra="forbid")

    version: str = Field(min_length=1, max_length=100)
    vendor: str = Field("", max_length=255)
    model: str = Field("", max_length=255)
    notes: str = Field("", max_length=10_000)
    signing_certificate: str = Field("", max_length=5500, description="PEM.")
    signature: str = Field("", max_length=800, description="Of the file; base64.")


class ImageChange(Schema):
    """What is left out stays as it is; the file never changes."""

    model_config = ConfigDict(extra="forbid")

    notes: str | None = Field(None, max_length=10_000)
    signing_certificate: str | None = Field(None, max_length=5500)
    signature: str | None = Field(None, max_length=800)


class ImageFilter(Listing):
    vendor: str | None = None
    model: str | None = None
    version: str | None = None


def image_of(pk: int) -> FirmwareImage:
    """The image of a path, or 404."""
    return found_or_404(
        lambda: FirmwareImage.objects.get(pk=pk), f"There is no firmware image {pk}.", FirmwareImage
    )


def _refused(refusal: ImageRefused) -> Refusal:
    return Refusal(422, str(refusal), refusal.field or None)


@router.get("/firmware-images", response=Page[ImageOut], summary="List firmware images")
def firmware_image_list(request: HttpRequest, filters: Query[ImageFilter]) -> Any:
    require(request, "view_firmwareimage")
    rows = FirmwareImage.objects.filter(**filters.given())
    return page_of(request, rows, filters)


@router.post(
    "/firmware-images",
    response={201: ImageOut},
    summary="Add a firmware image",
    description="As multipart/form-data. Not repeatable with Idempotency-Key: the same vendor, "
    "model and version is refused anyway.",
)
def firmware_image_create(
    request: HttpRequest,
    form: Form[ImageIn],
    file: UploadedFile = File(...),  # type: ignore[type-arg]  # noqa: B008
) -> Any:
    require(request, "add_firmwareimage")
    texts = form.model_dump()
    try:
        row = image_add(content=file, by=name_of(request), **texts)
    except ImageRefused as refusal:
        raise _refused(refusal) from None
    return Status(201, row)


@router.get("/firmware-images/{int:image_id}", response=ImageOut, summary="One firmware image")
def firmware_image_detail(request: HttpRequest, image_id: int) -> Any:
    require(request, "view_firmwareimage")
    return image_of(image_id)


@router.get(
    "/firmware-images/{int:image_id}/file",
    response={200: bytes},
    openapi_extra=AS_FILE,
    summary="The file of a firmware image",
)
def firmware_image_file(request: HttpRequest, image_id: int) -> Any:
    require(request, "view_firmwareimage")
    image = image_of(image_id)
    try:
        return attachment(image.file, name=image.file_name, size=image.size)
    except OSError:
        raise Refusal(404, "The file is not in the storage any more.") from None


@router.patch(
    "/firmware-images/{int:image_id}", response=ImageOut, summary="Change its notes or signature"
)
def firmware_image_change(request: HttpRequest, image_id: int, body: ImageChange) -> Any:
    require(request, "change_firmwareimage")
    row = image_of(image_id)
    try:
        return image_change(image=row, **body.model_dump(exclude_none=True))
    except ImageRefused as refusal:
        raise _refused(refusal) from None


@router.delete(
    "/firmware-images/{int:image_id}", response={204: None}, summary="Delete one never rolled out"
)
def firmware_image_delete(request: HttpRequest, image_id: int) -> Any:
    require(request, "delete_firmwareimage")
    try:
        image_delete(image=image_of(image_id))
    except ImageUsed as refusal:
        raise Refusal(409, str(refusal)) from None
    return Status(204, None)
