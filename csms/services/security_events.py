"""Security events seen by ourselves: a row for the admin, a line for the log, a mail for people."""

import logging
import threading
import time
from datetime import datetime

from django.core.mail import send_mail
from django.db.models import Count

from csms.conf import settings
from csms.models import ChargePoint, SecurityEvent

log = logging.getLogger("csms.security")

QUIET = 300.0
"""Seconds for which the same refusal of the same address makes no second event."""
MOST_REMEMBERED = 50_000
LINES = 50
"""Lines of a mail; the most frequent events come first."""

_recent: dict[tuple[str, str, str], float] = {}
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
    kept_at = _recent.get((identity, kind, remote_address), -QUIET)
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
    """Keep a security event; the same of the same address once in a while only."""
    if is_kept(identity=identity, kind=kind, remote_address=remote_address):
        return
    if len(_recent) > MOST_REMEMBERED:
        _recent.clear()
    _recent[identity, kind, remote_address] = time.monotonic()
    event_of(
        charge_point=charge_point,
        identity=identity,
        kind=kind,
        info=info,
        remote_address=remote_address,
        now=now,
    ).save(force_insert=True)


def forget() -> None:
    """Keep each event again."""
    _recent.clear()


def events_mail() -> int:
    """Mail the events since the last call to CSMS_ALERT_EMAILS, folded; how many there were.

    The first call begins: what was there before is not mailed. Raises OSError when the mail cannot
    be sent; the events are then mailed next time.
    """
    global _mailed
    receivers = settings().alert_emails
    if not receivers:
        return 0
    with _mailing:
        newest = SecurityEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
        if _mailed is None or newest <= _mailed:
            _mailed = newest
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
            subject=f"{total} security event{'s' * (total > 1)} of charge points",
            message="\n".join([*lines, "", "All of them: Security events, in the admin."]),
            from_email=None,
            recipient_list=list(receivers),
        )
        _mailed = newest
        return total
