"""One request to a whole fleet costs a bounded number of queries, and is claimed in portions."""

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from csms.models import ChargePoint, Command, CommandEvent
from csms.services.commands import batch_send, commands_cancel
from csms.services.outbox import commands_claim
from tests.operations.examples import request

if TYPE_CHECKING:
    from csms.models import CommandBatch

pytestmark = pytest.mark.django_db

FLEET = 500


def fleet(transport: str = "json") -> "CommandBatch":
    """500 charge points in reach, and a command to all of them."""
    rows = ChargePoint.objects.bulk_create(
        ChargePoint(
            identity=f"{transport}-{number:03}",
            transport=transport,
            connected=True,
            owner="gateway",
            callback_url="http://192.0.2.1/",
            last_seen=timezone.now(),
        )
        for number in range(FLEET)
    )
    return batch_send(charge_points=rows, request=request("Reset"), by="ann")


def test_storing_takes_few_queries() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        fleet()
    assert len(queries) < FLEET / 5, "many rows in one statement"
    events = CommandEvent.objects.filter(state="queued", by="ann")
    assert (Command.objects.count(), events.count()) == (FLEET, FLEET)


def test_what_is_known_of_each_is_asked_once() -> None:
    """N36: a list may have as many items as each charge point takes."""
    fleet()
    rows = list(ChargePoint.objects.all())
    Command.objects.all().delete()
    items = "Energy.Active.Import.Register,Power.Active.Import"
    asked = request("ChangeConfiguration", key="MeterValuesSampledData", value=items)
    with CaptureQueriesContext(connection) as queries:
        batch = batch_send(charge_points=rows, request=asked)
    assert len(queries) < FLEET / 5
    assert batch.commands.count() + len(batch.refused) == FLEET


def test_cancelling_takes_few_queries() -> None:
    batch = fleet()
    with CaptureQueriesContext(connection) as queries:
        assert commands_cancel(commands=batch.commands.all(), by="bob") == FLEET
    assert len(queries) < FLEET / 5
    assert batch.commands.filter(state="cancelled").count() == FLEET


@pytest.mark.parametrize("transport", ["json", "soap"])
def test_claiming_is_bounded(transport: str) -> None:
    """A portion at a time, the oldest first; nobody has two."""
    batch = fleet(transport)
    second = batch_send(
        charge_points=ChargePoint.objects.all(), request=request("ClearCache"), by="ann"
    )
    claimed: list[int] = []
    for _ in range(FLEET // 100):
        with CaptureQueriesContext(connection) as queries:
            portion = commands_claim(transport=transport, owner="gateway", now=timezone.now())
        assert (len(portion), len(queries) < 3 * 100) == (100, True)
        claimed += [each.command_id for each in portion]
    assert claimed == list(batch.commands.order_by("id").values_list("id", flat=True))
    assert commands_claim(transport=transport, owner="gateway", now=timezone.now()) == []
    assert set(Counter(Command.objects.values_list("charge_point", "state")).values()) == {1}
    assert set(second.commands.values_list("state", flat=True)) == {"queued"}


def test_who_is_out_of_reach_takes_no_place() -> None:
    """A fleet of dead callbacks, and of the silent, is not looked through at each claim."""
    fleet("soap")
    now = timezone.now()
    ChargePoint.objects.update(callback_failed_at=now)
    for columns in ({}, {"callback_failed_at": None, "last_seen": None}):
        ChargePoint.objects.update(**columns)
        with CaptureQueriesContext(connection) as queries:
            assert commands_claim(transport="soap", now=now) == []
        assert len(queries) == 1
    alive = ChargePoint.objects.latest("pk")
    ChargePoint.objects.filter(pk=alive.pk).update(last_seen=now)
    (claimed,) = commands_claim(transport="soap", limit=1, now=now)
    assert claimed.charger.pk == alive.pk
