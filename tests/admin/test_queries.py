"""Every list and its detail page: how many queries, whatever the number of rows."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from csms.admin import show
from csms.admin.paginator import BoundedPaginator, bounded_count, bounded_text
from csms.models import IdTag
from tests import factories

pytestmark = pytest.mark.django_db

FACTORIES: dict[str, Callable[[], Any]] = {
    "chargepoint": lambda: factories.connector(factories.charge_point()).charge_point,
    "connector": lambda: factories.connector(factories.charge_point()),
    "transaction": lambda: factories.transaction(factories.charge_point()),
    "metervalue": lambda: _metered(),
    "idtag": lambda: factories.id_tag(),
    "unknownchargepoint": lambda: factories.unknown(),
    "message": lambda: factories.message(factories.charge_point()),
    "quarantinedmessage": lambda: factories.quarantined(factories.charge_point()),
    "securityevent": lambda: factories.security_event(factories.charge_point()),
    "certificatesigningrequest": lambda: factories.signing_request(factories.charge_point()),
    "transferstatus": lambda: factories.transfer(factories.charge_point()),
    "command": lambda: factories.command(factories.charge_point()),
    "webhooksubscription": lambda: factories.webhook(),
    "webhookevent": lambda: factories.webhook_event(factories.webhook()),
    "unknowntransfer": lambda: factories.unknown_transfer(),
}

# Session and user are two of each; then the bounded count, the rows, and what is prefetched.
LIST_QUERIES = {
    "chargepoint": 5,
    "connector": 4,
    "transaction": 4,
    "metervalue": 6,
    "idtag": 4,
    "unknownchargepoint": 4,
    "message": 4,
    "quarantinedmessage": 4,
    "securityevent": 4,
    "certificatesigningrequest": 4,
    "transferstatus": 4,
    "command": 4,
    "webhooksubscription": 4,
    "webhookevent": 4,
    "unknowntransfer": 4,
}


def _metered() -> Any:
    charger = factories.charge_point()
    return factories.meter_value(charger, transaction=factories.transaction(charger))


def _queries(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = client.get(url)
    assert response.status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize("model", sorted(FACTORIES))
def test_a_list_needs_the_same_queries_for_any_number_of_rows(
    model: str, admin_client: Client
) -> None:
    FACTORIES[model]()
    few = _queries(admin_client, show.list_url(model))
    for _ in range(12):
        FACTORIES[model]()
    many = _queries(admin_client, show.list_url(model))
    assert len(few) == len(many) == LIST_QUERIES[model], "\n".join(many)


@pytest.mark.parametrize("model", sorted(FACTORIES))
def test_a_list_counts_no_further_than_ten_thousand_and_reads_no_distinct_values(
    model: str, admin_client: Client
) -> None:
    FACTORIES[model]()
    for sql in _queries(admin_client, show.list_url(model)):
        assert "DISTINCT" not in sql
        if "COUNT(" in sql:
            assert "LIMIT 10001" in sql


@pytest.mark.parametrize("model", sorted(FACTORIES))
def test_a_detail_page_opens_and_an_empty_list_too(model: str, admin_client: Client) -> None:
    assert admin_client.get(show.list_url(model)).status_code == 200
    row = FACTORIES[model]()
    assert admin_client.get(show.change_url(model, row.pk)).status_code == 200


def test_the_overview_needs_the_same_queries_for_any_fleet(admin_client: Client) -> None:
    few = _queries(admin_client, "/admin/")
    for make in FACTORIES.values():
        for _ in range(5):
            make()
    many = _queries(admin_client, "/admin/")
    assert len(few) == len(many) == 8, "\n".join(many)


def test_the_paginator_stops_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csms.admin.paginator.LIMIT", 3)
    for _ in range(5):
        factories.id_tag()
    paginator = BoundedPaginator(IdTag.objects.all(), 2)
    assert (paginator.count, paginator.has_more, paginator.num_pages) == (3, True, 2)


def test_bounded_counts_say_when_there_is_more() -> None:
    for _ in range(3):
        factories.id_tag()
    assert bounded_count(IdTag.objects.all(), limit=2) == 3
    assert bounded_text(3, limit=2) == "2+"
    assert bounded_text(2, limit=2) == "2"
