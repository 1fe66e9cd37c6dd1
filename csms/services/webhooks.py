"""Webhook subscriptions: made, changed, paused, deleted; and which of them want what.

Where they may lead stands in webhook_targets.py, what is told in webhook_events.py, how it is
delivered in webhook_delivery.py.
"""

import secrets
import threading
import time
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, transaction

from csms.models import ChargePoint, WebhookLane, WebhookSubscription
from csms.models.webhooks import WebhookKind
from csms.services import bus
from csms.services.callbacks import CallbackRefused
from csms.services.sealing import seal, unseal
from csms.services.webhook_targets import target_check

MOST = 100
"""Subscriptions: each event is held against all of them."""
REREAD = 5.0
"""Seconds after which another process's changes are seen where no wake-up tells of them."""
PREFIX = "whsec_"
"""Begins every secret, so that scanners for leaked secrets can know it."""


class WebhookInvalid(ValueError):
    """The subscription cannot be kept; `field` says what of it is wrong."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


# ---------------------------------------------------------------------------- keeping them


def url_check(url: str) -> None:
    """Raise WebhookInvalid unless events may be sent to a URL. Nothing is resolved."""
    try:
        target_check(url)
    except CallbackRefused as refused:
        raise WebhookInvalid(str(refused), field="url") from None


def subscription_add(
    *,
    name: str,
    url: str,
    kinds: Collection[str],
    site: str = "",
    charge_points: Iterable[ChargePoint] = (),
    active: bool = True,
) -> tuple[WebhookSubscription, str]:
    """Make a subscription; its row, and its secret, which is told only now. Raises
    WebhookInvalid."""
    row = WebhookSubscription(name=name, url=url, kinds=list(kinds), site=site, active=active)
    secret = _secret(row)
    if WebhookSubscription.objects.count() >= MOST:
        raise WebhookInvalid(f"There are {MOST} webhooks, which is the most: delete one first.")
    _save(row, charge_points)
    return row, secret


def subscription_change(
    *,
    subscription: WebhookSubscription,
    charge_points: Iterable[ChargePoint] | None = None,
    **columns: object,
) -> None:
    """Change a subscription; `columns` as in the model. It is tried anew at once. Without
    `charge_points` those that were chosen stay. Raises WebhookInvalid."""
    for name, value in columns.items():
        setattr(subscription, name, value)
    subscription.failures, subscription.paused_until = 0, None
    _save(subscription, charge_points)


def subscription_pause(*, subscription: WebhookSubscription) -> None:
    """Send nothing more for now; what happens is kept. What is just being sent still goes out."""
    subscription.paused = True
    subscription.save(update_fields=["paused"])


def subscription_resume(*, subscription: WebhookSubscription) -> None:
    """Go on at once, whether a person paused it or failures did."""
    with transaction.atomic():
        _try_anew(subscription)
        subscription.paused, subscription.failures, subscription.paused_until = False, 0, None
        subscription.save(update_fields=["paused", "failures", "paused_until"])
    transaction.on_commit(lambda: bus.publish(EVENTS))


def subscription_proved(*, subscription: WebhookSubscription, problem: str, now: datetime) -> None:
    """Note what became of a test; `problem` is empty when it was taken."""
    rows = WebhookSubscription.objects.filter(pk=subscription.pk)
    if problem:
        rows.update(last_error=problem[:255], last_error_at=now)
        return
    with transaction.atomic():
        _try_anew(subscription)
        rows.update(failures=0, paused_until=None, last_delivered_at=now)
    transaction.on_commit(lambda: bus.publish(EVENTS))


def _try_anew(subscription: WebhookSubscription) -> None:
    """Wait for no lane. Before the subscription is written: lanes are always locked first."""
    WebhookLane.objects.filter(subscription=subscription).update(failures=0, not_before=None)


def subscription_secret(*, subscription: WebhookSubscription) -> str:
    """Give a subscription a new secret: from now on signatures are made with it."""
    secret = _secret(subscription)
    subscription.save(update_fields=["secret"])
    changed()
    return secret


def subscription_delete(*, subscription: WebhookSubscription) -> None:
    """Delete a subscription; the upkeep deletes its events."""
    subscription.delete()
    changed()


def _secret(row: WebhookSubscription) -> str:
    secret = PREFIX + secrets.token_urlsafe(32)
    row.secret = seal({"secret": secret})
    return secret


def secret_of(subscription: WebhookSubscription) -> str:
    """Raises CannotOpen."""
    secret: str = unseal(subscription.secret)["secret"]
    return secret


def _save(row: WebhookSubscription, charge_points: Iterable[ChargePoint] | None) -> None:
    if not row.name.strip():
        raise WebhookInvalid("Give it a name.", field="name")
    if charge_points is not None:
        charge_points = list(charge_points)
        row.chosen_only = bool(charge_points)
    url_check(row.url)
    unknown = [kind for kind in row.kinds if kind not in WebhookKind.values]
    if unknown or not row.kinds:
        text = (
            f"There is no kind {unknown[0]}: choose among" if unknown else "Choose at least one of"
        )
        raise WebhookInvalid(f"{text} {', '.join(WebhookKind.values)}.", field="kinds")
    row.kinds = [kind for kind in WebhookKind.values if kind in row.kinds]
    try:
        with transaction.atomic():
            if row.pk is not None:
                _try_anew(row)
            row.save()
            if charge_points is not None:
                row.charge_points.set(charge_points)
    except IntegrityError:
        raise WebhookInvalid(
            "There is a webhook of this name: give it another.", field="name"
        ) from None
    changed()


def changed() -> None:
    """Subscriptions were changed: everybody reads them again, once that is committed."""

    def publish() -> None:
        bus.publish(TOPIC)
        bus.publish(EVENTS)

    transaction.on_commit(publish)


# ----------------------------------------------------------------------- which want what

TOPIC = "webhooks"
EVENTS = "webhook events"
"""Wakes the delivery."""


class Wanted(NamedTuple):
    """What a subscription wants to be told."""

    pk: int
    kinds: frozenset[str]
    site: str
    identities: frozenset[str] | None
    """None: of all charge points."""

    def wants(self, kind: str, identity: str, site: str) -> bool:
        return (
            kind in self.kinds
            and (not self.site or self.site == site)
            and (self.identities is None or identity in self.identities)
        )


class _Cache:
    """The active subscriptions, as this process last read them."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._rows: tuple[Wanted, ...] = ()
        self._kinds: frozenset[str] = frozenset()
        self._until = 0.0
        self._changed = self._read_after = object()
        """The change after which they were read is the last one, or they are read again."""

    def forget(self) -> None:
        self._changed = object()

    def kinds(self) -> frozenset[str]:
        """The kinds that anybody wants: one look at the clock while nobody does."""
        if not self._fresh():
            with self._guard:  # who comes meanwhile waits: what it would find is no answer
                if not self._fresh():
                    self._read()
        return self._kinds

    def rows(self) -> tuple[Wanted, ...]:
        return self._rows

    def _fresh(self) -> bool:
        return self._read_after is self._changed and time.monotonic() < self._until

    def _read(self) -> None:
        change = self._changed
        active = WebhookSubscription.objects.filter(active=True).prefetch_related("charge_points")
        self._rows = tuple(_wanted(row) for row in active)
        self._kinds = frozenset().union(*(row.kinds for row in self._rows))
        self._read_after, self._until = change, time.monotonic() + REREAD


def _wanted(row: WebhookSubscription) -> Wanted:
    chosen = None
    if row.chosen_only:
        chosen = frozenset(charge_point.identity for charge_point in row.charge_points.all())
    return Wanted(row.pk, frozenset(row.kinds), row.site, chosen)


_cache = _Cache()
bus.listen(TOPIC, _cache.forget)

forget = _cache.forget
"""Read the subscriptions again."""
wanted_kinds = _cache.kinds
"""The kinds that any active subscription wants."""


def takers(kind: str, identity: str, site: str) -> list[int]:
    """The subscriptions that want to be told of this; after `wanted_kinds`."""
    return [row.pk for row in _cache.rows() if row.wants(kind, identity, site)]
