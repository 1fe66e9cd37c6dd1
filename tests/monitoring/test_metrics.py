"""/metrics over HTTP: what is counted of messages, calls, handshakes; who may read it."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from csms.metrics import fleet
from csms.services.commands import command_send
from csms.services.log import LogEntry
from csms.services.metrics import meters
from csms.services.tokens import token_add, token_revoke
from tests import factories
from tests.monitoring.reading import Numbers, Since, ask
from tests.ocpp_soap.house import message
from tests.running import System, post, running, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

INVENTED = "Invented\n} 7"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "monitoring.md"


def test_messages_of_both_transports(system: System) -> None:
    since = Since(system)
    charger = system.charger(factories.charge_point(identity="COUNTED-1"))
    for _ in range(3):
        charger.call("Heartbeat")
    assert charger.ask(json.dumps([2, "x", INVENTED, {}]))[0] == 4
    assert charger.ask(json.dumps([2, "y", "StatusNotification", {}]))[0] == 4
    soap = factories.charge_point(identity="COUNTED-2", transport="soap")
    assert post(system, message("Heartbeat", identity=soap.identity)).status_code == 200
    assert post(system, message("Heartbeat", identity="NOBODY")).status_code != 200
    assert post(system, "<broken").status_code == 400
    name = "csms_messages_total"
    wait_for(lambda: since.of(name, action="Heartbeat", transport="soap", result="accepted") == 1)
    assert since.of(name, action="Heartbeat", transport="json", result="accepted") == 3
    assert since.of(name, action="other", transport="json", result="UnknownAction") == 1
    wrong = {"action": "StatusNotification", "result": "OccurrenceConstraintViolation"}
    assert since.of(name, transport="json", **wrong) == 1
    assert since.of(name, action="Heartbeat", transport="soap", result="SecurityViolation") == 1
    assert since.of(name, action="other", transport="soap", result="RpcViolation") == 1
    assert since.of("csms_message_seconds_count", transport="json") == 5
    assert since.of("csms_message_seconds_bucket", transport="json", le="+Inf") == 5
    assert 0 < since.of("csms_message_seconds_sum", transport="json") < 10
    assert since.of("csms_inbox_batch_messages_sum") == 7
    assert 1 <= since.of("csms_inbox_batch_seconds_count") <= 7


def test_no_label_is_made_up_by_a_charge_point(system: System) -> None:
    """Names and identities of charge points neither multiply the series nor appear."""
    charger = system.charger(factories.charge_point(identity="NAMELESS-1"))
    charger.ask(json.dumps([2, "a", INVENTED, {}]))
    before = Numbers(system)
    for number in range(20):
        charger.ask(json.dumps([2, f"b{number}", f"Invented{number}", {}]))
    after = Numbers(system)
    assert set(after.series) == set(before.series)
    assert "Invented" not in after.text
    assert "NAMELESS" not in after.text


def test_connections_and_refused_handshakes(system: System) -> None:
    since = Since(system)
    row = factories.charge_point()
    with system.charger(row):
        assert since.of("csms_connections", transport="json") == 1
    wait_for(lambda: since.of("csms_connections", transport="json") == 0)
    locked = factories.charge_point(security_profile=1)
    for path, status in (("/NOBODY", 404), ("/", 404), (f"/{locked.identity}", 401)):
        with pytest.raises(InvalidStatus) as refused:
            system.charger(row, path=path)
        assert refused.value.response.status_code == status
    assert httpx.get(system.json_url.replace("ws:", "http:")).status_code == 426
    assert since.of("csms_handshakes_refused_total", reason="unknown") == 2
    assert since.of("csms_handshakes_refused_total", reason="unauthorized") == 1
    assert since.of("csms_handshakes_refused_total", reason="no websocket") == 1


def test_calls_and_what_became_of_commands(system: System) -> None:
    since = Since(system)
    charger = system.charger(factories.charge_point(registration="accepted"))
    for answer in (
        lambda number: [3, number, {"status": "Accepted"}],
        lambda number: [4, number, "InternalError", "", {}],
    ):
        from csms.ocpp.core import ClearCache

        command_send(charge_point=charger.row, request=ClearCache())
        system.deliver()
        charger.send(json.dumps(answer(charger.receive()[1])))
    what = {"action": "ClearCache", "transport": "json"}
    wait_for(lambda: since.of("csms_commands_ended_total", state="error") == 1)
    assert since.of("csms_commands_ended_total", state="accepted") == 1
    assert since.of("csms_calls_total", **what, result="answered") == 1
    assert since.of("csms_calls_total", **what, result="error") == 1


def test_what_waits_in_the_database(system: System) -> None:
    now = timezone.now()
    offline = factories.charge_point()
    online = factories.charge_point(connected=True)
    factories.charge_point(transport="soap", last_seen=now)
    factories.charge_point(transport="soap", last_seen=now - timedelta(days=1))
    queued = {"state": "queued", "expires_at": now + timedelta(days=2)}
    factories.command(offline, **queued, created_at=now - timedelta(hours=2))
    factories.command(online, **queued, created_at=now - timedelta(minutes=3))
    factories.command(online, state="sent")
    factories.command(online, state="accepted")
    known = fleet()
    assert known.commands == {"queued": 2, "sent": 1}
    assert known.online == {"json": 1, "soap": 1}
    assert 7200 <= known.oldest < 7300
    assert 180 <= known.oldest_online < 280
    # The page may show what the database said some seconds ago.
    wait_for(lambda: Numbers(system).of("csms_commands", state="queued") == 2, 15)
    shown = Numbers(system)
    assert shown.of("csms_database_up") == 1
    assert shown.of("csms_charge_points_online", transport="soap") == 1
    assert 7200 <= shown.of("csms_outbox_age_seconds", charge_points="any") < 7300


@pytest.mark.django_db
def test_few_queries(django_assert_num_queries: object) -> None:
    for _ in range(5):
        factories.command(factories.charge_point(connected=True), state="queued")
    with django_assert_num_queries(4):  # type: ignore[operator]
        fleet()


def test_lost_rows_of_the_log_are_counted(system: System) -> None:
    from csms import conf
    from csms.services.inbox import Inbox

    since = Since(system)
    inbox = Inbox(conf.read({"CSMS_INBOX_SIZE": "1"}))  # not started: its log takes four rows
    for _ in range(7):
        inbox.record(LogEntry(None, "CP", "json", "in", "", "", "[]"))
    assert since.of("csms_log_dropped_total") == 3


def test_openmetrics_when_asked_for(system: System) -> None:
    response = ask(system, accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    names = {family.name for family in text_string_to_metric_families(response.text)}
    assert {"csms_messages", "csms_message_seconds", "process_open_fds"} <= names


def test_the_document_lists_what_there_is(system: System) -> None:
    """docs/monitoring.md: each family with its labels, and no other."""
    charger = system.charger(factories.charge_point())
    charger.call("Heartbeat")
    with pytest.raises(InvalidStatus):
        system.charger(charger.row, path="/NOBODY")
    meters.call(LogEntry(charger.row.pk, "CP", "json", "out", "Reset", "1", "[2]"))
    listed = re.findall(r"^\| `(csms_\w+)` \| (.*?) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in listed}
    assert len(documented) == len(listed)

    def exposed() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for (name, labels), _ in Numbers(system).series.items():
            if name.startswith("csms_"):
                family = re.sub("_(bucket|count|sum)$", "", name)
                found.setdefault(family, set()).update(dict(labels).keys() - {"le"})
        return found

    wait_for(lambda: "csms_commands" in exposed())  # the database has answered
    assert exposed() == documented


# ------------------------------------------------------------------------------- access


@pytest.fixture
def stranger(transactional_db: None) -> Iterator[System]:
    """A central system to which this machine is a stranger; its settings end with the test, since
    others would be started with them."""
    with running(CSMS_METRICS_NETWORKS="192.0.2.0/24") as system:
        yield system
        system.settle()


def test_a_stranger_needs_a_token(stranger: System) -> None:
    assert ask(stranger).status_code == 403
    assert "csms_" not in ask(stranger).text
    token, text = token_add(name="prometheus")
    allowed = ask(stranger, authorization=f"Bearer {text}")
    assert allowed.status_code == 200
    assert "csms_messages_total" in allowed.text
    for wrong in (f"Bearer {text}x", f"Basic {text}", "Bearer", text):
        assert ask(stranger, authorization=wrong).status_code == 403
    token_revoke(token=token)
    assert ask(stranger, authorization=f"Bearer {text}").status_code == 403


def test_nobody_talks_himself_into_a_network(stranger: System) -> None:
    forwarded = {"x-forwarded-for": "192.0.2.1"}
    assert ask(stranger, **forwarded).status_code == 403


def test_a_proxy_that_is_not_listed_opens_nothing(system: System) -> None:
    """A proxy on this machine comes from loopback with the requests of everybody."""
    assert ask(system).status_code == 200
    assert ask(system, **{"x-forwarded-for": "198.51.100.7"}).status_code == 403


def test_only_get(system: System) -> None:
    url = system.http_url + "/metrics"
    assert httpx.post(url, trust_env=False).status_code == 405
    head = httpx.head(url, trust_env=False)
    assert (head.status_code, head.content) == (200, b"")
