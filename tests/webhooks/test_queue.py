"""Claims, order, retries, pauses, dead letters, replay: with a clock of the test's own."""

import json
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from csms import conf
from csms.models import WebhookEvent, WebhookLane, WebhookSubscription
from csms.models.webhooks import WebhookKind
from csms.services import webhook_queue, webhooks
from csms.services.webhook_events import Told, note
from csms.services.webhook_queue import (
    CHUNK,
    FAILING,
    LANE_PAUSE,
    LANES,
    LEASE,
    PAUSE,
    Claimed,
    Failed,
    events_expire,
    events_give_up,
    events_replay,
    events_trim,
    lane_finish,
    lanes_claim,
)
from tests import factories
from tests.webhooks.receiver import subscribed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("allowed")]


@pytest.fixture
def now() -> datetime:
    return factories.now() + timedelta(seconds=1)


@pytest.fixture
def row(allowed: None) -> WebhookSubscription:
    return subscribed("http://127.0.0.1:8000/")[0]


def happen(*identities: str, kind: str = "status.changed", site: str = "") -> None:
    """One event of each of these charge points, in this order."""
    webhooks.forget()
    webhooks.wanted_kinds()
    with transaction.atomic():
        note(
            Told(WebhookKind(kind), factories.now(), identity, site, {"number": number})
            for number, identity in enumerate(identities)
        )


def claim(now: datetime, under_way: dict[int, int] | None = None) -> dict[str, Claimed]:
    """By the first charge point's identity of each lane."""
    claimed = lanes_claim(now=now, under_way=Counter(under_way or {}))
    return {_identity(one): one for one in claimed}


def _identity(claimed: Claimed) -> str:
    identity: str = json.loads(claimed.events[0].body)["charge_point"]["identity"]
    return identity


def numbers(claimed: Claimed) -> list[int]:
    return [json.loads(event.body)["data"]["number"] for event in claimed.events]


def took(claimed: Claimed, now: datetime, events: Iterable[Any] | None = None) -> None:
    pks = [event.pk for event in (claimed.events if events is None else events)]
    lane_finish(claimed=claimed, delivered=pks, failed=None, now=now)


def refused(claimed: Claimed, now: datetime, why: str = "Answered 500.") -> None:
    failed = Failed(claimed.events[0].pk, why)
    lane_finish(claimed=claimed, delivered=[], failed=failed, now=now)


def states() -> list[str]:
    return list(WebhookEvent.objects.order_by("id").values_list("state", flat=True))


def test_a_lane_is_sent_by_one_at_a_time_and_in_order(
    row: WebhookSubscription, now: datetime
) -> None:
    happen("A", "B", "A", "A")
    lanes = claim(now)
    assert {name: numbers(one) for name, one in lanes.items()} == {"A": [0, 2, 3], "B": [1]}
    happen("A", "B")
    assert claim(now) == {}  # another process, or the same
    took(lanes["A"], now)
    assert numbers(claim(now)["A"]) == [0]
    assert states() == ["delivered", "waiting", "delivered", "delivered", "waiting", "waiting"]


def test_a_process_that_died_is_followed_after_its_lease(
    row: WebhookSubscription, now: datetime
) -> None:
    """What it had sent is sent again, under the same ids; what it says later changes nothing."""
    happen("A", "A")
    dead = claim(now)["A"]
    assert claim(now + timedelta(seconds=LEASE - 1)) == {}
    later = now + timedelta(seconds=LEASE)
    heir = claim(later)["A"]
    assert heir.events == dead.events
    refused(dead, later)
    assert WebhookLane.objects.get().lease == heir.lease
    assert WebhookEvent.objects.filter(attempts=0).count() == 2
    took(heir, later)
    assert states() == ["delivered"] * 2
    assert not WebhookLane.objects.exists()


def test_a_failure_holds_back_its_charge_point_only(
    row: WebhookSubscription, now: datetime
) -> None:
    """With a pause that doubles, up to a quarter of an hour."""
    happen("A", "A", "B")
    lanes = claim(now)
    refused(lanes["A"], now)
    took(lanes["B"], now)
    assert states() == ["waiting", "waiting", "delivered"]
    pause = LANE_PAUSE
    for _ in range(12):
        assert claim(now + timedelta(seconds=pause - 1)) == {}
        now += timedelta(seconds=pause)
        again = claim(now)["A"]
        assert numbers(again) == [0, 1]
        refused(again, now)
        WebhookSubscription.objects.update(failures=0, paused_until=None)
        pause = min(2 * pause, 900)
    first = WebhookEvent.objects.earliest("id")
    assert (first.attempts, first.error) == (13, "Answered 500.")
    last = claim(now + timedelta(seconds=900))["A"]
    took(last, now, last.events[:1])
    assert numbers(claim(now)["A"]) == [1]


def test_a_target_that_is_down_is_paused_and_tried_by_one_lane(
    row: WebhookSubscription, now: datetime
) -> None:
    """Others are not delayed; after a success all goes on at once."""
    other = subscribed("http://127.0.0.1:8001/", name="other")[0]
    identities = [f"CP-{number:02}" for number in range(LANES + 4)]
    happen(*identities)
    claimed = lanes_claim(now=now, under_way={})
    mine = [one for one in claimed if one.subscription_id == row.pk]
    assert len(mine) == LANES == len(claimed) - LANES
    for one in mine:
        refused(one, now)
    row.refresh_from_db()
    assert (row.failures, row.last_error) == (FAILING, "Answered 500.")
    pause = timedelta(seconds=PAUSE)
    assert row.paused_until == now + pause
    assert {one.subscription_id for one in lanes_claim(now=now, under_way={})} == {other.pk}
    now += pause
    (probe,) = (one for one in lanes_claim(now=now, under_way={}) if one.subscription_id == row.pk)
    assert lanes_claim(now=now, under_way={row.pk: 1, other.pk: LANES}) == []
    refused(probe, now)
    row.refresh_from_db()
    assert row.paused_until == now + 2 * pause
    now += 2 * pause
    (probe,) = lanes_claim(now=now, under_way={other.pk: LANES})
    took(probe, now)
    row.refresh_from_db()
    assert (row.failures, row.last_error, row.last_delivered_at) == (0, "Answered 500.", now)
    assert row.last_error_at == now - 2 * pause
    assert not row.paused_until
    assert len(lanes_claim(now=now, under_way={other.pk: LANES})) == LANES


def test_too_old_a_failure_is_a_dead_letter_and_what_is_behind_goes_on(
    row: WebhookSubscription, now: datetime
) -> None:
    happen("A", "A")
    old = WebhookEvent.objects.earliest("id")
    hours = conf.settings().webhook_max_age_hours
    assert old.expires_at == old.created_at + timedelta(hours=hours)
    WebhookEvent.objects.filter(pk=old.pk).update(expires_at=now)
    refused(claim(now)["A"], now, why="Answered 400.")
    old.refresh_from_db()
    assert (old.state, old.error, old.ended_at) == ("dead", "Answered 400.", now)
    assert numbers(claim(now)["A"]) == [1]


def test_dead_letters_are_delivered_again(row: WebhookSubscription, now: datetime) -> None:
    happen("A", "A")
    ids = list(WebhookEvent.objects.order_by("id").values_list("event_id", flat=True))
    WebhookEvent.objects.update(state="dead", ended_at=now, expires_at=now, error="gone")
    assert claim(now) == {}
    assert events_replay(events=WebhookEvent.objects.all()) == 2
    assert events_replay(events=WebhookEvent.objects.all()) == 0  # they wait
    again = claim(now)["A"]
    assert [event.event_id for event in again.events] == [str(each) for each in ids]
    refused(again, now)
    assert states() == ["waiting", "waiting"]  # it is tried as long as a new one


def test_what_waits_for_a_target_that_is_off_or_down_dies_of_age(
    row: WebhookSubscription, now: datetime
) -> None:
    happen("A")
    WebhookEvent.objects.update(expires_at=now)
    assert events_expire(now=now) == 0  # nothing was tried yet: our own process was down
    WebhookSubscription.objects.update(active=False)
    assert claim(now) == {}
    assert events_expire(now=now) == 1
    assert events_expire(now=now) == 0
    event = WebhookEvent.objects.get()
    assert (event.state, event.error) == ("dead", "It could not be delivered in time.")


def test_a_long_lane_comes_in_chunks_and_the_room_is_kept(
    row: WebhookSubscription, now: datetime
) -> None:
    happen(*["A"] * (CHUNK + 5), "B")
    lanes = claim(now, {row.pk: LANES - 1})
    assert list(lanes) == ["A"]
    assert len(lanes["A"].events) == CHUNK
    took(lanes["A"], now)
    assert numbers(claim(now)["A"]) == list(range(CHUNK, CHUNK + 5))


def test_what_ended_is_kept_for_a_while(row: WebhookSubscription, now: datetime) -> None:
    happen("A", "B", "C")
    config = conf.read({"CSMS_WEBHOOK_RETENTION_DAYS": "2"})
    events = WebhookEvent.objects.order_by("id")
    events.filter(identity="A").update(state="delivered", ended_at=now - timedelta(days=3))
    events.filter(identity="B").update(state="dead", ended_at=now - timedelta(days=1))
    assert events_trim(now=now, config=config) == 1
    assert events_trim(now=now, config=config) == 0
    assert states() == ["dead", "waiting"]
    webhooks.subscription_delete(subscription=row)
    assert events_trim(now=now, config=config) == 2
    assert states() == []


def test_too_many_that_wait_lose_the_oldest_updates(
    row: WebhookSubscription, now: datetime
) -> None:
    for kind in ("transaction.started", "transaction.updated", "transaction.updated"):
        happen("A", "B", kind=kind)
    config = conf.read({"CSMS_WEBHOOK_MAX_WAITING": "3"})
    assert events_trim(now=now, config=config) == 3
    assert events_trim(now=now, config=config) == 0
    left = WebhookEvent.objects.order_by("id").values_list("kind", "identity")
    assert list(left) == [
        ("transaction.started", "A"),
        ("transaction.started", "B"),
        ("transaction.updated", "B"),
    ]


def test_a_change_tries_anew_at_once(row: WebhookSubscription, now: datetime) -> None:
    happen("A")
    for _ in range(FAILING):
        refused(claim(now)["A"], now)
        WebhookLane.objects.update(not_before=None)
    assert claim(now) == {}
    row.refresh_from_db()
    webhooks.subscription_change(subscription=row, url="http://127.0.0.1:8002/")
    assert claim(now)["A"].url == "http://127.0.0.1:8002/"


def test_a_paused_one_keeps_what_happens_until_it_is_resumed(
    row: WebhookSubscription, now: datetime
) -> None:
    webhooks.subscription_pause(subscription=row)
    happen("A", "A")
    assert claim(now) == {}
    WebhookEvent.objects.filter(body__contains='"number":0').update(expires_at=now)
    assert events_expire(now=now) == 1
    webhooks.subscription_resume(subscription=row)
    assert numbers(claim(now)["A"]) == [1]


def test_a_target_that_is_down_is_tried_at_once_when_a_person_says_so(
    row: WebhookSubscription, now: datetime
) -> None:
    happen("A")
    for _ in range(FAILING):
        refused(claim(now)["A"], now)
        WebhookLane.objects.update(not_before=None)
    WebhookLane.objects.update(not_before=now + timedelta(minutes=15))
    assert claim(now) == {}
    row.refresh_from_db()
    webhooks.subscription_resume(subscription=row)
    assert numbers(claim(now)["A"]) == [0]


def test_what_is_given_up_by_hand_holds_nothing_up(row: WebhookSubscription, now: datetime) -> None:
    """An event that its target never takes would hold its charge point's back for days."""
    happen("A", "A", "B")
    lanes = claim(now)
    refused(lanes["A"], now, why="Answered 400.")
    took(lanes["B"], now)
    assert claim(now) == {}
    poison = WebhookEvent.objects.filter(pk=lanes["A"].events[0].pk)
    assert events_give_up(events=poison) == 1
    assert events_give_up(events=WebhookEvent.objects.filter(identity="B")) == 0
    assert numbers(claim(now)["A"]) == [1]
    event = poison.get()
    assert (event.state, event.error) == ("dead", "Answered 400.")
    assert event.ended_at is not None


@pytest.mark.postgres
def test_f16_a_machine_whose_clock_is_wrong_ends_nobodys_lease(
    row: WebhookSubscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All who deliver go by the database's clock."""
    happen("A", "A")
    assert len(lanes_claim(under_way={})) == 1

    class Fast(datetime):
        @classmethod
        def now(cls, *zone: Any) -> "Fast":
            return cls.fromtimestamp(time.time() + 3600, *zone)

    monkeypatch.setattr(webhook_queue, "datetime", Fast)
    assert lanes_claim(under_way={}) == []


def test_a_delivery_of_what_was_given_up_meanwhile_changes_nothing(
    row: WebhookSubscription, now: datetime
) -> None:
    happen("A", "A")
    lane = claim(now)["A"]
    events_give_up(events=WebhookEvent.objects.filter(pk=lane.events[0].pk))
    refused(lane, now)
    assert states() == ["dead", "waiting"]
    assert numbers(claim(now)["A"]) == [1]
