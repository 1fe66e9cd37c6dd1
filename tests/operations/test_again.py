"""What failed is sent again: once, as long as before, and not to those that have done it since."""

from datetime import timedelta
from typing import Any

import pytest

from csms.models import Command, CommandBatch
from csms.services.commands import CommandRefused, batch_send, command_cancel, command_send
from csms.services.sending_again import batch_repeat, command_repeat
from tests import factories
from tests.operations.examples import request

pytestmark = pytest.mark.django_db


def failed(number: int = 3, **columns: Any) -> CommandBatch:
    """A bulk Reset that everybody rejected; it might wait for five minutes."""
    rows = [factories.charge_point() for _ in range(number)]
    batch = batch_send(charge_points=rows, request=request("Reset"), by="ann", expires_in=300)
    batch.commands.update(**{"state": "rejected", **columns})
    return batch


def chosen(batch: CommandBatch) -> set[int]:
    return set(batch.commands.values_list("charge_point", flat=True))


def test_it_may_wait_as_long_as_before() -> None:
    batch = failed()
    for command in (
        batch_repeat(batch=batch).commands.latest("id"),
        command_repeat(command=batch.commands.latest("id")),
    ):
        assert command.expires_at - command.created_at == timedelta(minutes=5)


def test_pressed_twice_it_is_sent_once() -> None:
    batch = failed()
    assert chosen(batch_repeat(batch=batch)) == chosen(batch)
    with pytest.raises(CommandRefused, match="sent it again since"):
        batch_repeat(batch=batch)
    assert CommandBatch.objects.count() == 2


@pytest.mark.parametrize(
    ("columns", "again"),
    [
        ({"state": "queued"}, False),
        ({"state": "sent"}, False),
        ({"state": "accepted"}, False),
        ({"state": "accepted", "effect": "seen"}, False),
        ({"state": "accepted", "effect": "missing"}, True),
        ({"state": "rejected"}, True),
        ({"state": "timed out"}, True),
        ({"state": "cancelled"}, True),
        ({"state": "accepted", "payload": {"type": "Hard"}}, True),
        ({"state": "accepted", "action": "ClearCache"}, True),
    ],
    ids=str,
)
def test_who_was_sent_the_same_since_is_left_out(columns: dict[str, Any], again: bool) -> None:
    """Unless that failed as well, or was something else."""
    batch = failed(2)
    one, other = sorted(chosen(batch))
    command = command_send(
        charge_point=batch.commands.get(charge_point=one).charge_point, request=request("Reset")
    )
    Command.objects.filter(pk=command.pk).update(**columns)
    assert chosen(batch_repeat(batch=batch)) == ({one, other} if again else {other})


def test_what_came_before_says_nothing() -> None:
    row = factories.charge_point()
    factories.command(row, state="accepted")
    batch = batch_send(charge_points=[row], request=request("Reset"))
    batch.commands.update(state="error")
    assert chosen(batch_repeat(batch=batch)) == {row.pk}


def test_nothing_failed() -> None:
    batch = failed(1, state="queued")
    assert command_cancel(command=batch.commands.get())
    with pytest.raises(CommandRefused, match="Nothing of it has failed"):
        batch_repeat(batch=batch)
    assert CommandBatch.objects.count() == 1
