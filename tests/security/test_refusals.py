"""What the edges turn away before any login is a security event too, folded under a flood."""

import socket
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from websockets.exceptions import ConnectionClosed

from csms.models import SecurityEvent
from csms.services import refusals, security_events
from csms.services.security_events import event_keep, refusals_keep
from tests import factories
from tests.ocpp_soap.house import message
from tests.running import post
from tests.security.door import OUTSIDE, Knock, charge_point

if TYPE_CHECKING:
    from tests.security.door import Door

pytestmark = pytest.mark.django_db(transaction=True)

KEY = b"0123456789abcdef"
FORWARDED = {"X-Forwarded-For": OUTSIDE}


def events() -> list[tuple[str, str, str]]:
    rows = SecurityEvent.objects.order_by("id")
    return [(row.kind, row.tech_info, row.remote_address) for row in rows]


# -------------------------------------------------------------------------------- OCPP-J


@pytest.mark.parametrize(
    ("text", "code"), [("x" * (2 * 1024 * 1024), 1009), (b"\xff", 1007)], ids=["long", "no UTF-8"]
)
def test_a_protocol_that_is_broken(door: "Door", text: str | bytes, code: int) -> None:
    """1009, 1007: the event names the charge point, and is found by its type in the admin."""
    row = charge_point(security_profile=1, key=KEY)
    with door.connect(row.identity, Knock(KEY)) as charger:
        charger.socket.send(text, text=True)
        with pytest.raises(ConnectionClosed):
            charger.socket.recv(timeout=10)
        charger.socket.close_socket()
    door.system.settle()
    event = SecurityEvent.objects.get()
    assert (event.kind, event.charge_point_id, event.ours) == ("InvalidMessages", row.pk, True)
    assert event.tech_info.startswith(f"Closed with {code}")
    client = Client()
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(User.objects.create_superuser("admin"), backend)
    page = client.get("/admin/csms/securityevent/", {"kind": "InvalidMessages"})
    assert f"Closed with {code}" in page.content.decode()


def test_handshakes_that_are_refused(door: "Door") -> None:
    assert door.json("NOBODY", Knock(address=OUTSIDE)) == 404
    assert door.json("a\\secret-of-mine", Knock(address=OUTSIDE)) == 400
    door.system.written()
    (unknown, invalid) = SecurityEvent.objects.order_by("id")
    assert (unknown.kind, unknown.identity) == ("UnknownChargePoint", "NOBODY")
    assert (invalid.kind, invalid.identity) == ("InvalidMessages", "")
    assert "secret" not in invalid.tech_info


def test_bytes_that_no_database_takes(door: "Door") -> None:
    """A path of broken bytes: the event is kept all the same."""
    host, _, port = door.system.json_url.removeprefix("ws://").partition(":")
    with socket.create_connection((host, int(port)), 5) as raw:
        raw.sendall(
            b"GET /%EF%BF%BE\xff\xfe HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\n\r\n"
        )
        raw.recv(100)
    refusals.note("InvalidMessages", "a\0\ud800", address=OUTSIDE, identity="b\0\udfff")
    door.system.written()
    assert (OUTSIDE, "b␀?") in SecurityEvent.objects.values_list("remote_address", "identity")


# -------------------------------------------------------------------------------- OCPP-S

ATTRIBUTES = " ".join(f'a{number}=""' for number in range(100))


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        ("<!DOCTYPE a><a/>", {}, "HTTP 400, A SOAP message must not contain a DOCTYPE."),
        (f"<a {ATTRIBUTES}/>", {}, "HTTP 400, The envelope is too complex."),
        ("<a/>", {"Content-Encoding": "br"}, "HTTP 415, This Content-Encoding is not supported."),
        (b"x" * 2_000_000, {}, "HTTP 413, The message is too large."),
    ],
    ids=["DOCTYPE", "attributes", "415", "413"],
)
def test_bodies_that_are_refused(
    door: "Door", body: str | bytes, headers: dict[str, str], said: str
) -> None:
    for _ in range(3):
        post(door.system, body, **FORWARDED, **headers)
    door.system.written()
    assert events() == [("InvalidMessages", f"3 times: {said}", OUTSIDE)]


def test_the_path_names_another_identity(door: "Door") -> None:
    charge_point(identity="OLD7", transport="soap", security_profile=1, key=KEY)
    answer = post(door.system, message("Heartbeat", identity="OLD7"), "/OLD8", **FORWARDED)
    assert "IdentityMismatch" in answer.text
    door.system.written()
    ((kind, _, address),) = events()
    assert (kind, address) == ("IdentityMismatch", OUTSIDE)


def test_refusals_that_are_kept_already_are_kept_once(door: "Door") -> None:
    row = charge_point(transport="soap", security_profile=1, key=KEY)
    assert door.soap(row.identity, Knock(b"wrong", address=OUTSIDE))[0] == 401
    assert door.soap(row.identity, Knock(KEY, user="OTHER", address=OUTSIDE))[0] == 400
    door.system.written()
    assert [kind for kind, _, _ in events()] == ["InvalidCredentials", "IdentityMismatch"]


# --------------------------------------------------------------------------------- floods


def test_a_flood_is_two_rows_and_then_fewer_and_fewer() -> None:
    """A row at once, then how many more there were, after times that double."""
    now, rows = 0.0, []
    while now < 3600:
        refusals.note("InvalidMessages", f"HTTP 400: {now}", address="2001:db8::1")
        due = [(one, one.times) for one in refusals.take(now)]
        rows += [(now, one.text) for one, _ in due]
        refusals.written(due, now)
        now += 1
    assert [at for at, _ in rows] == [0, 300, 900, 2100]
    assert rows[0][1] == "HTTP 400: 0.0"
    assert rows[1][1].startswith("300 more: ")
    refusals.take(now + 10_000)
    refusals.written([(one, one.times) for one in refusals.take(now + 10_000)], now + 10_000)
    assert refusals.take(now + 50_000) == []
    refusals.note("InvalidMessages", "HTTP 400: anew", address="2001:db8::2")
    assert [one.text for one in refusals.take(now + 50_000)] == ["HTTP 400: anew"]


def test_a_flood_from_everywhere_is_bounded() -> None:
    for number in range(refusals.MOST + 5000):
        refusals.note("InvalidMessages", "HTTP 400", address=f"10.{number >> 8}.{number & 255}.1")
    taken = 0
    while due := [(one, one.times) for one in refusals.take(0.0)]:
        assert len(due) <= refusals.AT_ONCE
        taken += len(due)
        last = due[-1][0].text
        refusals.written(due, 0.0)
    assert taken == refusals.MOST + 1
    assert last == "5,000 times: from many addresses"


@pytest.mark.anyio
async def test_a_charge_point_that_was_deleted_meanwhile() -> None:
    from asgiref.sync import sync_to_async

    refusals.note("InvalidMessages", "a", address=OUTSIDE, charger_pk=999_999)
    refusals.note("InvalidMessages", "b", address=OUTSIDE)
    await refusals_keep()
    assert [info for _, info, _ in await sync_to_async(events)()] == ["b"]


def test_an_event_that_was_not_saved_is_kept_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = factories.charge_point()
    event: dict[str, Any] = {
        "charge_point": row,
        "identity": row.identity,
        "kind": "InvalidCredentials",
        "info": "",
        "remote_address": OUTSIDE,
        "now": factories.now(),
    }
    with monkeypatch.context() as patch:
        patch.setattr(SecurityEvent, "save", _locked)
        with pytest.raises(OperationalError):
            event_keep(**event)
    event_keep(**event)
    event_keep(**event)
    assert SecurityEvent.objects.count() == 1
    assert security_events.is_kept(
        identity=row.identity, kind="InvalidCredentials", remote_address=OUTSIDE
    )


def _locked(*_: Any, **__: Any) -> None:
    raise OperationalError("database is locked")
