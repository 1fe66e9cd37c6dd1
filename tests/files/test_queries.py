"""The lists of files: the same number of queries for any number of rows."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from csms import conf
from csms.admin import show
from csms.models.uploads import UploadKind
from csms.services.roll_outs import roll_out_create
from csms.services.uploads import upload_request
from tests import factories
from tests.files.images import image

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(conf, "_changed", {"file_urls": ("http://files.test",)})
    conf.settings.cache_clear()
    yield
    monkeypatch.undo()
    conf.settings.cache_clear()


MAKE: dict[str, Callable[[int], Any]] = {
    "firmwareimage": lambda number: image(version=f"v{number}"),
    "rollout": lambda number: roll_out_create(
        image=image(version=f"v{number}"), charge_points=[factories.charge_point()]
    ),
    "upload": lambda number: upload_request(
        charge_point=factories.charge_point(), kind=UploadKind.DIAGNOSTICS
    ),
}


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


@pytest.mark.parametrize("model", sorted(MAKE))
def test_a_list_needs_the_same_queries_for_any_number_of_rows(
    model: str, admin_client: Client
) -> None:
    queries(admin_client, show.list_url(model))
    MAKE[model](0)
    few = queries(admin_client, show.list_url(model))
    for number in range(1, 9):
        MAKE[model](number)
    assert queries(admin_client, show.list_url(model)) == few == 4


def test_a_roll_out_needs_the_same_queries_for_any_number_of_charge_points(
    admin_client: Client,
) -> None:
    counts = []
    for number in (2, 40):
        chargers = [factories.charge_point() for _ in range(number)]
        row = roll_out_create(image=image(version=f"{number}"), charge_points=chargers)
        counts.append(queries(admin_client, show.change_url("rollout", row.pk)))
    assert counts[0] == counts[1]
