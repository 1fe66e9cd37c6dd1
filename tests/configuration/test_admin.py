"""The admin's pages of configuration, without a browser: templates, drift, reading, repairing."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from csms.admin import show
from csms.models import ChargePoint, Command, CommandBatch, ConfigurationTemplate
from csms.services.configuration_templates import template_add
from tests import factories
from tests.access.people import signed_in, somebody
from tests.configuration.rows import told

pytestmark = pytest.mark.django_db

ADD = "/admin/csms/configurationtemplate/add/"
LIST = "/admin/csms/chargepointconfiguration/"
FORM = {
    "name": "Depot",
    "site": "Depot",
    "model": "",
    "vendor": "",
    "values": "HeartbeatInterval = 60\n\n ResetRetries=1",
}


def page_of(charger: ChargePoint, part: str = "change") -> str:
    return f"{LIST}{charger.pk}/{part}/"


def drifting() -> None:
    template_add(name="All", values=[["HeartbeatInterval", "60"], ["NumberOfConnectors", "1"]])


def test_a_template_is_added_and_changed(admin_client: Client) -> None:
    assert admin_client.post(ADD, FORM).status_code == 302
    row = ConfigurationTemplate.objects.get()
    assert row.values == [["HeartbeatInterval", "60"], ["ResetRetries", "1"]]
    url = show.change_url("configurationtemplate", row.pk)
    assert "HeartbeatInterval = 60\nResetRetries = 1" in admin_client.get(url).content.decode()
    assert admin_client.post(url, FORM | {"values": "CpoName = a = b"}).status_code == 302
    row.refresh_from_db()
    assert row.values == [["CpoName", "a = b"]]
    listed = admin_client.get(show.list_url("configurationtemplate")).content.decode()
    assert "CpoName = a = b" in listed
    assert "site Depot" in listed


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"values": "HeartbeatInterval = 60\n\nColour"}, "values", "Line 3: write a key"),
        ({"values": "\nHeartbeatInterval = soon"}, "values", "Line 2: HeartbeatInterval is a"),
        ({"values": "AuthorizationKey = 00"}, "values", "looks like a secret"),
        ({"values": " "}, "values", "at least one key"),
        ({"name": ""}, "name", "required"),
    ],
)
def test_faults_are_said_at_the_field(
    admin_client: Client, changes: dict[str, str], field: str, text: str
) -> None:
    response: Any = admin_client.post(ADD, FORM | changes)
    found = response.context["adminform"].form.errors
    assert list(found) == [field]
    assert text in " ".join(found[field])


def test_the_list_shows_the_drift_of_its_page(admin_client: Client, charger: ChargePoint) -> None:
    drifting()
    told(charger, HeartbeatInterval="300", NumberOfConnectors="2")
    right, unread = factories.charge_point(), factories.charge_point()
    told(right, HeartbeatInterval="60", NumberOfConnectors="1")
    page = admin_client.get(LIST).content.decode()
    for text in ("1 differs", "1 read-only", "2 not read", ">none<"):
        assert text in page
    page = admin_client.get(LIST, {"drift": "1"}).content.decode()
    assert charger.identity in page
    assert right.identity not in page
    page = admin_client.get(LIST, {"drift": "unread"}).content.decode()
    assert unread.identity in page
    assert right.identity not in page


def test_the_list_needs_the_same_queries_for_any_number_of_rows(admin_client: Client) -> None:
    def queries(**query: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(LIST, query).status_code == 200
        return len(captured)

    drifting()
    told(factories.charge_point(), HeartbeatInterval="1")
    few, filtered = queries(), queries(drift="1")
    for _ in range(12):
        told(factories.charge_point(), HeartbeatInterval="1")
    assert queries() == few == 7
    assert queries(drift="1") == filtered == 8


def test_a_page_of_one_shows_keys_and_drift(admin_client: Client, charger: ChargePoint) -> None:
    page = admin_client.get(page_of(charger)).content.decode()
    assert "never read as a whole" in page
    drifting()
    told(charger, HeartbeatInterval="300", NumberOfConnectors="2", SimPIN="", Colour="<b>")
    page = admin_client.get(page_of(charger)).content.decode()
    assert "Between heartbeats, after a boot too. (integer, s)" in page
    assert "can only be read" in page
    assert "•••" in page
    assert "&lt;b&gt;" in page
    assert admin_client.get(f"{LIST}99999/change/").status_code == 404
    assert admin_client.get(f"{LIST}x/change/").status_code == 404


def test_a_key_leads_to_the_form_that_sets_it(admin_client: Client, charger: ChargePoint) -> None:
    """With its value there already; not where it can only be read, or does not exist."""
    told(charger, HeartbeatInterval="300", NumberOfConnectors="2", Colour=None, SimPIN="")
    page = admin_client.get(page_of(charger)).content.decode()
    links = [unescape(found) for found in re.findall(r'href="([^"]*)">Change<', page)]
    assert [dict(parse_qsl(urlsplit(link).query))["key"] for link in links] == [
        "HeartbeatInterval",
        "SimPIN",
    ]
    form: Any = admin_client.get(links[0]).context["form"]
    assert (form["key"].value(), form["value"].value()) == ("HeartbeatInterval", "300")
    assert "value=" not in links[1], "a secret is not told"
    assert not Command.objects.exists()
    page = signed_in(somebody("operator")).get(page_of(charger)).content.decode()
    assert ">Change<" not in page, "operators may not send ChangeConfiguration"


def test_a_charge_points_page_leads_here(admin_client: Client, charger: ChargePoint) -> None:
    page = admin_client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    for text in (
        f'href="{page_of(charger)}">Configuration<',
        f'href="{show.list_url("chargepointlocallist", q="CP-1")}">Local list<',
    ):
        assert text in page


def test_one_is_read_and_repaired(admin_client: Client, charger: ChargePoint) -> None:
    drifting()
    assert admin_client.get(page_of(charger, "read")).status_code == 405
    admin_client.post(page_of(charger, "read"))
    assert Command.objects.get().payload == {}
    told(charger, HeartbeatInterval="300", NumberOfConnectors="2")
    page = admin_client.post(page_of(charger, "repair"), follow=True).content.decode()
    assert "1 command on the way." in page
    assert "NumberOfConnectors: It has another value and can only be read" in page
    command = Command.objects.get(action="ChangeConfiguration")
    assert command.payload == {"key": "HeartbeatInterval", "value": "60"}


def _act(client: Client, action: str, *rows: ChargePoint) -> Any:
    data = {"action": action, "_selected_action": [row.pk for row in rows], "index": 0}
    return client.post(LIST, data)


def test_many_are_read_and_repaired(admin_client: Client, charger: ChargePoint) -> None:
    other = factories.charge_point(configuration_by_name=True)
    response = _act(admin_client, "read_configuration", charger, other)
    assert response.status_code == 302
    assert {str(batch.payload) for batch in CommandBatch.objects.all()} == {
        "{}",
        "{'key': ['GetConfigurationMaxKeys']}",
    }
    response = _act(admin_client, "repair_configuration", charger, other)
    assert response.status_code == 302
    assert "Nothing drifts" in admin_client.get(LIST).content.decode()
    drifting()
    told(charger, HeartbeatInterval="300")
    told(other, HeartbeatInterval="300")
    response = _act(admin_client, "repair_configuration", charger, other)
    batch = CommandBatch.objects.get(action="ChangeConfiguration")
    assert response["Location"] == show.change_url("commandbatch", batch.pk)
    assert batch.commands.count() == 2


@pytest.mark.parametrize("role", ["viewer", "operator", "manager"])
def test_what_each_role_may(role: str, charger: ChargePoint) -> None:
    drifting()
    told(charger, HeartbeatInterval="300")
    client = signed_in(somebody(role))
    reads, manages = role != "viewer", role == "manager"
    assert client.get(LIST).status_code == client.get(page_of(charger)).status_code == 200
    assert client.get(ADD).status_code == (200 if manages else 403)
    assert client.post(page_of(charger, "read")).status_code == (302 if reads else 403)
    assert client.post(page_of(charger, "repair")).status_code == (302 if manages else 403)
    page = client.get(page_of(charger)).content.decode()
    assert ('id="read"' in page, 'id="repair"' in page) == (reads, manages)
    page = client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert "Configuration" in page


def test_nothing_is_seen_without_permission(charger: ChargePoint) -> None:
    user = somebody("viewer")
    user.groups.clear()
    client = signed_in(user)
    assert client.get(LIST).status_code == client.get(page_of(charger)).status_code == 403
