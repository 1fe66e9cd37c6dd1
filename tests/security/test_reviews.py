"""Connections that are open while what they were admitted by is changed or has to wait."""

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from csms import conf
from csms.models import AuditEntry, ChargePoint, SecurityEvent
from csms.services import admission
from csms.services.charge_points import charge_point_change, password_set
from csms.services.passwords import rotation_begin, rotation_seen
from csms.services.retention import records_trim
from tests import factories
from tests.running import wait_for
from tests.security.door import Knock, charge_point

if TYPE_CHECKING:
    from tests.security.door import Door

pytestmark = pytest.mark.django_db(transaction=True)

KEY = b"0123456789abcdef"


def new_key(row: ChargePoint) -> None:
    password_set(charge_point=row, password="ab" * 20)


def new_profile(row: ChargePoint) -> None:
    charge_point_change(charge_point=row, security_profile=2)


def new_name(row: ChargePoint) -> None:
    charge_point_change(charge_point=row, certificate_name="OTHER")


@pytest.mark.parametrize("change", [new_key, new_profile, new_name])
def test_who_was_changed_by_hand_must_log_in_anew(door: "Door", change: Any) -> None:
    """1008 soon after the change, and the old connection has no say from the change on."""
    row = charge_point(security_profile=1, key=KEY)
    with door.connect(row.identity, Knock(KEY)) as charger:
        charger.lives()
        watching = asyncio.run_coroutine_threadsafe(door.system.server.watch(), door.system.loop)
        try:
            change(ChargePoint.objects.get())
            assert not ChargePoint.objects.get().connected
            with pytest.raises(ConnectionClosed) as ended:
                charger.receive(seconds=5)
        finally:
            watching.cancel()
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1008
    wait_for(lambda: not door.system.server.connections)


def test_what_concerns_no_login_ends_no_connection(door: "Door") -> None:
    """Nor does a rotation that the charge point accepted itself."""
    row = charge_point(security_profile=1, key=KEY)
    with door.connect(row.identity, Knock(KEY)) as charger:
        charger.lives()
        row = ChargePoint.objects.get()
        charge_point_change(charge_point=row, name="new", security_profile=1)
        rotation_begin(row)
        rotation_seen(row)
        door.system.run(door.system.server.review())
        charger.lives()


def test_who_was_deleted_is_disconnected(door: "Door") -> None:
    row = charge_point(security_profile=1, key=KEY)
    with door.connect(row.identity, Knock(KEY)) as charger:
        charger.lives()
        ChargePoint.objects.all().delete()
        door.system.run(door.system.server.review())
        with pytest.raises(ConnectionClosed):
            charger.receive(seconds=5)


# -------------------------------------------------------------------------------- outages


def test_a_database_that_does_not_answer_is_503_in_time(
    door: "Door", monkeypatch: pytest.MonkeyPatch
) -> None:
    """F3: a locked database may take longer to say so than a handshake lasts."""
    row = charge_point(security_profile=1, key=KEY)
    monkeypatch.setattr(admission, "PATIENCE", 0.3)
    monkeypatch.setattr(admission, "charge_point_admit", lambda **_: time.sleep(1.5))
    began = time.monotonic()
    assert door.json(row.identity, Knock(KEY)) == 503
    assert time.monotonic() - began < 1.4


def test_slow_hashes_are_not_piled_up(door: "Door", monkeypatch: pytest.MonkeyPatch) -> None:
    """503 when more wait than can be done in time; the try is not counted."""
    row = charge_point(security_profile=1)
    ChargePoint.objects.update(password="pbkdf2_sha256$1$a$b")
    monkeypatch.setattr(admission, "MOST_SLOW", 0)
    assert [door.json(row.identity, Knock(b"x")) for _ in range(8)] == [503] * 8


# ------------------------------------------------------------------------------ retention


def test_security_events_and_changes_go_with_age() -> None:
    now, row = factories.now(), charge_point(key=KEY)
    for days in (400, 366, 364, 0):
        factories.security_event(row, received_at=now - timedelta(days=days))
    AuditEntry.objects.all().delete()
    for days in (4000, 10):
        AuditEntry.objects.create(
            at=now - timedelta(days=days), action="changed", kind="a", object_key="1"
        )
    assert records_trim(now=now, config=conf.read({})) == 2
    assert records_trim(now=now, config=conf.read({})) == 0
    assert (SecurityEvent.objects.count(), AuditEntry.objects.count()) == (2, 2)
    config = conf.read({"CSMS_EVENT_RETENTION_DAYS": "0", "CSMS_AUDIT_RETENTION_DAYS": "30"})
    assert records_trim(now=now, config=config) == 1
    assert (SecurityEvent.objects.count(), AuditEntry.objects.count()) == (2, 1)
