"""What only a WebSocket has, on a running system and its database: answers that come too late
(F10), and a second connection of the same charge point (F13).

Over SOAP an answer belongs to its HTTP exchange, and a charge point may have any number of them.
"""

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

from csms.models import ChargePoint, SecurityEvent, Transaction
from csms.ocpp import core
from csms.services.charge_points import password_set
from csms.services.commands import command_send
from tests import factories
from tests.operations.scripted import ended
from tests.running import PATIENCE, JsonCharger, running, wait_for

if TYPE_CHECKING:
    from tests.running import System

KEY = "0123456789abcdef0123456789abcdef"
START = {"connectorId": 1, "idTag": "TAG", "timestamp": "2026-01-02T10:00:00Z", "meterStart": 1}


@pytest.fixture(scope="module")
def lasting_system(django_db_setup: None) -> "Iterator[System]":
    """One that waits a second for answers."""
    with running(CSMS_CALL_TIMEOUT="1") as system:
        yield system


def closed(charger: JsonCharger) -> int | None:
    """The code with which the server has closed."""
    with pytest.raises(ConnectionClosed):
        charger.socket.recv(timeout=PATIENCE)
    return charger.socket.close_code


def now(row: ChargePoint) -> tuple[int, bool]:
    """The epoch of its connection, and whether it is connected."""
    row.refresh_from_db()
    return row.epoch, row.connected


def test_f10_late_answer_is_matched_to_no_other_call(system: "System") -> None:
    """The socket stays; the late Accepted updates its own command; the next call waits for its own
    answer, and gets it."""
    charger = system.charger(factories.charge_point())
    system.deliver()
    late = command_send(charge_point=charger.row, request=core.Reset(type=core.ResetType.SOFT))
    following = command_send(charge_point=charger.row, request=core.ClearCache())
    _, first_id, action, _ = charger.receive()
    assert (action, ended(late).state) == ("Reset", "timed out")
    _, second_id, action, _ = charger.receive()
    assert action == "ClearCache"
    charger.send(json.dumps([3, first_id, {"status": "Accepted"}]))
    assert ended(late, "accepted").answer == {"status": "Accepted"}
    charger.lives()
    following.refresh_from_db()
    assert following.state in ("sent", "timed out")  # not accepted by another's answer
    charger.send(json.dumps([3, second_id, {"status": "Accepted"}]))
    assert ended(following, "accepted").answer == {"status": "Accepted"}


def test_f13_profile_0_keeps_the_connection_that_lives(system: "System") -> None:
    """Anybody can say that name: the new one is closed with 1008, the old one goes on."""
    row = factories.charge_point()
    old = system.charger(row)
    old.lives()
    epoch = now(row)[0]
    assert closed(system.charger(row)) == 1008
    old.lives()
    assert now(row) == (epoch, True)


def test_f13_profile_1_the_newest_connection_wins(system: "System") -> None:
    """It has proved who it is: the old one is closed, its end does not end the new session, the
    answer that it lost is given again, and there is a security event: who has two keys alike?"""
    row = factories.charge_point(security_profile=1)
    password_set(charge_point=row, password=KEY)
    basic = base64.b64encode(f"{row.identity}:{KEY}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    old = system.charger(row, headers=headers)
    first = old.call("StartTransaction", **START)
    epoch = now(row)[0]
    new = system.charger(row, headers=headers)
    new.lives()
    assert closed(old) == 1000
    wait_for(lambda: len(system.server.connections) == 1)
    assert now(row) == (epoch + 1, True)
    assert new.call("StartTransaction", **START) == first
    assert Transaction.objects.get().transaction_id == first["transactionId"]
    event = SecurityEvent.objects.get(kind="ConnectionReplaced")
    assert (event.charge_point, event.ours) == (row, True)
