"""Lists: filters, pages by key, and a number of queries that does not grow."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from csms.models import ChargePoint, CommandBatch
from tests import factories
from tests.api.caller import Caller

pytestmark = pytest.mark.django_db


def listed(api: Caller, path: str, **query: Any) -> list[Any]:
    """All items, page after page."""
    items: list[Any] = []
    while True:
        answer = api.get(f"{path}?{urlencode(query)}")
        assert api.status == 200, answer
        assert set(answer) == {"items", "next"}
        items += answer["items"]
        if answer["next"] is None:
            return items
        query["cursor"] = answer["next"]


def metered() -> None:
    charger = ChargePoint.objects.first() or factories.charge_point()
    factories.meter_value(charger, transaction=factories.transaction(charger))


def tagged() -> None:
    factories.id_tag().charge_points.add(factories.charge_point())


FACTORIES: dict[str, Callable[[], Any]] = {
    "charge-points": factories.charge_point,
    "connectors": lambda: factories.connector(factories.charge_point()),
    "transactions": lambda: factories.transaction(factories.charge_point()),
    "meter-values": metered,
    "id-tags": tagged,
    "commands": lambda: factories.command(factories.charge_point()),
}
QUERIES = {
    "charge-points": 4,
    "connectors": 4,
    "transactions": 4,
    "meter-values": 7,
    "id-tags": 5,
    "commands": 4,
}
"""Token, permissions of user and groups, rows; then the filter's charge point, prefetched rows."""


def query_of(path: str) -> str:
    if path != "meter-values":
        return ""
    return f"charge_point={ChargePoint.objects.earliest('pk').identity}"


@pytest.mark.parametrize("path", FACTORIES)
def test_a_list_takes_the_same_queries_for_any_number_of_rows(path: str, reader: Caller) -> None:
    FACTORIES[path]()
    url = f"{path}?{query_of(path)}"
    reader.get(url)  # the first use of a token is noted
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            reader.get(url)
        statements = [query["sql"] for query in captured.captured_queries]
        assert len(statements) == QUERIES[path], "\n".join(statements)
        assert not any("COUNT(" in sql or "OFFSET" in sql for sql in statements)
        for _ in range(7):
            FACTORIES[path]()


@pytest.mark.parametrize("path", FACTORIES)
def test_pages_show_every_row_once_while_rows_come_in(path: str, reader: Caller) -> None:
    for _ in range(7):
        FACTORIES[path]()
    url = f"{path}?{query_of(path)}"
    whole = reader.get(url)["items"]
    assert len(whole) == 7
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = reader.get(f"{url}&limit=3" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["items"]) <= 3
        found += page["items"]
        cursor = page["next"]
        if path in ("transactions", "commands"):  # newest first: what comes in is not met again
            FACTORIES[path]()
    assert found == whole


def test_a_page_that_is_just_full_is_the_last(reader: Caller) -> None:
    for _ in range(3):
        factories.charge_point()
    assert reader.get("charge-points?limit=3")["next"] is None


@pytest.mark.parametrize("cursor", ["x", "", "%00", "MS8x", "LzA", "Ly0x", "é", "L" * 999])
@pytest.mark.parametrize("path", ["charge-points", "transactions?started_to=2030-01-01T00:00:00Z"])
def test_a_cursor_that_is_none_is_refused(path: str, cursor: str, reader: Caller) -> None:
    joined = "&" if "?" in path else "?"
    assert reader.refused("GET", f"{path}{joined}cursor={cursor}") == (422, "cursor")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("charge-points?limit=501", "limit"),
        ("charge-points?limit=0", "limit"),
        ("charge-points?limit=x", "limit"),
        ("charge-points?transport=smoke", "transport"),
        ("charge-points?online=perhaps", "online"),
        ("charge-points?chargepoint=CP1", "chargepoint"),
        ("charge-points?site=%00", "site"),
        ("connectors?charge_point=nobody", "charge_point"),
        ("transactions?started_from=yesterday", "started_from"),
        ("transactions?started_from=2026-01-01T00:00:00", "started_from"),
        ("transactions?state=gone", "state"),
        ("meter-values", "charge_point"),
        ("meter-values?transaction=17", "transaction"),
        ("meter-values?transaction=99999999999999999999", "transaction"),
        ("meter-values?charge_point=nobody", "charge_point"),
        ("commands?action=reset", "action"),
        ("commands?action=Heartbeat", "action"),
        ("commands?effect=lost", "effect"),
        ("commands?effect=", "effect"),
        ("commands?state=lost", "state"),
        ("commands?batch=x", "batch"),
        ("commands?batch=99999999999999999999", "batch"),
        ("id-tags?blocked=x", "blocked"),
    ],
)
def test_a_filter_that_cannot_be_is_named(path: str, field: str, reader: Caller) -> None:
    assert reader.refused("GET", path) == (422, field)


def test_charge_points_are_filtered(reader: Caller) -> None:
    factories.charge_point(
        identity="up", connected=True, site="North", vendor="A", firmware_version="9.9.1"
    )
    factories.charge_point(identity="down", registration="Pending")
    factories.charge_point(identity="soap up", transport="soap")
    factories.charge_point(
        identity="soap down", transport="soap", last_seen=factories.now() - timedelta(days=1)
    )
    for query, expected in (
        ({"identity": "up"}, {"up"}),
        ({"identity": "UP"}, set()),
        ({"site": "North"}, {"up"}),
        ({"vendor": "A"}, {"up"}),
        ({"firmware": "9.9.1"}, {"up"}),
        ({"firmware": "9.9"}, set()),
        ({"transport": "soap"}, {"soap up", "soap down"}),
        ({"registration": "Pending"}, {"down"}),
        ({"online": "true"}, {"up", "soap up"}),
        ({"online": "false"}, {"down", "soap down"}),
        ({"online": "true", "transport": "soap"}, {"soap up"}),
    ):
        rows = listed(reader, "charge-points", **query)
        assert {row["identity"] for row in rows} == expected, query
        if "online" in query:
            assert {row["online"] for row in rows} == {query["online"] == "true"}


def test_connectors_are_filtered(reader: Caller) -> None:
    one = factories.charge_point(identity="one")
    factories.connector(one, 1, status="Charging")
    factories.connector(one, 2)
    factories.connector(factories.charge_point(), 1)
    rows = listed(reader, "connectors", charge_point="one")
    assert [(row["charge_point"], row["connector_id"]) for row in rows] == [("one", 1), ("one", 2)]
    assert [row["status"] for row in listed(reader, "connectors", status="Charging")] == [
        "Charging"
    ]


def test_transactions_are_filtered(reader: Caller) -> None:
    one = factories.charge_point(identity="one")
    start = factories.now() - timedelta(days=10)
    for number in range(4):
        factories.transaction(
            one,
            transaction_id=100 + number,
            id_tag="AbC" if number else "other",
            started_at=start - timedelta(days=number),
        )
    factories.transaction(factories.charge_point(), transaction_id=200, state="open")
    for query, expected in (
        ({"charge_point": "one"}, [103, 102, 101, 100]),
        ({"id_tag": "aBc"}, [103, 102, 101]),
        ({"state": "open"}, [200]),
        ({"charge_point": "one", "state": "open"}, []),
        # A range of time is read along that time.
        (
            {"started_from": f"{start - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}", "limit": 2},
            [200, 100, 101, 102],
        ),
        ({"started_to": f"{start:%Y-%m-%dT%H:%M:%SZ}", "limit": 1}, [101, 102, 103]),
    ):
        rows = listed(reader, "transactions", **query)
        assert [row["transaction_id"] for row in rows] == expected, query
    row = reader.get("transactions/100")
    assert row["energy"] == row["energy_so_far"] == 12_500
    assert row["started_at"] == f"{start:%Y-%m-%dT%H:%M:%SZ}"
    assert reader.get("transactions/200")["energy"] is None


def test_meter_values_of_one_moment_are_all_shown(reader: Caller) -> None:
    charger = factories.charge_point(identity="one")
    run = factories.transaction(charger, transaction_id=7)
    at = factories.now()
    for number in range(5):
        factories.meter_value(charger, transaction=run, bucket_at=at, energy=float(number))
    factories.meter_value(charger, bucket_at=at - timedelta(hours=1))
    rows = listed(reader, "meter-values", transaction=7, limit=2)
    assert [row["energy"] for row in rows] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert {row["transaction_id"] for row in rows} == {7}
    assert {row["at"] for row in rows} == {f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    text = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    assert len(listed(reader, "meter-values", charge_point="one", **{"from": text})) == 5
    earlier = listed(reader, "meter-values", charge_point="one", to=text)
    assert [row["transaction_id"] for row in earlier] == [None]


def test_commands_are_listed_by_operation_and_effect(api: Caller) -> None:
    """Each filter alone, and with others."""
    charger = factories.charge_point()
    for action in ("Reset", "ClearCache"):
        for effect in ("", "waiting", "seen", "missing", "assumed"):
            factories.command(charger, action=action, effect=effect, state="accepted")
    factories.command(charger)
    assert len(listed(api, "commands", action="Reset", limit=2)) == 6
    assert len(listed(api, "commands", action="GetLog")) == 0
    for effect in ("waiting", "seen", "missing", "assumed"):
        rows = listed(api, "commands", effect=effect, limit=1)
        assert [row["action"] for row in rows] == ["ClearCache", "Reset"], "newest first"
        assert {row["effect"] for row in rows} == {effect}
    (row,) = listed(api, "commands", effect="seen", action="Reset", state="accepted")
    assert (row["action"], row["effect"]) == ("Reset", "seen")
    assert listed(api, "commands", effect="seen", state="queued") == []


def test_a_number_beyond_all_rows_finds_nothing(reader: Caller) -> None:
    factories.command(factories.charge_point())
    assert listed(reader, "commands", batch=2**63 - 1) == []
    for number in (2**31, 2**63, 10**30):
        for path in ("command-batches", "transactions"):
            assert reader.refused("GET", f"{path}/{number}") == (404, None)


def test_commands_are_filtered(reader: Caller) -> None:
    one = factories.charge_point(identity="one")
    batch = CommandBatch.objects.create(action="Reset", payload={})
    first = factories.command(one, state="accepted", batch=batch)
    second = factories.command(one, action="ClearCache", payload={})
    factories.command(factories.charge_point())
    for query, expected in (
        ({"charge_point": "one"}, [second.pk, first.pk]),
        ({"state": "accepted"}, [first.pk]),
        ({"batch": batch.pk}, [first.pk]),
        ({"charge_point": "one", "action": "ClearCache"}, [second.pk]),
    ):
        assert [row["id"] for row in listed(reader, "commands", **query)] == expected, query


def test_id_tags_are_filtered(reader: Caller) -> None:
    factories.id_tag("Fleet-1", parent_id_tag="FLEET")
    factories.id_tag("fleet-2", blocked=True)
    factories.id_tag("other")
    for query, expected in (
        ({"prefix": "FLEET"}, ["Fleet-1", "fleet-2"]),
        ({"prefix": "%"}, []),
        ({"blocked": "true"}, ["fleet-2"]),
        ({"parent": "FLEET"}, ["Fleet-1"]),
    ):
        assert [row["id_tag"] for row in listed(reader, "id-tags", **query)] == expected, query
