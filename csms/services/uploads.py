"""Uploads: charge points are asked for diagnostics and logs, and deliver them to us.

Each has a key and a secret of its own, in its location. With these one file can be written, once,
until it is there or the upload has expired; nothing can be read, listed, replaced or continued.
An attempt that breaks off leaves nothing, and may be made again.
"""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from msgspec import UNSET

from csms.conf import Settings, settings
from csms.models import ChargePoint, Command, TransferStatus, Upload
from csms.models.commands import CommandState, Effect
from csms.models.firmware import TransferKind, files_storage
from csms.models.uploads import OPEN_STATES, UploadKind, UploadState
from csms.ocpp.base import Opt, Request
from csms.ocpp.firmware_management import GetDiagnostics
from csms.ocpp.security import GetLog, LogParameters, LogType
from csms.services.commands import EXPIRES_IN, command_send
from csms.services.firmware_images import LARGEST_ID
from csms.services.locations import TransferFacts, scheme_for, transfer_facts, upload_location
from csms.services.observers import NOTHING
from csms.services.storage import MIB, Incoming, TooLarge, deleted, orphans_delete, safe_name

logger = logging.getLogger(__name__)

BEAT = timedelta(seconds=5)
"""How often an attempt says that it lives, and how far it is."""
LEASE = timedelta(seconds=60)
"""After which one that does not has died with its process."""
BATCH = 100
SWEEP_EVERY = timedelta(days=1)
FOLDER = "uploads"
"""Where the storage keeps them (csms/models/uploads.py)."""
_KEY = re.compile(r"[0-9a-f]{12}")


class UploadRefused(ValueError):
    """A charge point may not write this now; the message says why."""


class UploadUnknown(UploadRefused):
    """There is no upload with this key and secret."""


class UploadOver(UploadRefused):
    """The upload is done, has expired or was given up."""


class UploadBusy(UploadRefused):
    """Somebody is writing it."""


class UploadTooLarge(UploadRefused):
    """More bytes than CSMS_UPLOAD_MAX_MB."""


# --------------------------------------------------------------------------- asking for one


def upload_request(
    *,
    charge_point: ChargePoint,
    kind: UploadKind,
    oldest: datetime | None = None,
    latest: datetime | None = None,
    scheme: str = "",
    retries: int = 3,
    retry_interval: int = 60,
    by: str = "",
    expires_in: int = EXPIRES_IN,
) -> Upload:
    """Ask a charge point for diagnostics (GetDiagnostics) or a log (GetLog). Raises
    CommandRefused."""
    facts = transfer_facts([charge_point]).get(charge_point.pk, TransferFacts())
    scheme = scheme_for(charge_point, facts, scheme)
    key, secret = secrets.token_hex(6), secrets.token_hex(16)
    action = "GetDiagnostics" if kind == UploadKind.DIAGNOSTICS else "GetLog"
    lives = expires_in + retries * retry_interval + settings().effect_deadlines[action]
    with transaction.atomic():
        upload = Upload.objects.create(
            charge_point=charge_point,
            kind=kind,
            key=key,
            secret=_hashed(secret),
            scheme=scheme,
            requested_by=by[:150],
            expires_at=timezone.now() + timedelta(seconds=lives),
        )
        request = _request(upload, secret, oldest, latest, retries, retry_interval)
        upload.command = command_send(
            charge_point=charge_point, request=request, by=by, expires_in=expires_in
        )
        upload.save(update_fields=["command"])
    return upload


def _request(
    upload: Upload,
    secret: str,
    oldest: datetime | None,
    latest: datetime | None,
    retries: int,
    retry_interval: int,
) -> Request[Any]:
    location = upload_location(scheme=upload.scheme, key=upload.key, secret=secret)
    since: Opt[datetime] = UNSET if oldest is None else oldest
    until: Opt[datetime] = UNSET if latest is None else latest
    if upload.kind == UploadKind.DIAGNOSTICS:
        return GetDiagnostics(
            location=location,
            start_time=since,
            stop_time=until,
            retries=retries,
            retry_interval=retry_interval,
        )
    return GetLog(
        log=LogParameters(remote_location=location, oldest_timestamp=since, latest_timestamp=until),
        log_type=LogType(upload.kind),
        request_id=upload.pk % LARGEST_ID,
        retries=retries,
        retry_interval=retry_interval,
    )


def _hashed(secret: str) -> str:
    """A secret of 128 random bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def uploads_told(rows: "QuerySet[Upload]") -> "QuerySet[Upload]":
    """The same with `told`: what the charge point reported last since it was asked (§4.4, WP N01);
    null: nothing."""
    statuses = TransferStatus.objects.filter(
        charge_point=OuterRef("charge_point"),
        kind__in=[TransferKind.DIAGNOSTICS, TransferKind.LOG],
        received_at__gte=OuterRef("command__sent_at"),
    )
    return rows.annotate(told=Subquery(statuses.order_by("-id").values("status")[:1]))


# ---------------------------------------------------------------------------- receiving it


def upload_open(*, key: str, secret: str) -> Upload:
    """The upload of a location, when something may still be written. Raises UploadRefused."""
    known = Upload.objects.select_related("charge_point")
    upload = known.filter(key=key).first() if _KEY.fullmatch(key) else None
    wanted = "" if upload is None else upload.secret
    if not hmac.compare_digest(_hashed(secret), wanted) or upload is None:
        raise UploadUnknown("There is no such upload.")
    if upload.state not in OPEN_STATES or upload.expires_at <= timezone.now():
        raise UploadOver("This upload is over: nothing can be written any more.")
    return upload


class Receiving:
    """An attempt to write the file of an upload; use it as a context. Without `finish` nothing
    stays of it."""

    def __init__(self, upload: Upload, incoming: Incoming) -> None:
        self.upload = upload
        self.name = upload.key
        self._incoming = incoming
        self._beat_at = timezone.now() + BEAT
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Raises UploadTooLarge; UploadOver when the upload was ended meanwhile."""
        try:
            self._incoming.write(data)
        except TooLarge as problem:
            raise UploadTooLarge(str(problem)) from None
        now = timezone.now()
        if now >= self._beat_at:
            self._beat_at = now + BEAT
            if not self._mine().update(busy_until=now + LEASE, size=self._incoming.size):
                raise UploadOver("This upload is over: nothing can be written any more.")

    def rename(self, name: str) -> None:
        """The charge point calls its file so."""
        self.name = safe_name(name, self.upload.key, length=100)

    def finish(self) -> None:
        """The file is complete. Raises UploadRefused."""
        if not self._incoming.size:
            raise UploadRefused("The file is empty.")
        upload, now = self.upload, timezone.now()
        self._incoming.hand_over(upload.file)
        try:
            kept = self._mine().update(
                state=UploadState.RECEIVED,
                file=upload.file.name,
                file_name=self.name,
                size=self._incoming.size,
                sha256=self._incoming.sha256,
                received_at=now,
                busy_until=None,
            )
        except BaseException:
            deleted(upload.file)
            raise
        if not kept:
            deleted(upload.file)
            raise UploadOver("This upload is over: nothing can be written any more.")
        self._finished = True
        logger.info("%s: %d bytes received.", upload, self._incoming.size)

    def close(self) -> None:
        """Forget what was not finished: another attempt may be made."""
        self._incoming.close()
        if not self._finished:
            self._finished = True
            self._mine().update(state=UploadState.WAITING, size=0, busy_until=None)

    def _mine(self) -> Any:
        """The row, as long as this is the attempt that counts."""
        return Upload.objects.filter(
            pk=self.upload.pk, state=UploadState.RECEIVING, attempt=self.upload.attempt
        )


def upload_begin(*, key: str, secret: str, name: str = "", length: int | None = None) -> Receiving:
    """Begin to write the file of an upload; `name` as the charge point calls it, `length` (bytes)
    as it announces it. Raises UploadRefused."""
    upload = upload_open(key=key, secret=secret)
    most = settings().upload_max_mb * MIB
    if length is not None and length > most:
        raise UploadTooLarge(f"A file has at most {most:,} bytes.")
    now = timezone.now()
    free = Q(state=UploadState.WAITING) | Q(state=UploadState.RECEIVING, busy_until__lt=now)
    mine = Upload.objects.filter(free, pk=upload.pk, attempt=upload.attempt)
    incoming = Incoming(most=most)
    try:
        taken = mine.update(
            state=UploadState.RECEIVING,
            attempt=upload.attempt + 1,
            busy_until=now + LEASE,
            size=0,
        )
        if not taken:
            raise UploadBusy("Somebody is writing this upload.")
    except BaseException:
        incoming.close()
        raise
    upload.attempt += 1
    receiving = Receiving(upload, incoming)
    receiving.rename(name)
    return receiving


# ------------------------------------------------------------------------ by the clock


FAILED_COMMANDS = (
    CommandState.REJECTED,
    CommandState.ERROR,
    CommandState.EXPIRED,
    CommandState.CANCELLED,
)


def uploads_settle(*, now: datetime) -> int:
    """End the uploads for which nothing will come any more; how many. A charge point of which
    nothing was heard may still deliver, until the upload expires."""
    waiting = Upload.objects.filter(state=UploadState.WAITING).select_related("command")
    over = waiting.filter(
        Q(command__state__in=FAILED_COMMANDS)
        | Q(command__effect=Effect.MISSING) & ~Q(command__effect_text=NOTHING)
        | Q(command__effect=Effect.SEEN, command__effect_at__lte=now - LEASE)
    )
    ended = 0
    for upload in over[:BATCH]:
        reason = _why(upload.command) if upload.command else ""
        ended += _end(upload, UploadState.ENDED, reason)
    late = Upload.objects.filter(
        Q(state=UploadState.WAITING) | Q(state=UploadState.RECEIVING, busy_until__lt=now),
        expires_at__lte=now,
    )
    for upload in late[:BATCH]:
        ended += _end(upload, UploadState.EXPIRED, "")
    return ended


def _end(upload: Upload, state: UploadState, reason: str) -> int:
    same = Upload.objects.filter(pk=upload.pk, state=upload.state, attempt=upload.attempt)
    return same.update(state=state, reason=reason[:255], busy_until=None, size=0)


def _why(command: Command) -> str:
    if command.effect in (Effect.SEEN, Effect.MISSING):  # it has none, or says Uploaded in vain
        return command.effect_text
    status = str((command.answer or {}).get("status", ""))
    return command.error or status or CommandState(command.state).label


def uploads_trim(*, now: datetime, config: Settings) -> int:
    """Delete a batch of uploads that are older than their retention, with their files; how many.

    Once a day also files of that age that no upload names: they were left when a charge point was
    deleted without `uploads_forget` (in the shell), or when the storage did not answer.
    """
    if not config.upload_retention_days:
        return 0
    before = now - timedelta(days=config.upload_retention_days)
    old = Upload.objects.filter(created_at__lt=before).exclude(state__in=OPEN_STATES)
    rows = list(old.order_by("id")[:BATCH])
    for upload in rows:
        upload_delete(upload=upload)
    if not rows:
        _sweep(before, now)
    return len(rows)


_swept_at = datetime.min.replace(tzinfo=UTC)


def _sweep(before: datetime, now: datetime) -> None:
    global _swept_at
    if now < _swept_at + SWEEP_EVERY:
        return
    _swept_at = now
    known = set(Upload.objects.exclude(file="").values_list("file", flat=True))
    gone = orphans_delete(files_storage(), FOLDER, known=known, before=before)
    if gone:
        logger.info("%d files that no upload names are over their retention: deleted.", gone)


def upload_delete(*, upload: Upload) -> None:
    """Forget an upload and its file."""
    upload.delete()
    transaction.on_commit(lambda: deleted(upload.file), robust=True)


def uploads_forget(*, charge_points: Iterable[ChargePoint]) -> None:
    """Forget all uploads of charge points that are about to be deleted, and their files."""
    for upload in Upload.objects.filter(charge_point__in=list(charge_points)):
        upload_delete(upload=upload)
