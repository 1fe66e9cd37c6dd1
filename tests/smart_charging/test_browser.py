"""Charging profiles in a browser: the drawing follows what is typed; the pages fit."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from csms.admin import show
from csms.models import ChargePoint, ChargingProfileTemplate, CommandBatch
from tests import factories
from tests.browser.conftest import WINDOWS, Visitor
from tests.smart_charging.profiles import HOUR, MAX, TX, wire
from tests.smart_charging.rows import answered, daily, present

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADD = "/admin/csms/chargingprofiletemplate/add/"


def fits(visitor: Visitor) -> None:
    assert visitor.overflow() == 0, visitor.page.url
    assert visitor.problems == []
    assert visitor.foreign == []


def installed_and_reported() -> ChargePoint:
    charger = factories.charge_point(identity="CP-" + "verylong" * 12, connected=True)
    for number in (1, 2):
        factories.connector(charger, number)
    running = factories.transaction(charger, state="open")
    now = factories.now()
    morning = f"{now.replace(hour=0, minute=0, second=0):%Y-%m-%dT%H:%M:%SZ}"
    present(charger, 0, wire(MAX, (0, 32), number=1, startSchedule="2026-01-01T00:00:00Z"))
    nights = [(0, 32), (6 * HOUR, 16), (22 * HOUR, 32)]
    given: dict[str, Any] = {"kind": "Recurring", "recurrencyKind": "Daily"}
    present(charger, 1, wire("TxDefaultProfile", *nights, number=2, startSchedule=morning, **given))
    mine = wire(TX, (0, 10.5, 1), (2 * HOUR, 8, 1), number=3, kind="Relative", duration=5 * HOUR)
    row = present(charger, 1, mine | {"transactionId": running.transaction_id})
    row.transaction = running
    row.save()
    start = now - timedelta(minutes=5)
    told = [(0, 10.5), (HOUR, 8), (4 * HOUR, 32), (9 * HOUR, 25.2)]
    answered(charger, 1, *told, start=start, finished_at=start)
    return charger


@WINDOWS
def test_the_drawing_follows_what_is_typed(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(ADD)
    words = page.locator(".cs-steps-words")
    assert words.inner_text() == "Enter a period to see the schedule."
    page.fill("[name=name]", "Nights")
    page.select_option("[name=purpose]", "TxDefaultProfile")
    page.select_option("[name=kind]", "Recurring")
    page.select_option("[name=recurrency_kind]", "Daily")
    page.select_option("[name=charging_rate_unit]", "A")
    page.fill("[name=start_schedule]", "2026-01-01T00:00:00")
    starts, limits = page.locator("[name=periods_start]"), page.locator("[name=periods_limit]")
    starts.nth(0).fill("0")
    limits.nth(0).fill("32")
    one = page.locator(".cs-step-line").get_attribute("d")
    assert words.inner_text() == "From 0:00 32 A; until 24:00, every day."
    starts.nth(1).fill("6:30")
    limits.nth(1).fill("16.5")
    assert "from 6:30 16.5 A" in words.inner_text()
    two = page.locator(".cs-step-line").get_attribute("d")
    assert one != two
    assert page.locator(".cs-step-area").count() == 2
    page.click("text=One more period")
    starts.nth(2).fill("22:00")
    limits.nth(2).fill("32.55")
    assert "Not drawn yet: 1" in words.inner_text()
    limits.nth(2).fill("32")
    assert page.locator(".cs-step-area").count() == 3
    assert page.locator(".cs-unit").inner_text().strip() == "in A"
    assert page.locator(".cs-step-least").count() == 0
    page.fill("[name=min_charging_rate]", "41.5")
    least = page.locator(".cs-step-least").get_attribute("y1")
    assert float(least) > 0, "it is drawn above the limits, too"
    page.fill("[name=valid_to]", "2027-01-01T00:00:00")
    assert "every day. Valid to 2027-01-01 00:00" in words.inner_text()
    fits(visitor)
    page.click("[name=_save]")
    page.wait_for_url("**/chargingprofiletemplate/")
    row = ChargingProfileTemplate.objects.get()
    assert [(p["startPeriod"], p["limit"]) for p in row.periods] == [
        (0, "32.0"),
        (23_400, "16.5"),
        (79_200, "32.0"),
    ]
    visitor.open(show.change_url("chargingprofiletemplate", row.pk))
    assert page.locator(".cs-step-area").count() == 3


@WINDOWS
def test_faults_are_said_where_they_are(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(ADD)
    page.fill("[name=name]", "Nights")
    page.select_option("[name=purpose]", "TxDefaultProfile")
    page.select_option("[name=kind]", "Recurring")
    page.select_option("[name=charging_rate_unit]", "W")
    page.locator("[name=periods_start]").nth(0).fill("0:10")
    page.locator("[name=periods_limit]").nth(0).fill("11000")
    page.click("[name=_save]")
    page.wait_for_selector("text=says whether Daily or Weekly")
    assert page.locator("text=The first period starts at 0.").count() == 1
    assert page.locator(".cs-step-area").count() == 1
    fits(visitor)


@WINDOWS
def test_what_is_installed(visitor: Visitor) -> None:
    charger = installed_and_reported()
    visitor.open(show.change_url("chargepoint", charger.pk))
    inline = visitor.page.locator("#installed_profiles-group")
    assert "from 0:00 10.5 A, 1-phase; from 2:00 8 A" in inline.inner_text()
    fits(visitor)
    inline.scroll_into_view_if_needed()


@WINDOWS
def test_ours_beside_theirs(visitor: Visitor) -> None:
    charger = installed_and_reported()
    visitor.open(reverse("admin:csms_chargepoint_limits", args=(charger.pk, 1)))
    page = visitor.page
    assert page.locator("#differences li").count() >= 1
    fits(visitor)
    page.click("#ask")
    page.wait_for_selector("text=GetCompositeSchedule is queued")
    fits(visitor)


@WINDOWS
def test_from_the_list_of_charge_points_to_the_commands(visitor: Visitor) -> None:
    for number in range(3):
        factories.charge_point(identity=f"CP-{number}", connected=True)
    daily()
    page = visitor.page
    visitor.open(show.list_url("chargepoint"))
    page.check("#action-toggle", force=True)
    page.select_option("select[name=action]", "send_profile_selected", force=True)
    page.click("button[name=index]")
    page.wait_for_url("**/chargingprofiletemplate/send/**")
    page.select_option("[name=template]", label="Nights")
    fits(visitor)
    page.click("#send-now")
    page.wait_for_url("**/commandbatch/**")
    assert CommandBatch.objects.get().commands.count() == 3


@WINDOWS
def test_the_list(visitor: Visitor) -> None:
    for number in range(3):
        daily(f"Nights {number} " + "of a very long name " * number)
    visitor.open(show.list_url("chargingprofiletemplate"))
    assert "every day" in visitor.page.locator("#result_list").inner_text()
    fits(visitor)
