"""What is refused is seen: security events, their limits, mails, and the overview (N12)."""

import logging
import re
import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils.html import strip_tags

from csms import conf
from csms.models import ChargePoint, SecurityEvent, UnknownChargePoint
from csms.services import attempts, security_events
from csms.services.charge_points import charge_point_add
from tests import factories
from tests.security.door import OUTSIDE, Knock, charge_point

if TYPE_CHECKING:
    from tests.security.door import Door

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = b"0123456789abcdef"


def admin() -> Client:
    client = Client()
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(User.objects.create_superuser("admin"), backend)
    return client


# ------------------------------------------------------------------------- brute force


@pytest.mark.parametrize("transport", ["json", "soap"])
def test_guessing_does_not_lock_the_real_one_out(
    door: "Door", transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    """401, then 429; the real charge point's key is let in, also from the attacker's address."""
    row = charge_point(transport=transport, security_profile=1, key=KEY)
    knock = door.json if transport == "json" else lambda name, how: door.soap(name, how)[0]
    guesses = [
        knock(row.identity, Knock(b"guess %d" % number, address=OUTSIDE)) for number in range(8)
    ]
    assert guesses == [401] * attempts.GUESSES + [429] * 3
    for number in range(8):
        knock(row.identity, Knock(b"guess %d" % number))
    assert door.admits(row, Knock(KEY))  # from an address that is over its limit, behind one NAT
    assert door.admits(row, Knock(KEY, address="203.0.113.5"))
    events = SecurityEvent.objects.filter(remote_address=OUTSIDE).order_by("id")
    assert [event.kind for event in events] == ["InvalidCredentials", "TooManyAttempts"]
    lines = [record.getMessage() for record in caplog.records if record.name == "csms.security"]
    assert any(line.startswith("TooManyAttempts") for line in lines)


def test_trying_names_does_not_lock_the_real_ones_out(door: "Door") -> None:
    """Many identities from one address: 404, then 429; keys and who is known there are let in."""
    here, new = (charge_point(security_profile=1, key=KEY) for _ in range(2))
    person = charge_point_add(identity="PERSON", transport="json", password="chosen by a person")
    assert door.admits(here, Knock(KEY, address=OUTSIDE))
    tried = [door.json(f"NAME-{n}", Knock(address=OUTSIDE)) for n in range(attempts.IDENTITIES + 3)]
    assert tried == [404] * attempts.IDENTITIES + [429] * 3
    assert UnknownChargePoint.objects.count() == attempts.IDENTITIES
    assert door.json(person.identity, Knock(b"chosen by a person", address=OUTSIDE)) == 429
    assert door.admits(new, Knock(KEY, address=OUTSIDE))
    assert door.soap("NAME-0", Knock(address=OUTSIDE)) == (429, "SecurityError")
    assert door.admits(here, Knock(KEY, address=OUTSIDE))
    assert door.admits(new, Knock(KEY))
    assert SecurityEvent.objects.get().kind == "TooManyAttempts"


# ---------------------------------------------------------------------- identity abuse


@pytest.mark.parametrize(
    "path",
    ["/..", "/%2e%2e", "/a%2Fb", "/a%00b", "/%FF", "/cp1", "/CP1%20", "/" + "x" * 10_000],
)
def test_identities_that_are_abused(door: "Door", path: str) -> None:
    """400 or 404 (or the request is too long), on both transports, and nothing is left behind."""
    charge_point(identity="CP1")
    for url, method in ((door.system.json_url, "GET"), (door.system.soap_url + "/", "POST")):
        where = urlsplit(url)
        target = where.path.rstrip("/") + path
        head = [
            f"{method} {target} HTTP/1.1",
            "Host: csms",
            "X-Forwarded-For: 192.0.2.7",
            "Content-Length: 0",
            *("Upgrade: websocket", "Connection: Upgrade") * (method == "GET"),
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ]
        with socket.create_connection((where.hostname, where.port), 5) as raw:
            raw.sendall("\r\n".join([*head, "", ""]).encode())
            status = raw.recv(100).split(b" ")[1]
        assert status in (b"400", b"404", b"414", b"431"), (method, status)
    assert ChargePoint.objects.get().identity == "CP1"
    assert not ChargePoint.objects.filter(connected=True).exists()


# ----------------------------------------------------------------------- N12, overview


@pytest.mark.parametrize("kind", ["TamperDetectionActivated", "NothingWeKnow", "<b>x</b>"])
def test_n12_every_type_is_acknowledged_and_shown(door: "Door", kind: str) -> None:
    """N12: unknown types too; in the list, on its page and in the overview, escaped."""
    row = charge_point(security_profile=1, key=KEY)
    said = {"type": kind, "timestamp": "2026-03-01T00:00:00Z", "techInfo": "t"}
    with door.connect(row.identity, Knock(KEY)) as charger:
        assert charger.call("SecurityEventNotification", **said) == {}
    event = SecurityEvent.objects.get()
    assert (event.kind, event.ours) == (kind, False)
    client = admin()
    for page in ("/admin/", "/admin/csms/securityevent/", f"/admin/csms/securityevent/{event.pk}/"):
        text = client.get(page, follow=True).content.decode()
        assert kind.replace("<", "&lt;").replace(">", "&gt;") in text
    found = client.get("/admin/csms/securityevent/", {"kind": kind}).context["cl"].result_list
    assert [shown.pk for shown in found] == [event.pk]


def test_a_flood_is_one_line_of_the_overview(db: None) -> None:
    first, other = factories.charge_point(identity="QUIET"), factories.charge_point(identity="LOUD")
    factories.security_event(first, kind="TamperDetectionActivated")
    for _ in range(60):
        factories.security_event(other, kind="InvalidCredentials")
    page = admin().get("/admin/")
    shown = [(event["kind"], event["times"]) for event in page.context["events"]]
    assert [(strip_tags(kind), times) for kind, times in shown] == [
        ("InvalidCredentials", "× 60"),
        ("TamperDetectionActivated", ""),
    ]
    assert "× 60" in page.content.decode()


def test_refusals_are_filtered_by_group_and_by_address(db: None) -> None:
    row = factories.charge_point()
    kinds = {kind for _, group in security_events.GROUPS.values() for kind in group}
    for kind in kinds:
        factories.security_event(row, kind=kind, ours=True, remote_address=OUTSIDE)
    told = factories.security_event(row, kind="InvalidMessages", remote_address="192.0.2.1")
    client = admin()

    def found(**query: str) -> set[str]:
        rows = client.get("/admin/csms/securityevent/", query).context["cl"].result_list
        return {row.kind for row in rows if row.pk != told.pk}

    for key, (name, group) in security_events.GROUPS.items():
        assert found(refused=key) == set(group)
        assert name in client.get("/admin/csms/securityevent/").content.decode()
    assert found(address=OUTSIDE) == kinds
    assert found(address="198.51.100") == set()
    assert found(address=OUTSIDE, refused="tls", kind="TLSHandshakeFailed") == {
        "TLSHandshakeFailed"
    }


def test_every_refusal_of_ours_is_in_a_group() -> None:
    """As the sources name them."""
    named = set()
    for path in (ROOT / "csms").rglob("*.py"):
        if "simulator" not in path.parts and "ocpp" not in path.parts:
            named |= set(
                re.findall(r'"((?:Invalid|Wrong|TooMany|Unt|TLSH)[A-Z]\w+)"', path.read_text())
            )
    grouped = {kind for _, group in security_events.GROUPS.values() for kind in group}
    assert named - grouped - {"InvalidSignature"} == set()


# -------------------------------------------------------------------------------- mails


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    config = conf.read({"CSMS_ALERT_EMAILS": "ops@example.com, night@example.com"})
    monkeypatch.setattr(security_events, "settings", lambda: config)
    monkeypatch.setattr(security_events, "_mailed", None)


def test_people_are_told_by_mail_once_for_many_events(alerts: None) -> None:
    row = factories.charge_point(identity="CP\u202e1")
    long_ago = factories.now() - security_events.REPEATED - timedelta(minutes=1)
    factories.security_event(row, kind="BeforeTheStart", received_at=long_ago)
    assert security_events.events_mail() == 0
    for _ in range(3):
        factories.security_event(row, kind="InvalidCredentials", remote_address=OUTSIDE)
    factories.security_event(row, kind="TooManyAttempts")
    assert security_events.events_mail() == 4
    assert security_events.events_mail() == 0
    (sent,) = mail.outbox
    assert sent.to == ["ops@example.com", "night@example.com"]
    assert sent.subject == "4 security events"
    lines = sent.body.splitlines()
    assert lines[0].split() == ["3", "×", "InvalidCredentials", r"'CP\u202e1'", OUTSIDE]
    assert "BeforeTheStart" not in sent.body


def test_what_a_killed_process_did_not_mail_is_mailed_by_the_next(
    alerts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: within a quarter of an hour of its start some may come twice."""
    factories.security_event(factories.charge_point())
    for _ in range(2):
        monkeypatch.setattr(security_events, "_mailed", None)
        assert security_events.events_mail() == 1
        assert security_events.events_mail() == 0
    assert len(mail.outbox) == 2


def test_a_mail_that_cannot_be_sent_is_sent_later(
    alerts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = factories.charge_point()
    security_events.events_mail()
    factories.security_event(row)
    with monkeypatch.context() as patch:
        patch.setattr(
            "django.conf.settings.EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend"
        )
        patch.setattr("django.conf.settings.EMAIL_HOST", "127.0.0.1")
        patch.setattr("django.conf.settings.EMAIL_PORT", 9)
        with pytest.raises(OSError, match="refused"):
            security_events.events_mail()
    assert security_events.events_mail() == 1
    assert len(mail.outbox) == 1


def test_without_receivers_nothing_is_mailed() -> None:
    factories.security_event(factories.charge_point())
    assert security_events.events_mail() == 0
    assert mail.outbox == []


def test_log_lines_cannot_be_forged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "csms.security"):
        security_events.event_of(
            charge_point=None,
            identity="a\nb\x1b",
            kind="IdentityMismatch",
            info="user\nforged",
            remote_address=OUTSIDE,
            now=factories.now(),
        )
    (record,) = caplog.records
    assert record.getMessage().isprintable()
