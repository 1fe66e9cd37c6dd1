"""Events that wait for delivery: claimed by one process at a time, and what became of them.

The events of one charge point for one subscription are a lane: they are sent one after another, in
the order in which they were kept. A lane is leased by who sends them; a failure holds the lane back
for a while, and several in a row pause the whole subscription, so that a target that is down costs
one attempt now and then and delays no other.
"""

import logging
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from csms.conf import Settings, settings
from csms.models import WebhookEvent, WebhookLane, WebhookSubscription
from csms.models.webhooks import WebhookEventState, WebhookKind
from csms.services import bus
from csms.services.sealing import CannotOpen
from csms.services.webhooks import EVENTS, secret_of

logger = logging.getLogger(__name__)

LEASE = 60.0
"""Seconds for which a lane belongs to who claimed it."""
LANES = 16
"""Lanes of one subscription that a process sends at a time."""
CHUNK = 20
"""Events of a lane that are claimed at once: so many may be sent twice when a process dies."""
LOOK = 500
"""Waiting events that a claim looks at, to find lanes."""
BATCH = 500
"""Rows changed in one transaction by the upkeep."""

FAILING = 3
"""Failures in a row of a subscription after which it is paused; then one lane tries at a time."""
LANE_PAUSE, LANE_PAUSE_MOST = 5.0, 900.0
PAUSE, PAUSE_MOST = 10.0, 600.0
"""Seconds after the first failure that counts, doubled with each further one."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Due(NamedTuple):
    """An event to be sent."""

    pk: int
    event_id: str
    kind: str
    body: str


class Claimed(NamedTuple):
    """A lane that the claiming process must now work off."""

    lane_id: int
    lease: uuid.UUID
    subscription_id: int
    url: str
    secret: str
    """Empty: it cannot be read any more."""
    events: list[Due]


class Failed(NamedTuple):
    """The event at which a lane stopped."""

    pk: int
    why: str


def pause_of(failures: int, first: float, most: float) -> timedelta:
    """How long to wait after so many failures in a row."""
    return timedelta(seconds=min(first * 2 ** min(failures - 1, 30), most))


# ------------------------------------------------------------------------------ claiming


def clock() -> datetime:
    """The time that all who deliver go by: machines' clocks differ (F16), and a lease must not end
    sooner for one of them than for another. SQLite's processes are on one machine."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone()
    return cast("datetime", moment)


def lanes_claim(*, under_way: Mapping[int, int], now: datetime | None = None) -> list[Claimed]:
    """Lanes that this process sends from now on; `under_way`: how many of each subscription it
    sends already."""
    now = now or clock()
    open_now = Q(paused_until=None) | Q(paused_until__lte=now)
    rows = WebhookSubscription.objects.filter(open_now, active=True, paused=False)
    claimed: list[Claimed] = []
    for row in rows.order_by("pk"):
        most = 1 if row.failures >= FAILING else LANES
        room = most - under_way.get(row.pk, 0)
        if room > 0:
            claimed += _claim(row, _identities(row, room, now), now)
    return claimed


def _identities(row: WebhookSubscription, room: int, now: datetime) -> list[str]:
    """Charge points with events that may be sent now, those whose events wait longest first."""
    held = WebhookLane.objects.filter(
        Q(leased_until__gt=now) | Q(not_before__gt=now),
        subscription=OuterRef("subscription"),
        identity=OuterRef("identity"),
    )
    waiting = WebhookEvent.objects.filter(
        ~Exists(held), subscription=row, state=WebhookEventState.WAITING
    )
    found = waiting.order_by("id").values_list("identity", flat=True)[:LOOK]
    return sorted(list(dict.fromkeys(found))[:room])


def _claim(row: WebhookSubscription, identities: list[str], now: datetime) -> Iterator[Claimed]:
    if not identities:
        return
    lease = uuid.uuid4()
    with transaction.atomic():
        WebhookLane.objects.bulk_create(
            (
                WebhookLane(subscription=row, identity=identity, lease=lease, leased_until=LONG_AGO)
                for identity in identities
            ),
            ignore_conflicts=True,
        )
        lanes = WebhookLane.objects.filter(subscription=row, identity__in=identities)
        free = lanes.filter(Q(not_before=None) | Q(not_before__lte=now), leased_until__lte=now)
        # Who else claims them now has them: nobody waits, so that nobody waits for each other.
        taken = list(free.select_for_update(of=("self",), skip_locked=True).order_by("pk"))
        lanes.filter(pk__in=[lane.pk for lane in taken]).update(
            lease=lease, leased_until=now + timedelta(seconds=LEASE)
        )
        events = {lane.pk: _events(lane) for lane in taken}  # after it was taken: in order
        WebhookLane.objects.filter(pk__in=[pk for pk, due in events.items() if not due]).delete()
    try:
        secret = secret_of(row)
    except CannotOpen:
        secret = ""
    for lane in taken:
        if events[lane.pk]:
            yield Claimed(lane.pk, lease, row.pk, row.url, secret, events[lane.pk])


def _events(lane: WebhookLane) -> list[Due]:
    rows = WebhookEvent.objects.filter(
        subscription=lane.subscription_id,
        identity=lane.identity,
        state=WebhookEventState.WAITING,
    )
    found = rows.order_by("id").values_list("pk", "event_id", "kind", "body")[:CHUNK]
    return [Due(pk, str(event_id), kind, body) for pk, event_id, kind, body in found]


# -------------------------------------------------------------------------- what became


def lane_finish(
    *,
    claimed: Claimed,
    delivered: list[int],
    failed: Failed | None,
    now: datetime | None = None,
) -> None:
    """Note what became of a lane's events, and give the lane back."""
    now = now or clock()
    with transaction.atomic():
        lane = (
            WebhookLane.objects.select_for_update()
            .filter(pk=claimed.lane_id, lease=claimed.lease)
            .first()
        )
        if delivered:
            WebhookEvent.objects.filter(pk__in=delivered, state=WebhookEventState.WAITING).update(
                state=WebhookEventState.DELIVERED,
                attempts=F("attempts") + 1,
                error="",
                ended_at=now,
            )
            _subscription_works(claimed.subscription_id, now)
        if lane is None:  # its lease ran out, and another process has it
            return
        if failed is not None:
            _subscription_failed(claimed.subscription_id, failed.why, now)
            if not _event_failed(failed, now):
                lane.failures = 1 if delivered else lane.failures + 1
                pause = pause_of(lane.failures, LANE_PAUSE, LANE_PAUSE_MOST)
                lane.not_before, lane.leased_until = now + pause, now
                lane.save(update_fields=["failures", "not_before", "leased_until"])
                return
        lane.delete()


def _event_failed(failed: Failed, now: datetime) -> bool:
    """Note a failed attempt; whether the event is given up with it."""
    event = WebhookEvent.objects.filter(pk=failed.pk, state=WebhookEventState.WAITING).first()
    if event is None:
        return True
    event.attempts += 1
    event.error = failed.why[:255]
    dead = event.expires_at <= now
    if dead:
        event.state, event.ended_at = WebhookEventState.DEAD, now
    event.save(update_fields=["attempts", "error", "state", "ended_at"])
    return dead


def _subscription_works(pk: int, now: datetime) -> None:
    """An event was taken; in a busy second it is noted once, so that lanes seldom wait here."""
    noted = Q(last_delivered_at__gt=now - timedelta(seconds=1), failures=0)
    WebhookSubscription.objects.filter(pk=pk).exclude(noted).update(
        failures=0, paused_until=None, last_delivered_at=now
    )


def _subscription_failed(pk: int, why: str, now: datetime) -> None:
    """Count a failure, but for those that were under way when it was paused already."""
    row = WebhookSubscription.objects.select_for_update(no_key=True).filter(pk=pk).first()
    if row is None or (row.paused_until is not None and row.paused_until > now):
        return
    row.failures += 1
    row.last_error, row.last_error_at = why[:255], now
    if row.failures >= FAILING:
        row.paused_until = now + pause_of(row.failures - FAILING + 1, PAUSE, PAUSE_MOST)
    row.save(update_fields=["failures", "last_error", "last_error_at", "paused_until"])


def events_replay(*, events: "QuerySet[WebhookEvent]") -> int:
    """Deliver events that have ended once more, under the same ids; how many these are."""
    ended = events.exclude(state=WebhookEventState.WAITING).order_by("id")
    pks = list(ended.values_list("pk", flat=True))
    expires_at = datetime.now(UTC) + timedelta(hours=settings().webhook_max_age_hours)
    for start in range(0, len(pks), BATCH):
        WebhookEvent.objects.filter(pk__in=pks[start : start + BATCH]).update(
            state=WebhookEventState.WAITING,
            attempts=0,
            error="",
            ended_at=None,
            expires_at=expires_at,
        )
    transaction.on_commit(lambda: bus.publish(EVENTS))
    return len(pks)


def events_give_up(*, events: "QuerySet[WebhookEvent]") -> int:
    """Make dead letters of events that wait, so that what is behind them goes on at once; how many
    these are."""
    pks = list(
        events.filter(state=WebhookEventState.WAITING).order_by("id").values_list("pk", flat=True)
    )
    count = 0
    for start in range(0, len(pks), BATCH):
        rows = WebhookEvent.objects.filter(
            pk__in=pks[start : start + BATCH], state=WebhookEventState.WAITING
        )
        lanes = set(rows.values_list("subscription_id", "identity"))
        with transaction.atomic():
            for subscription_id, identity in sorted(lanes):
                WebhookLane.objects.filter(subscription=subscription_id, identity=identity).update(
                    failures=0, not_before=None
                )
            rows.filter(error="").update(error="It was given up by hand.")
            count += rows.update(state=WebhookEventState.DEAD, ended_at=datetime.now(UTC))
    transaction.on_commit(lambda: bus.publish(EVENTS))
    return count


# ------------------------------------------------------------------------------ upkeep


def events_expire(*, now: datetime) -> int:
    """Give up one batch of what waits too long for a target that is off, paused or down; how
    many."""
    down = WebhookSubscription.objects.filter(
        Q(active=False) | Q(paused=True) | Q(failures__gte=FAILING)
    )
    old = WebhookEvent.objects.filter(
        subscription__in=list(down.values_list("pk", flat=True)),
        state=WebhookEventState.WAITING,
        expires_at__lte=now,
    )
    pks = list(old.order_by("id").values_list("pk", flat=True)[:BATCH])
    rows = WebhookEvent.objects.filter(pk__in=pks, state=WebhookEventState.WAITING)
    rows.filter(error="").update(error="It could not be delivered in time.")
    return rows.update(state=WebhookEventState.DEAD, ended_at=now)


def events_trim(*, now: datetime, config: Settings) -> int:
    """Delete one batch of events that ended long ago, whose subscription is gone, or that are too
    many; how many."""
    pks: list[int] = []
    if config.webhook_retention_days:
        before = now - timedelta(days=config.webhook_retention_days)
        old = WebhookEvent.objects.filter(ended_at__lt=before).order_by("ended_at")
        pks = list(old.values_list("pk", flat=True)[:BATCH])
    if not pks:
        pks = _orphans()
    if not pks:
        pks = _too_many(config.webhook_max_waiting)
    if pks:
        WebhookEvent.objects.filter(pk__in=pks).delete()
    return len(pks)


def _orphans() -> list[int]:
    """Some events of a subscription that was deleted: one look at an index for each."""
    rows = WebhookEvent.objects.order_by("subscription_id")
    known = set(WebhookSubscription.objects.values_list("pk", flat=True))
    found = rows.values_list("subscription_id", flat=True).first()
    while found is not None:
        if found not in known:
            return list(rows.filter(subscription_id=found).values_list("pk", flat=True)[:BATCH])
        behind = rows.filter(subscription_id__gt=found)
        found = behind.values_list("subscription_id", flat=True).first()
    return []


def _too_many(most: int) -> list[int]:
    """The oldest transaction.updated of a subscription for which more than `most` wait."""
    waiting = WebhookEvent.objects.filter(state=WebhookEventState.WAITING)
    for row in WebhookSubscription.objects.all():
        over = waiting.filter(subscription=row).count() - most
        if over > 0:
            updates = waiting.filter(subscription=row, kind=WebhookKind.TRANSACTION_UPDATED)
            pks = list(updates.order_by("id").values_list("pk", flat=True)[: min(over, BATCH)])
            if pks:
                logger.warning(
                    "Too many events wait for the webhook %s: %d given up", row, len(pks)
                )
                return pks
    return []
