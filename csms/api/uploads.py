"""Diagnostics and logs: asked for, listed, downloaded."""

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from csms.api.access import name_of, require
from csms.api.charge_points import charge_point_of, charge_point_pk
from csms.api.commands import LONGEST_LIFE
from csms.api.errors import Refusal
from csms.api.firmware import AS_FILE
from csms.api.pages import Listing, Page, found_or_404, page_of
from csms.api.repeats import DOCUMENTED, idempotent
from csms.api.wire import Moment
from csms.attachments import attachment
from csms.models import Upload
from csms.models.commands import permission_of
from csms.models.uploads import UploadKind, UploadState
from csms.services.commands import EXPIRES_IN
from csms.services.uploads import upload_request, uploads_told

router = Router(tags=["Diagnostics"])

Kind = Literal["diagnostics", "DiagnosticsLog", "SecurityLog"]
State = Literal["waiting", "receiving", "received", "expired", "ended"]


class UploadOut(Schema):
    id: int
    charge_point: str = Field(alias="charge_point.identity")
    kind: Kind
    state: State
    reason: str
    reported: str = Field(description="What it reported last of it; empty: nothing.")
    scheme: str = Field(description="By which protocol it is to be delivered.")
    file_name: str = Field(description="As the charge point called it, made harmless.")
    size: int = Field(description="Bytes received so far.")
    sha256: str
    command: int | None = Field(alias="command_id")
    requested_by: str
    created_at: Moment
    expires_at: Moment = Field(description="The file must have come by then.")
    received_at: Moment | None

    @staticmethod
    def resolve_reported(obj: Any) -> str:
        return getattr(obj, "told", None) or ""


class UploadIn(Schema):
    """What a charge point is asked for."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = "diagnostics"
    oldest: Moment | None = None
    latest: Moment | None = None
    scheme: Literal["", "https", "ftps", "http", "ftp"] = Field(
        "", description="Empty: the best that both know."
    )
    retries: int = Field(3, ge=0, le=100)
    retry_interval: int = Field(60, ge=0, le=86_400, description="Seconds.")
    expires_in: int = Field(
        EXPIRES_IN, ge=1, le=LONGEST_LIFE, description="Seconds to wait for the charge point."
    )


class UploadFilter(Listing):
    charge_point: str | None = Field(None, description="Identity.")
    state: State | None = None


def operation_of(kind: str) -> str:
    """The operation that asks for such a file."""
    return "GetDiagnostics" if kind == UploadKind.DIAGNOSTICS else "GetLog"


def upload_of(pk: int) -> Upload:
    """The upload of a path, or 404."""
    return found_or_404(
        lambda: uploads_told(Upload.objects.select_related("charge_point")).get(pk=pk),
        f"There is no upload {pk}.",
        Upload,
    )


@router.post(
    "/charge-points/{identity}/uploads",
    response={202: UploadOut},
    openapi_extra=DOCUMENTED,
    summary="Ask a charge point for diagnostics or a log",
    description="With GetDiagnostics or GetLog, to a location of its own.",
)
@idempotent
def upload_create(request: HttpRequest, identity: str, body: UploadIn) -> Status[Schema]:
    require(request, permission_of(operation_of(body.kind)))
    options = body.model_dump(exclude={"kind"})
    upload = upload_request(
        charge_point=charge_point_of(identity),
        kind=UploadKind(body.kind),
        by=name_of(request),
        **options,
    )
    return Status(202, UploadOut.from_orm(upload))


@router.get("/uploads", response=Page[UploadOut], summary="List uploads, newest first")
def upload_list(request: HttpRequest, filters: Query[UploadFilter]) -> Any:
    require(request, "view_upload")
    given = filters.given()
    if "charge_point" in given:
        given["charge_point"] = charge_point_pk(given["charge_point"])
    rows = Upload.objects.filter(**given).select_related("charge_point")
    return page_of(request, uploads_told(rows), filters, newest_first=True)


@router.get("/uploads/{int:upload_id}", response=UploadOut, summary="One upload")
def upload_detail(request: HttpRequest, upload_id: int) -> Any:
    require(request, "view_upload")
    return upload_of(upload_id)


@router.get(
    "/uploads/{int:upload_id}/file",
    response={200: bytes},
    openapi_extra=AS_FILE,
    summary="The file of an upload",
)
def upload_file(request: HttpRequest, upload_id: int) -> Any:
    require(request, "view_upload")
    upload = upload_of(upload_id)
    require(request, permission_of(operation_of(upload.kind)))
    if upload.state != UploadState.RECEIVED:
        raise Refusal(409, f"There is no file: {UploadState(upload.state).label}.")
    try:
        return attachment(upload.file, name=upload.file_name, size=upload.size)
    except OSError:
        raise Refusal(404, "The file is not in the storage any more.") from None
