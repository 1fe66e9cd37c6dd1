"""Charge points in the admin: adding, changing, approving, filtering, deleting."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import check_password
from django.test import Client
from django.utils import timezone

from csms.admin import show
from csms.admin.online import is_online, online_condition
from csms.conf import settings
from csms.models import ChargePoint, UnknownChargePoint
from tests import factories

pytestmark = pytest.mark.django_db
LIST = "/admin/csms/chargepoint/"


def _rows(client: Client, **query: Any) -> list[str]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return [row.identity for row in response.context["cl"].result_list]


def _form(charger: ChargePoint | None = None, **values: Any) -> dict[str, Any]:
    names = (
        *("name", "site", "transport", "version", "strictness", "time_zone", "callback_url"),
        *("security_profile", "soap_proof", "certificate_name"),
    )
    form = {name: getattr(charger or ChargePoint(), name) for name in names}
    inlines = {
        f"{prefix}-{count}": 0
        for prefix in ("connectors", "reservations", "installed_profiles", "uploads", "deviations")
        for count in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    return form | inlines | values


def _change(client: Client, charger: ChargePoint, **values: Any) -> Any:
    url = show.change_url("chargepoint", charger.pk)
    response = client.post(url, _form(charger, **values))
    if response.status_code == 200:
        return response.context["adminform"].form.errors
    charger.refresh_from_db()
    return {}


def test_a_charge_point_is_added_with_its_password(admin_client: Client) -> None:
    factories.unknown("CP 7")
    response = admin_client.post(
        f"{LIST}add/", _form(identity="CP 7", name="Gate", new_password="sixteen characters")
    )
    assert response.status_code == 302
    charger = ChargePoint.objects.get(identity="CP 7")
    assert (charger.name, charger.registration) == ("Gate", "Accepted")
    assert check_password("sixteen characters", charger.password)
    assert not UnknownChargePoint.objects.exists()
    page = admin_client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert charger.password not in page


@pytest.mark.parametrize("identity", ["", "a/b", "CP\u202e1", ".."])
def test_an_impossible_identity_is_refused(identity: str, admin_client: Client) -> None:
    response = admin_client.post(f"{LIST}add/", _form(identity=identity))
    assert "identity" in response.context["adminform"].form.errors
    assert not ChargePoint.objects.exists()


def test_only_what_was_changed_is_written(admin_client: Client) -> None:
    charger = factories.charge_point(connected=False)
    url = show.change_url("chargepoint", charger.pk)
    admin_client.get(url)
    ChargePoint.objects.filter(pk=charger.pk).update(connected=True, epoch=7)
    assert _change(admin_client, charger, name="Roof", site="Graz") == {}
    assert (charger.name, charger.site) == ("Roof", "Graz")
    assert (charger.connected, charger.epoch) == (True, 7)


def test_a_password_is_set_and_removed(admin_client: Client) -> None:
    charger = factories.charge_point()
    assert _change(admin_client, charger, new_password=" a secret ") == {}
    assert check_password(" a secret ", charger.password)
    assert _change(admin_client, charger, name="x") == {}
    assert charger.password
    assert _change(admin_client, charger, remove_password="on") == {}
    assert charger.password == ""
    assert _change(admin_client, charger, remove_password="on", new_password="b")


@pytest.mark.parametrize(
    ("field", "value"), [("time_zone", "Mars/Base"), ("callback_url", "http://127.0.0.1:8080/")]
)
def test_values_the_services_refuse_are_form_errors(
    field: str, value: str, admin_client: Client
) -> None:
    charger = factories.charge_point(transport="soap")
    assert field in _change(admin_client, charger, **{field: value})


def test_registration_is_decided_on_the_page(admin_client: Client) -> None:
    charger = factories.charge_point(registration="Pending")
    _change(admin_client, charger, csms_chargepoint_accept="1")
    assert charger.registration == "Accepted"
    assert LogEntry.objects.filter(object_id=charger.pk).exists()
    _change(admin_client, charger, csms_chargepoint_reject="1")
    assert charger.registration == "Rejected"


def test_registration_is_decided_in_bulk(admin_client: Client) -> None:
    keys = [factories.charge_point(registration="Pending").pk for _ in range(3)]
    for action, registration in (("accept", "Accepted"), ("reject", "Rejected")):
        admin_client.post(
            LIST, {"action": f"{action}_selected", "_selected_action": keys, "index": 0}
        )
        assert ChargePoint.objects.filter(registration=registration).count() == 3


def test_a_proposed_callback_address_is_approved_or_discarded(admin_client: Client) -> None:
    charger = factories.charge_point(transport="soap", callback_proposed="http://192.0.2.9:8080/")
    page = admin_client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert "Approve address" in page
    _change(admin_client, charger, csms_chargepoint_discard_callback="1")
    assert (charger.callback_url, charger.callback_proposed) == ("", "")
    ChargePoint.objects.update(callback_proposed="http://8.8.8.8:8080/")
    _change(admin_client, charger, csms_chargepoint_approve_callback="1")
    assert (charger.callback_url, charger.callback_proposed) == ("http://8.8.8.8:8080/", "")
    page = admin_client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert "Approve address" not in page


def test_a_forbidden_callback_address_is_not_approved(admin_client: Client) -> None:
    charger = factories.charge_point(transport="soap", callback_proposed="http://127.0.0.1:8080/")
    _change(admin_client, charger, csms_chargepoint_approve_callback="1")
    assert charger.callback_url == ""


def test_online_is_the_same_in_the_list_the_filter_and_the_model(admin_client: Client) -> None:
    now = timezone.now()
    expected = {
        factories.charge_point(connected=True, last_seen=None).identity: True,
        factories.charge_point(connected=False, last_seen=now).identity: False,
    }
    for interval, seconds, online in (
        (None, 740, True),
        (None, 760, False),
        (10, 20, True),
        (10, 30, False),
        (0, 740, True),
        (3600, 8000, True),
    ):
        seen = now - timedelta(seconds=seconds)
        row = factories.charge_point(transport="soap", heartbeat_interval=interval, last_seen=seen)
        expected[row.identity] = online
    expected[factories.charge_point(transport="soap", last_seen=None).identity] = False
    assert {row.identity: is_online(row) for row in ChargePoint.objects.all()} == expected
    found = ChargePoint.objects.filter(online_condition(now)).values_list("identity", flat=True)
    online_now = {identity for identity, online in expected.items() if online}
    assert set(found) == online_now == set(_rows(admin_client, online="1"))
    assert set(_rows(admin_client, online="0")) == set(expected) - online_now


def test_search_and_filters(admin_client: Client) -> None:
    factories.charge_point(identity="north-1", vendor="ABB", site="Graz", firmware_version="2.0")
    factories.charge_point(
        identity="south-1", name="Gate", transport="soap", registration="Pending"
    )
    assert _rows(admin_client, q="north") == ["north-1"]
    assert _rows(admin_client, q="Gate") == ["south-1"]
    assert _rows(admin_client, q="orth") == []
    for query in ({"vendor": "AB"}, {"site": "Gr"}, {"firmware_version": "2"}):
        assert _rows(admin_client, **query) == ["north-1"]
    for query in ({"transport": "soap"}, {"registration": "Pending"}):
        assert _rows(admin_client, **query) == ["south-1"]
    assert _rows(admin_client, callback="proposed") == []
    assert len(_rows(admin_client, transport="bogus")) == 2


def test_deletion_shows_numbers_and_transactions_protect(admin_client: Client) -> None:
    free, used = factories.charge_point(), factories.charge_point()
    factories.connector(free)
    factories.transaction(used)
    page = admin_client.get(f"{LIST}{used.pk}/delete/").content.decode()
    assert "1 transactions" in page
    assert "It has transactions: reject it instead." in page
    admin_client.post(f"{LIST}{used.pk}/delete/", {"post": "yes"})
    admin_client.post(f"{LIST}{free.pk}/delete/", {"post": "yes"})
    assert list(ChargePoint.objects.all()) == [used]


def test_unknown_charge_points_are_added(admin_client: Client) -> None:
    factories.charge_point(identity="taken")
    keys = [
        factories.unknown("new", transport="soap").pk,
        factories.unknown("taken").pk,
        factories.unknown("a/b").pk,
    ]
    page = admin_client.post(
        "/admin/csms/unknownchargepoint/",
        {"action": "add_selected", "_selected_action": keys, "index": 0},
        follow=True,
    ).content.decode()
    added = ChargePoint.objects.get(identity="new")
    assert f'<a class="cs-link" href="{show.change_url("chargepoint", added.pk)}">' in page
    assert ChargePoint.objects.get(identity="new").transport == "soap"
    assert ChargePoint.objects.count() == 2
    assert not UnknownChargePoint.objects.filter(identity="new").exists()


def test_a_page_says_what_to_enter_by_transport(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [
        show.change_url("chargepoint", factories.charge_point(**columns).pk)
        for columns in ({"identity": "CP 1"}, {"identity": "box-2", "transport": "soap"})
    ]
    json, soap = (admin_client.get(page).content.decode() for page in pages)
    assert "ws://testserver:9000/CP%201" in json
    assert "SOAP callback" not in json
    assert "http://testserver:8000/ocpp/soap" in soap
    assert "<dt>chargeBoxIdentity</dt>" in soap
    assert "SOAP callback" in soap
    named = replace(settings(), public_host="csms.example")
    monkeypatch.setattr("csms.admin.charge_point_parts.settings", lambda: named)
    assert "ws://csms.example:9000/CP%201" in admin_client.get(pages[0]).content.decode()


def test_a_heading_keeps_the_case_of_an_identity(admin_client: Client) -> None:
    charger = factories.charge_point(identity="cp1")
    page = admin_client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    heading = page[page.index("<h1") : page.index("</h1>")]
    assert "cp1" in heading
    assert "Cp1" not in heading


def test_the_version_is_shown_but_not_changed(admin_client: Client) -> None:
    charger = factories.charge_point()
    assert _change(admin_client, charger, version="2.0.1", name="Roof") == {}
    assert (charger.version, charger.name) == ("1.6", "Roof")


def test_show_all_is_offered_only_when_something_narrows_the_list(admin_client: Client) -> None:
    factories.charge_point(identity="north-1")
    assert "Show all" not in admin_client.get(LIST).content.decode()
    for query in ({"q": "north"}, {"transport": "json"}):
        assert "Show all" in admin_client.get(LIST, query).content.decode()
