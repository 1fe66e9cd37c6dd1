"""Transactions, tags, messages, overview: what the lists find and what people may do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from csms.admin import show
from csms.admin.plot import POINTS, Sample, plot
from csms.admin.transactions import samples_text
from csms.models import IdTag, MeterValue, QuarantinedMessage, Transaction
from tests import factories

READ_ONLY = (
    "connector",
    "transaction",
    "metervalue",
    "message",
    "securityevent",
    "certificatesigningrequest",
    "transferstatus",
    "command",
    "unknownchargepoint",
    "quarantinedmessage",
)
START = datetime(2026, 1, 2, tzinfo=UTC)


def _found(client: Client, model: str, **query: Any) -> set[int]:
    response = client.get(show.list_url(model), query)
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


@pytest.mark.django_db
@pytest.mark.parametrize("model", READ_ONLY)
def test_nobody_adds_changes_or_deletes_what_was_recorded(model: str, admin_client: Client) -> None:
    assert admin_client.get(f"/admin/csms/{model}/add/").status_code == 403
    page = admin_client.get(show.list_url(model)).content.decode()
    assert "delete_selected" not in page


@pytest.mark.django_db
def test_transactions_are_found_by_number_tag_and_charge_point(admin_client: Client) -> None:
    one, two = factories.charge_point(identity="one"), factories.charge_point(identity="two")
    factories.id_tag("Fleet-1")
    first = factories.transaction(one, transaction_id=4711, id_tag="FLEET-1")
    second = factories.transaction(two, transaction_id=4712, id_tag="stray", billable=False)
    for term, rows in (
        ("4711", {first.pk}),
        ("471", set()),
        ("fleet", {first.pk}),
        ("STRAY", {second.pk}),
        ("two", {second.pk}),
        ("9" * 40, set()),
        ("nobody", set()),
    ):
        assert _found(admin_client, "transaction", q=term) == rows, term
    assert _found(admin_client, "transaction", charger="one") == {first.pk}
    assert _found(admin_client, "transaction", billable="0") == {second.pk}
    assert _found(admin_client, "transaction", state="open") == set()


@pytest.mark.django_db
def test_days_filter_both_ends_included(admin_client: Client) -> None:
    charger = factories.charge_point()
    rows = [
        factories.transaction(charger, started_at=START + timedelta(days=day, hours=23)).pk
        for day in range(4)
    ]
    query = {"started_at_from": "2026-01-03", "started_at_to": "2026-01-04"}
    assert _found(admin_client, "transaction", **query) == {rows[1], rows[2]}
    query = {"started_at_from": "nonsense", "started_at_to": "2026-99-99"}
    assert _found(admin_client, "transaction", **query) == set(rows)


@pytest.mark.django_db
def test_a_running_transaction_shows_its_energy_and_curve(admin_client: Client) -> None:
    charger = factories.charge_point()
    row = factories.transaction(charger, state="open", last_meter=3_500.0)
    for minute in range(3):
        at = row.started_at + timedelta(minutes=minute)
        factories.meter_value(charger, transaction=row, bucket_at=at, energy=1_000.0 + minute)
    assert "2.500" in admin_client.get(show.list_url("transaction")).content.decode()
    page = admin_client.get(show.change_url("transaction", row.pk)).content.decode()
    assert page.count("<polyline") == 2
    assert "All meter values" in page


def test_a_curve_has_few_points_and_survives_odd_meters() -> None:
    samples = [
        Sample(START + timedelta(seconds=n), 1000.0 + n, -5.0 if n % 2 else None)
        for n in range(POINTS * 3)
    ]
    drawn = plot(samples, 1000)
    assert drawn is not None
    energy, power = drawn.curves
    assert len(energy.points.split()) == POINTS
    assert energy.top == "0.90 kWh"
    assert {point.partition(",")[2] for point in power.points.split()} == {"200.0"}
    assert plot([], 0) is None
    assert plot([Sample(START, 1.0, 1.0)] * 3, 0) is None
    assert plot([Sample(START, None, None), Sample(START + timedelta(1), 5.0, None)], 0) is None


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        ([{"value": "7"}], "Energy.Active.Import.Register: 7"),
        (
            [{"value": "1", "measurand": "Voltage", "phase": "L1", "unit": "V"}],
            "Voltage L1: 1 V",
        ),
        (["odd", None], "odd, None"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_samples_in_one_line(samples: Any, text: str) -> None:
    assert samples_text(samples) == text


@pytest.mark.django_db
def test_meter_values_by_charge_point_or_transaction(admin_client: Client) -> None:
    one, two = factories.charge_point(identity="one"), factories.charge_point(identity="two")
    row = factories.transaction(one, transaction_id=99)
    first, second = factories.meter_value(one, transaction=row), factories.meter_value(two)
    assert _found(admin_client, "metervalue", q="two") == {second.pk}
    assert _found(admin_client, "metervalue", q="99") == {first.pk}
    assert _found(admin_client, "metervalue", transaction="99") == {first.pk}
    assert _found(admin_client, "metervalue", q="none") == set()


@pytest.mark.django_db
def test_meter_values_of_a_deleted_charge_point_are_still_listed(admin_client: Client) -> None:
    charger = factories.charge_point()
    value = factories.meter_value(charger)
    charger.delete()
    assert MeterValue.objects.filter(pk=value.pk).exists()
    assert _found(admin_client, "metervalue") == {value.pk}
    assert admin_client.get(show.change_url("metervalue", value.pk)).status_code == 200


@pytest.mark.django_db
def test_tags_are_added_blocked_and_unblocked(admin_client: Client) -> None:
    form = {"id_tag": " Card-1 ", "max_transactions": 1}
    assert admin_client.post("/admin/csms/idtag/add/", form).status_code == 302
    tag = IdTag.objects.get()
    assert tag.key == "card-1"
    again = admin_client.post("/admin/csms/idtag/add/", form | {"id_tag": "CARD-1"})
    assert again.status_code == 200
    for action, blocked in (("block", True), ("unblock", False)):
        data = {"action": action, "_selected_action": [tag.pk], "index": 0}
        admin_client.post("/admin/csms/idtag/", data)
        tag.refresh_from_db()
        assert tag.blocked is blocked
    assert _found(admin_client, "idtag", q="CARD") == {tag.pk}
    assert _found(admin_client, "idtag", blocked="1") == set()


@pytest.mark.django_db
def test_messages_by_identity_message_id_and_filters(admin_client: Client) -> None:
    charger = factories.charge_point(identity="known")
    plain = factories.message(charger, message_id="abc")
    failed = factories.message(charger, direction="out", error="CallError", action="Reset")
    noted = factories.message(None, identity="stranger", notes=["over-long text"])
    for query, rows in (
        ({"q": "known"}, {plain.pk, failed.pk}),
        ({"q": "abc"}, {plain.pk}),
        ({"q": "stranger"}, {noted.pk}),
        ({"q": "kno"}, set()),
        ({"charger": "stranger"}, {noted.pk}),
        ({"direction": "out"}, {failed.pk}),
        ({"result": "error"}, {failed.pk}),
        ({"notes": "1"}, {noted.pk}),
        ({"action_name": "Reset"}, {failed.pk}),
        ({"transport": "soap"}, set()),
    ):
        assert _found(admin_client, "message", **query) == rows, query
    page = admin_client.get(show.change_url("message", noted.pk)).content.decode()
    assert "/admin/csms/message/?charger=stranger" in page


@pytest.mark.django_db
def test_a_nul_in_a_search_is_no_error(admin_client: Client) -> None:
    for model, name in (
        ("chargepoint", "q"),
        ("chargepoint", "vendor"),
        ("message", "q"),
        ("message", "charger"),
        ("transaction", "q"),
        ("metervalue", "transaction"),
    ):
        assert admin_client.get(show.list_url(model), {name: "a\0b"}).status_code == 200
    lookup = {"term": "a\0b", "app_label": "csms", "model_name": "idtag"}
    url = "/admin/autocomplete/"
    assert admin_client.get(url, lookup | {"field_name": "charge_points"}).status_code == 200


@pytest.mark.django_db
def test_quarantined_messages_are_resolved_and_opened_again(admin_client: Client) -> None:
    row = factories.quarantined()
    for action, resolved in (("resolve", True), ("reopen", False)):
        data = {"action": action, "_selected_action": [row.pk], "index": 0}
        admin_client.post("/admin/csms/quarantinedmessage/", data)
        row.refresh_from_db()
        assert row.resolved is resolved
    assert _found(admin_client, "quarantinedmessage", resolved="0") == {row.pk}


@pytest.mark.django_db
def test_the_overview_counts_and_leads_to_filtered_lists(admin_client: Client) -> None:
    online = factories.charge_point(connected=True)
    factories.charge_point(connected=False, registration="Pending")
    factories.connector(online, status="Faulted")
    factories.transaction(online, state="open")
    factories.quarantined()
    factories.unknown()
    response = admin_client.get("/admin/")
    tiles = {tile.title: tile for row in response.context["tile_rows"] for tile in row}
    assert {title: tile.number for title, tile in tiles.items()} == {
        "OCPP-J online": "1",
        "OCPP-J offline": "1",
        "OCPP-S online": "0",
        "OCPP-S offline": "0",
        "Waiting for approval": "1",
        "Open transactions": "1",
        "Faulted connectors": "1",
        "Quarantined messages": "1",
        "Unknown charge points": "1",
    }
    for tile in tiles.values():
        shown = admin_client.get(tile.url).context["cl"].result_count
        assert str(shown) == tile.number, tile.title


@pytest.mark.django_db
def test_people_see_and_do_what_they_are_permitted(client: Client) -> None:
    reader = User.objects.create_user("reader", password="reader", is_staff=True)
    client.force_login(reader)
    assert client.get("/admin/").context["tile_rows"] == []
    names = ("view_quarantinedmessage", "view_chargepoint")
    reader.user_permissions.set(Permission.objects.filter(codename__in=names))
    page = client.get("/admin/").content.decode()
    assert "Quarantine" in page
    assert "Message log" not in page
    row = factories.quarantined()
    data = {"action": "resolve", "_selected_action": [row.pk], "index": 0}
    client.post("/admin/csms/quarantinedmessage/", data)
    assert not QuarantinedMessage.objects.get().resolved
    charger = factories.charge_point(registration="Pending")
    client.post(show.change_url("chargepoint", charger.pk), {"csms_chargepoint_accept": "1"})
    charger.refresh_from_db()
    assert charger.registration == "Pending"
    assert client.get(show.list_url("transaction")).status_code == 403
    assert not Transaction.objects.exists()


@pytest.mark.django_db
def test_a_message_leads_to_its_quarantine(admin_client: Client) -> None:
    charger = factories.charge_point()
    kept = factories.quarantined(charger)
    for message_id, leads in ((kept.message_id, True), ("another", False), ("", False)):
        row = factories.message(charger, message_id=message_id)
        page = admin_client.get(show.change_url("message", row.pk)).content.decode()
        assert (show.change_url("quarantinedmessage", kept.pk) in page) is leads


@pytest.mark.django_db
def test_an_identity_that_differs_only_in_case_is_pointed_out(admin_client: Client) -> None:
    charger = factories.charge_point(identity="Gate-1")
    for identity, same in (("GATE-1", True), ("Gate-2", False)):
        for model, row in (
            ("message", factories.message(identity=identity)),
            ("unknownchargepoint", factories.unknown(identity)),
        ):
            page = admin_client.get(show.change_url(model, row.pk)).content.decode()
            assert ("differs only in case" in page) is same
            assert (show.change_url("chargepoint", charger.pk) in page) is same
