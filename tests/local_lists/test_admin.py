"""The admin's page of local lists, without a browser."""

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from csms.admin import show
from csms.models import Command
from tests import factories
from tests.access.people import signed_in, somebody
from tests.local_lists.rows import current, limits

if TYPE_CHECKING:
    from csms.models import ChargePoint

pytestmark = pytest.mark.django_db

LIST = "/admin/csms/chargepointlocallist/"
UPDATE = f"{LIST}update/"


def test_the_list_shows_each_state(admin_client: Client, charger: "ChargePoint") -> None:
    factories.id_tag("TAG")
    current(charger, version=12)
    stale, off = factories.charge_point(), factories.charge_point()
    failed = factories.charge_point()
    current(stale)
    factories.id_tag("OWN").charge_points.set([stale])
    limits(off, LocalAuthListEnabled="false")
    row = current(failed)
    row.problem = "SendLocalList: <Failed>."
    row.save()
    page = admin_client.get(LIST).content.decode()
    for text in (
        ">up to date<",
        ">stale<",
        ">switched off<",
        "LocalAuthListEnabled is false",
        "SendLocalList: &lt;Failed&gt;.",
    ):
        assert text in page
    assert re.search(r">\s*12\s*<", page)
    page = admin_client.get(LIST, {"state": "stale"}).content.decode()
    assert stale.identity in page
    assert failed.identity not in page
    assert admin_client.get(LIST, {"state": "odd"}).status_code == 200
    found = admin_client.get(show.change_url("chargepointlocallist", off.pk), follow=True)
    assert off.identity in found.content.decode()
    assert stale.identity not in found.content.decode()


def test_the_list_needs_the_same_queries_for_any_number_of_rows(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(LIST).status_code == 200
        return len(captured)

    def made() -> None:
        row = factories.charge_point()
        limits(row)
        current(row)

    made()
    few = queries()
    for _ in range(12):
        made()
    assert queries() == few == 8


def test_chosen_lists_are_updated(admin_client: Client, charger: "ChargePoint") -> None:
    other = factories.charge_point(feature_profiles="Core")
    factories.charge_point()
    data = {"action": "update_lists", "_selected_action": [charger.pk, other.pk], "index": 0}
    page = admin_client.post(LIST, data, follow=True).content.decode()
    assert "1 update begun." in page
    assert "does not support the profile LocalAuthListManagement" in page
    assert Command.objects.get().charge_point == charger


def test_all_lists_are_updated_by_one_action(admin_client: Client, charger: "ChargePoint") -> None:
    factories.charge_point()
    assert "Bring all up to date" in admin_client.get(LIST).content.decode()
    page = admin_client.get(UPDATE).content.decode()
    assert "2 lists are stale, failed or never sent." in page
    assert not Command.objects.exists()
    assert "2 updates begun." in admin_client.post(UPDATE, follow=True).content.decode()
    assert Command.objects.count() == 2
    assert "No list is stale" in admin_client.get(UPDATE).content.decode()


@pytest.mark.parametrize("role", ["viewer", "operator", "manager"])
def test_what_each_role_may(role: str, charger: "ChargePoint") -> None:
    client = signed_in(somebody(role))
    manages = role == "manager"
    page = client.get(LIST).content.decode()
    assert ("Bring all up to date" in page) == manages
    assert client.get(UPDATE).status_code == (200 if manages else 403)
    assert client.post(UPDATE).status_code == (302 if manages else 403)
    assert Command.objects.exists() == manages
    page = client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert "Local list" in page
