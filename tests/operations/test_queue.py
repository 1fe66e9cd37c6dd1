"""The queue of each charge point keeps its order while it moves between gateways."""

import random
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime

import pytest
from django.db import connection

from csms.models import ChargePoint, Command
from csms.services.commands import batch_send
from csms.services.outbox import Claimed, NoAnswer, NotSent, commands_claim
from csms.services.outbox import command_complete as complete
from tests import factories
from tests.operations.examples import request
from tests.services.edge import ACCEPTED

CHARGERS = 6
EACH = 8
GATEWAYS = ("gateway-1", "gateway-2", "gateway-3")
AT_MOST = 60.0


class Gateways:
    """Threads that claim and deliver, each what is its own; one that moves charge points about."""

    def __init__(self) -> None:
        self.tries: dict[int, list[int]] = defaultdict(list)
        """The commands of each charge point, as they were claimed."""
        self.problems: list[str] = []
        self._guard = threading.Lock()
        self._deadline = time.monotonic() + AT_MOST

    def run(self) -> None:
        threads = [threading.Thread(target=self._deliver, args=(name,)) for name in GATEWAYS]
        threads.append(threading.Thread(target=self._move))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _open(self) -> bool:
        left = Command.objects.filter(state__in=["queued", "sent"])
        return left.exists() and time.monotonic() < self._deadline

    def _deliver(self, owner: str) -> None:
        chance = random.Random(owner)
        try:
            while self._open():
                for claimed in commands_claim(transport="json", owner=owner, now=datetime.now(UTC)):
                    self._one(claimed, chance)
        except Exception as problem:
            self.problems.append(repr(problem))
        finally:
            connection.close()

    def _one(self, claimed: Claimed, chance: random.Random) -> None:
        with self._guard:
            self.tries[claimed.charger.pk].append(claimed.command_id)
        time.sleep(chance.random() / 500)
        answer = chance.choice((ACCEPTED, NotSent("The connection is closed."), NoAnswer("Gone.")))
        complete(command_id=claimed.command_id, answer=answer, now=datetime.now(UTC))

    def _move(self) -> None:
        chance = random.Random(7)
        try:
            while self._open():
                for pk in list(ChargePoint.objects.values_list("pk", flat=True)):
                    ChargePoint.objects.filter(pk=pk).update(owner=chance.choice(GATEWAYS))
                time.sleep(0.005)
        finally:
            connection.close()


@pytest.mark.django_db(transaction=True)
def test_n15_order_survives_moves_between_gateways() -> None:
    """Each command is tried until it was sent, and none before those that were asked for sooner."""
    rows = [factories.charge_point(connected=True, owner=GATEWAYS[0]) for _ in range(CHARGERS)]
    for _ in range(EACH):
        batch_send(charge_points=rows, request=request("Reset"))
    gateways = Gateways()
    gateways.run()
    assert gateways.problems == []
    assert set(Command.objects.values_list("state", flat=True)) <= {"accepted", "timed out"}
    for row in rows:
        asked = list(row.commands.order_by("id").values_list("id", flat=True))
        tries = gateways.tries[row.pk]
        assert tries == sorted(tries)
        assert list(dict.fromkeys(tries)) == asked
