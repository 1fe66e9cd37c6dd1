"""Security events seen by ourselves: a row for the admin, a line for the log, a mail for people."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet

from csms.conf import settings
from csms.models import ChargePoint, SecurityEvent
from csms.services import refusals
from csms.services.peers import network_of
from csms.services.threads import in_thread
from csms.services.webhook_events import note_security_events

log = logging.getLogger("csms.security")

QUIET = 300.0
"""Seconds for which the same refusal of the same network makes no second event."""
MOST_REMEMBERED = 50_000
MOST_EACH_MINUTE = 60
"""Events kept at once in a minute; further ones are folded (refusals.py)."""
LINES = 50
"""Lines of a mail; the most frequent events come first."""
REPEATED = timedelta(minutes=15)
"""How far back a new process begins to mail: some may come twice, none is left out."""

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "logins": (
        "Refused logins of charge points",
        (
            *("InvalidCredentials", "TooManyAttempts", "IdentityMismatch", "UnknownChargePoint"),
            *("WrongSecurityProfile", "WrongTransport", "UntrustedNetwork"),
            *("InvalidClientCertificate", "SecondConnectionRefused", "ConnectionReplaced"),
        ),
    ),
    "tls": (
        "Refused TLS handshakes",
        (
            *("InvalidTLSVersion", "InvalidTLSCipherSuite", "InvalidClientCertificate"),
            "TLSHandshakeFailed",
        ),
    ),
    "messages": ("Refused messages", ("InvalidMessages", "TooManyConnections")),
    "people": (
        "Refused people and programs",
        ("AdminLoginRefused", "WrongSecondFactor", "InvalidApiToken"),
    ),
}
"""What of refusals there is to filter: key → name, types."""

_recent: dict[tuple[str, str, str], float] = {}
_minute = (0, 0)
"""Which one it is, and the events that were kept in it."""
_mailed: int | None = None
_mailing = threading.Lock()


def event_of(
    *,
    charge_point: ChargePoint | None,
    identity: str,
    kind: str,
    info: str,
    remote_address: str,
    now: datetime,
) -> SecurityEvent:
    """A security event of ours, not saved yet; it is said in the log."""
    log.warning("%s of %r from %s: %s", kind, identity[:255], remote_address, repr(info)[1:-1])
    return SecurityEvent(
        charge_point=charge_point,
        identity=identity[:255],
        kind=kind,
        tech_info=info[:255],
        ours=True,
        remote_address=remote_address,
        happened_at=now,
        received_at=now,
    )


def is_kept(*, identity: str, kind: str, remote_address: str) -> bool:
    """Whether such an event was kept a moment ago, so that another one would not be."""
    kept_at = _recent.get((identity, kind, network_of(remote_address)), -QUIET)
    return time.monotonic() - kept_at < QUIET


def event_keep(
    *,
    identity: str,
    kind: str,
    info: str,
    remote_address: str,
    now: datetime,
    charge_point: ChargePoint | None = None,
) -> None:
    """Keep a security event; the same of the same network once in a while only."""
    if is_kept(identity=identity, kind=kind, remote_address=remote_address):
        return
    if _too_many():
        pk = None if charge_point is None else charge_point.pk
        refusals.note(kind, info, address=remote_address, identity=identity, charger_pk=pk)
        return
    event = event_of(
        charge_point=charge_point,
        identity=identity,
        kind=kind,
        info=info,
        remote_address=remote_address,
        now=now,
    )
    with transaction.atomic():
        event.save(force_insert=True)
        note_security_events([event])
    # One that was not saved, or was rolled back, is kept the next time.
    transaction.on_commit(lambda: _remember(identity, kind, remote_address))


def _too_many() -> bool:
    """Count one more event of this minute."""
    global _minute
    minute, count = int(time.monotonic() // 60), _minute[1]
    _minute = (minute, count + 1 if minute == _minute[0] else 1)
    return _minute[1] > MOST_EACH_MINUTE


def _remember(identity: str, kind: str, remote_address: str) -> None:
    if len(_recent) > MOST_REMEMBERED:
        _recent.clear()
    _recent[identity, kind, network_of(remote_address)] = time.monotonic()


async def refusals_keep() -> None:
    """Keep what the edges have refused (refusals.py) as security events, folded.

    What cannot be saved now is saved the next time: raises the database's error.
    """
    while due := [(one, one.times) for one in refusals.take(time.monotonic())]:
        rows = [
            event_of(
                charge_point=None,
                identity=one.identity,
                kind=one.kind,
                info=one.text,
                remote_address=one.remote_address,
                now=one.at,
            )
            for one, _ in due
        ]
        for row, (one, _) in zip(rows, due, strict=True):
            row.charge_point_id = one.charger_pk
        await in_thread(_save, rows=rows)
        refusals.written(due, time.monotonic())


def _save(*, rows: list[SecurityEvent]) -> None:
    try:
        with transaction.atomic():
            SecurityEvent.objects.bulk_create(rows)
            note_security_events(rows)
    except IntegrityError:  # a charge point was deleted meanwhile
        known = set(
            ChargePoint.objects.filter(
                pk__in=[row.charge_point_id for row in rows if row.charge_point_id]
            ).values_list("pk", flat=True)
        )
        kept = [row for row in rows if row.charge_point_id is None or row.charge_point_id in known]
        with transaction.atomic():
            SecurityEvent.objects.bulk_create(kept)
            note_security_events(kept)


def forget() -> None:
    """Keep each event again."""
    global _minute
    _minute = (0, 0)
    _recent.clear()
    refusals.forget()


def _newest(rows: "QuerySet[SecurityEvent]") -> int:
    return rows.order_by("-id").values_list("id", flat=True).first() or 0


def events_mail() -> int:
    """Mail the events since the last call to CSMS_ALERT_EMAILS, folded; how many there were.

    The first call begins REPEATED ago: a process that was killed may not have mailed what it saw.
    Raises OSError when the mail cannot be sent; the events are then mailed next time.
    """
    global _mailed
    receivers = settings().alert_emails
    if not receivers:
        return 0
    with _mailing:
        newest = _newest(SecurityEvent.objects.all())
        if _mailed is None:
            since = datetime.now(UTC) - REPEATED
            _mailed = _newest(SecurityEvent.objects.filter(received_at__lt=since))
        if newest <= _mailed:
            return 0
        rows = SecurityEvent.objects.filter(id__gt=_mailed, id__lte=newest).order_by()
        total = rows.count()
        folded = rows.values_list("identity", "kind", "remote_address").annotate(times=Count("id"))
        lines = [
            f"{times:>6} × {kind}  {identity!r}  {address}"
            for identity, kind, address, times in folded.order_by("-times")[: LINES + 1]
        ]
        if len(lines) > LINES:
            lines[LINES] = "…"
        send_mail(
            subject=f"{total} security event{'s' * (total > 1)}",
            message="\n".join([*lines, "", "All of them: Security events, in the admin."]),
            from_email=None,
            recipient_list=list(receivers),
        )
        _mailed = newest
        return total
