"""The admin's pages without a browser: the editor's form, sending, the comparison, permissions."""

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from csms.admin import show
from csms.admin.charging_profile_form import MOST_ROWS
from csms.models import ChargingProfileTemplate, Command, CommandBatch
from tests import factories
from tests.access.people import signed_in, somebody
from tests.smart_charging.profiles import DEFAULT, HOUR, TX, wire
from tests.smart_charging.rows import answered, daily, present, template

if TYPE_CHECKING:
    from csms.models import ChargePoint

pytestmark = pytest.mark.django_db

ADD = "/admin/csms/chargingprofiletemplate/add/"
SEND = "/admin/csms/chargingprofiletemplate/send/"
FORM: dict[str, Any] = {
    "name": "Nights",
    "purpose": DEFAULT,
    "stack_level": 2,
    "kind": "Recurring",
    "recurrency_kind": "Weekly",
    "charging_rate_unit": "A",
    "start_schedule": "2026-01-05T06:00:00",
    "duration": "48:00",
    "min_charging_rate": "6.1",
    "periods_start": ["0", "8:30", ""],
    "periods_limit": ["16.1", "32", ""],
    "periods_phases": ["", "1", ""],
    "valid_from": "",
    "valid_to": "2027-01-01T00:00:00",
    "charging_profile_id": "",
}


def limits_url(charger: "ChargePoint", connector: int, part: str = "") -> str:
    return reverse(f"admin:csms_chargepoint_limits{part}", args=(charger.pk, connector))


def errors(client: Client, **changes: Any) -> dict[str, list[str]]:
    response = client.post(ADD, FORM | changes)
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return found


def test_a_profile_is_added_and_changed(admin_client: Client) -> None:
    assert admin_client.post(ADD, FORM).status_code == 302
    row = ChargingProfileTemplate.objects.get()
    assert row.periods == [
        {"startPeriod": 0, "limit": "16.1"},
        {"startPeriod": 8 * HOUR + 1800, "limit": "32.0", "numberPhases": 1},
    ]
    assert (row.duration, str(row.min_charging_rate)) == (48 * HOUR, "6.1")
    url = show.change_url("chargingprofiletemplate", row.pk)
    page = admin_client.get(url).content.decode()
    assert 'value="8:30"' in page
    assert 'value="48:00"' in page
    changed = FORM | {"charging_profile_id": "5", "periods_limit": ["10", "11", "12"]}
    changed["periods_start"] = ["0", "60", "120"]
    assert admin_client.post(url, changed).status_code == 302
    row.refresh_from_db()
    assert row.charging_profile_id == 5
    assert [period["limit"] for period in row.periods] == ["10.0", "11.0", "12.0"]


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"recurrency_kind": ""}, "recurrency_kind", "says whether Daily or Weekly"),
        ({"start_schedule": ""}, "start_schedule", "needs startSchedule"),
        ({"kind": "Relative", "recurrency_kind": ""}, "start_schedule", "no startSchedule"),
        ({"duration": "200:00"}, "duration", "lasts at most"),
        ({"duration": "soon"}, "duration", "hours and minutes"),
        ({"valid_from": "2028-01-01T00:00:00"}, "valid_to", "after validFrom"),
        ({"min_charging_rate": "6.15"}, "min_charging_rate", "1 decimal"),
        ({"periods_limit": ["16.15", "32", ""]}, "periods", "Period 1: a limit is a number"),
        ({"periods_limit": ["16", "", ""]}, "periods", "Period 2: it needs both"),
        ({"periods_limit": ["NaN", "32", ""]}, "periods", "Period 1: a limit is a number"),
        ({"periods_start": ["0", "0", ""]}, "periods", "Period 2: A period starts later"),
        ({"periods_phases": ["7", "", ""]}, "periods", "Period 1: there are 1, 2 or 3"),
        ({"periods_start": ["", "", ""], "periods_limit": ["", "", ""]}, "periods", "at least one"),
    ],
)
def test_faults_are_said_at_the_field(
    admin_client: Client, changes: dict[str, Any], field: str, text: str
) -> None:
    found = errors(admin_client, **changes)
    assert list(found) == [field]
    assert text in " ".join(found[field])
    assert not ChargingProfileTemplate.objects.exists()


def test_the_list_needs_the_same_queries_for_any_number_of_rows(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page = admin_client.get(show.list_url("chargingprofiletemplate")).content.decode()
        assert "from 0:00 32.0 A" in page
        return len(captured)

    daily("One")
    few = queries()
    for number in range(10):
        daily(f"More {number}")
    assert queries() == few == 4


def test_a_template_is_sent_to_named_charge_points(
    admin_client: Client, charger: "ChargePoint"
) -> None:
    row = daily()
    page = admin_client.get(SEND, {"template": row.pk}).content.decode()
    assert f'value="{row.pk}" selected' in page
    data = {"send_now": "1", "template": row.pk, "connector_id": 1, "expires_minutes": 5}
    missing = admin_client.post(SEND, data | {"identities": "CP-1\nnobody"})
    assert "There is no charge point nobody." in missing.content.decode()
    sent = admin_client.post(SEND, data | {"identities": " CP-1 \r\nCP-1\r\n"})
    batch = CommandBatch.objects.get()
    assert sent.url == show.change_url("commandbatch", batch.pk)  # type: ignore[attr-defined]
    command = batch.commands.get()
    assert (command.action, command.payload["connectorId"]) == ("SetChargingProfile", 1)


def test_refusals_are_said_in_the_form(admin_client: Client, charger: "ChargePoint") -> None:
    row = template("Slow", TX, (0, 6), kind="Relative")
    data = {"send_now": "1", "template": row.pk, "send_to": str(charger.pk), "expires_minutes": 5}
    for connector, text in ((0, "connectorId is that of its connector"), (1, "No transaction")):
        page = admin_client.post(SEND, data | {"connector_id": connector}).content.decode()
        assert text in page
    factories.transaction(charger, state="open")
    other = factories.charge_point(identity="<b>2")
    data["send_to"] = f"{charger.pk},{other.pk}"
    page = admin_client.post(SEND, data | {"connector_id": 1}, follow=True).content.decode()
    assert "Sent to 1 transactions." in page
    assert "Not sent to &lt;b&gt;2: No transaction runs on connector 1." in page
    assert Command.objects.get().payload["connectorId"] == 1


def test_the_page_compares_and_asks(admin_client: Client, charger: "ChargePoint") -> None:
    page = admin_client.get(limits_url(charger, 1)).content.decode()
    assert "No charging profile limits it." in page
    present(charger, 1, wire(DEFAULT, (0, 16), number=1))
    page = admin_client.get(limits_url(charger, 1)).content.decode()
    assert "cs-step-line" in page
    assert "Differences" not in page
    response = admin_client.post(limits_url(charger, 1, "_ask"), {"duration": "3600", "unit": "W"})
    assert response.url == limits_url(charger, 1) + "?duration=3600&unit=W"  # type: ignore[attr-defined]
    command = Command.objects.get()
    assert command.payload == {"connectorId": 1, "duration": 3600, "chargingRateUnit": "W"}
    part = admin_client.get(limits_url(charger, 1, "_part")).content.decode()
    assert 'data-open="1"' in part
    command.delete()
    answered(charger, 1, (0, 16), (HOUR, 10))
    part = admin_client.get(limits_url(charger, 1, "_part")).content.decode()
    assert 'data-open="0"' in part
    assert "ours 16.0 A, the charge point’s 10.0 A" in part
    assert "cs-step-theirs" in part
    part = admin_client.get(limits_url(charger, 1, "_part") + "?unit=W").content.decode()
    assert "ours 11040.0 W, the charge point’s 6900.0 W" in part


def part_of(client: Client, charger: "ChargePoint", query: str = "") -> str:
    return client.get(limits_url(charger, 1, "_part") + query).content.decode()


def test_an_answer_counts_as_long_as_it_goes_on(
    admin_client: Client, charger: "ChargePoint"
) -> None:
    """Ours is drawn over the time that was chosen; an answer that is over is not compared."""
    present(charger, 1, wire(DEFAULT, (0, 16), number=1))
    start = factories.now() - timedelta(hours=2)
    answered(charger, 1, (0, 10), start=start, finished_at=start, duration=6 * HOUR)
    for hours, compared in ((1, False), (6, True), (24, True)):
        part = part_of(admin_client, charger, f"?duration={hours * HOUR}")
        assert ("ours 16.0 A, the charge point’s 10.0 A" in part) == compared, hours
        assert ("ask again" in part) != compared
    Command.objects.all().delete()
    start -= timedelta(days=3)
    answered(charger, 1, (0, 10), start=start, finished_at=start)
    part = part_of(admin_client, charger)
    assert f"was of {start:%Y-%m-%d %H:%M}" in part
    assert "cs-step-theirs" not in part
    assert f"<dt>{factories.now():%Y-%m-%d}" in part, "ours begins now"


def test_what_nobody_answered_is_said(admin_client: Client, charger: "ChargePoint") -> None:
    """F10: nobody knows what is installed, until a late answer or a later command tells."""
    lost = factories.command(
        charger, action="ClearChargingProfile", state="timed out", sent_at=factories.now()
    )
    factories.command(charger, action="SetChargingProfile")  # it still waits
    assert "was never answered" in part_of(admin_client, charger)
    lost.state = "accepted"
    lost.save()
    assert "was never answered" not in part_of(admin_client, charger)


def test_a_clock_that_is_wrong_is_said(admin_client: Client, charger: "ChargePoint") -> None:
    present(charger, 1, wire(DEFAULT, (0, 16), number=1))
    answered(charger, 1, (0, 16), start=datetime(1970, 1, 1, tzinfo=UTC))
    part = part_of(admin_client, charger)
    assert "lets it begin at 1970-01-01 00:00 UTC" in part
    assert "ask again" in part


def test_an_answer_in_another_zone_is_shown_in_utc(
    admin_client: Client, charger: "ChargePoint"
) -> None:
    present(charger, 1, wire(DEFAULT, (0, 16), number=1))
    start = factories.now().replace(second=0)
    kathmandu = start.astimezone(timezone(timedelta(hours=5, minutes=45)))
    answered(charger, 1, (0, 10), start=kathmandu)
    part = part_of(admin_client, charger)
    assert f"{start:%Y-%m-%d %H:%M} to" in part
    assert "is its clock right" not in part


@pytest.mark.parametrize("duration", [0, -5])
def test_an_answer_without_a_sensible_duration_is_shown(
    admin_client: Client, charger: "ChargePoint", duration: int
) -> None:
    present(charger, 1, wire(DEFAULT, (0, 16), number=1))
    payload = {"connectorId": 1, "duration": 86_400}
    answered(charger, 1, (0, 10), duration=duration, payload=payload)
    assert "the charge point’s 10.0 A" in part_of(admin_client, charger)


def test_other_phases_are_named(admin_client: Client, charger: "ChargePoint") -> None:
    present(charger, 1, wire(DEFAULT, (0, 16, 1), number=1))
    answered(charger, 1, (0, 16))
    part = part_of(admin_client, charger)
    assert "ours 16.0 A (1-phase), the charge point’s 16.0 A (3-phase)" in part


def test_each_field_of_the_form_is_explained(admin_client: Client) -> None:
    response = admin_client.get(ADD)
    form = response.context["adminform"].form
    for name, field in form.fields.items():
        assert field.help_text in response.content.decode(), name
        assert len(field.help_text) > 20, name


def test_more_periods_than_a_form_takes_are_said(admin_client: Client) -> None:
    """None is dropped without a word."""
    number = MOST_ROWS + 1
    many = {
        "periods_start": [str(60 * index) for index in range(number)],
        "periods_limit": ["16"] * number,
        "periods_phases": [""] * number,
    }
    assert "At most 300 periods" in " ".join(errors(admin_client, **many)["periods"])
    row = template("Many", DEFAULT, *((60 * index, 16) for index in range(number)))
    url = show.change_url("chargingprofiletemplate", row.pk)
    page = admin_client.get(url).content.decode()
    assert "301 periods: more than this form takes" in page
    assert "periods_start" not in page
    data = FORM | {"name": "Many of them", "kind": "Absolute", "recurrency_kind": ""}
    data = {n: v for n, v in data.items() if not n.startswith("periods_")} | {"duration": ""}
    assert admin_client.post(url, data).status_code == 302
    row.refresh_from_db()
    assert (row.name, len(row.periods)) == ("Many of them", number)


def test_a_profile_may_be_looked_at_only(charger: "ChargePoint") -> None:
    page = signed_in(somebody("viewer")).get(show.change_url("chargingprofiletemplate", daily().pk))
    assert page.status_code == 200
    assert "from 0:00 32.0 A; from 6:00 16.0 A" in page.content.decode()


def test_what_the_page_does_not_know_is_the_default(
    admin_client: Client, charger: "ChargePoint"
) -> None:
    url = limits_url(charger, 999)
    for query in ("?duration=0", "?duration=-1&unit=X", "?duration=²", "?duration=" + "9" * 50):
        assert admin_client.get(url + query).status_code == 200
    assert admin_client.get(limits_url(charger, 1, "_ask")).status_code == 405
    charger.delete()
    assert admin_client.get(url).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "operator", "manager"])
def test_what_each_role_may(role: str, charger: "ChargePoint") -> None:
    row = daily()
    client = signed_in(somebody(role))
    manages = role == "manager"
    assert client.get(show.list_url("chargingprofiletemplate")).status_code == 200
    assert client.get(ADD).status_code == (200 if manages else 403)
    assert client.get(SEND).status_code == (200 if manages else 403)
    data = {"send_now": "1", "template": row.pk, "connector_id": 1, "expires_minutes": 5}
    client.post(SEND, data | {"send_to": str(charger.pk)})
    assert Command.objects.exists() == manages
    assert client.get(limits_url(charger, 1)).status_code == 200
    asked = client.post(limits_url(charger, 1, "_ask"))
    assert asked.status_code == (403 if role == "viewer" else 302)
    page = client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert "Charging limits" in page


def test_nothing_is_seen_without_permission(charger: "ChargePoint") -> None:
    user = somebody("viewer")
    user.groups.clear()
    client = signed_in(user)
    for url in (limits_url(charger, 1), limits_url(charger, 1, "_part"), SEND):
        assert client.get(url).status_code == 403


def test_a_long_choice_is_posted(
    admin_client: Client, charger: "ChargePoint", monkeypatch: pytest.MonkeyPatch
) -> None:
    daily()
    data = {"action": "send_profile_selected", "_selected_action": [charger.pk], "index": 0}
    short = admin_client.post(show.list_url("chargepoint"), data)
    assert short.url == f"{SEND}?send_to={charger.pk}"  # type: ignore[attr-defined]
    monkeypatch.setattr("csms.admin.sending.LONGEST_QUERY", 0)
    page = admin_client.post(show.list_url("chargepoint"), data).content.decode()
    assert f'name="send_to" value="{charger.pk}"' in page
    page = admin_client.post(SEND, {"send_to": str(charger.pk)}).content.decode()
    assert "To 1 charge point" in page
