"""Sending commands in a browser: from the list to the result that follows by itself."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from csms.admin import sending, show
from csms.models import ChargePoint, Command, CommandBatch
from csms.services.commands import batch_send, request_of
from tests import factories
from tests.admin.operations import OPERATIONS
from tests.browser.conftest import WINDOWS, Visitor
from tests.fixtures import lasting_system, system

if TYPE_CHECKING:
    from tests.running import System

__all__ = ["lasting_system", "system"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
LONG = "A-very-long-name-without-any-blank-" * 7


def _fleet() -> list[Any]:
    """Some that can take anything, and one of each that cannot."""
    rows = [
        factories.charge_point(identity=f"CP-{number:02}", connected=True, site="Graz")
        for number in range(5)
    ]
    rows += [
        factories.charge_point(
            identity="SOAP-1", transport="soap", last_seen=timezone.now() - timedelta(days=2)
        ),
        factories.charge_point(identity=EVIL, registration="Rejected"),
        factories.charge_point(identity=LONG, connected=True, feature_profiles="Core,Reservation"),
    ]
    for row in rows:
        factories.connector(row, 1)
        factories.connector(row, 2, status="Charging")
    factories.id_tag("TAG1", name=EVIL)
    return rows


def _fits(visitor: Visitor) -> None:
    assert visitor.overflow() == 0, visitor.page.url
    assert visitor.problems == []
    assert visitor.foreign == []


@WINDOWS
def test_operations_fit(visitor: Visitor) -> None:
    text = sending.choice_text(row.pk for row in _fleet())
    visitor.open(sending.send_url(text))
    _fits(visitor)


@WINDOWS
def test_a_long_form_fits_and_gets_rows(visitor: Visitor) -> None:
    text = sending.choice_text(row.pk for row in _fleet())
    visitor.open(sending.send_url(text, "SetChargingProfile"))
    _fits(visitor)
    page = visitor.page
    page.select_option("[name='csChargingProfiles.chargingProfileKind']", "Absolute")
    page.click("text=One more row")
    page.wait_for_selector("[name$='chargingSchedulePeriod[1].limit']")
    kind = page.locator("[name='csChargingProfiles.chargingProfileKind']")
    assert kind.input_value() == "Absolute"
    page.click("#send-now")
    page.wait_for_selector(".errors")
    assert not Command.objects.exists()
    _fits(visitor)


@pytest.mark.parametrize("visitor", [(390, False)], indirect=True, ids=["phone"])
def test_every_form_fits_on_a_phone(visitor: Visitor) -> None:
    charger = _fleet()[0]
    for name in OPERATIONS:
        visitor.open(sending.send_url(str(charger.pk), name))
        visitor.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        _fits(visitor)


@WINDOWS
def test_the_result_follows_by_itself(visitor: Visitor) -> None:
    rows = _fleet()
    batch = batch_send(
        charge_points=rows, request=request_of("Reset", {"type": "Soft"}), by="admin: operator"
    )
    visitor.open(show.change_url("commandbatch", batch.pk))
    page = visitor.page
    page.wait_for_selector("text=Follows by itself")
    _fits(visitor)
    commands = list(batch.commands.select_related("charge_point").order_by("id"))
    now = timezone.now()
    states = ["accepted", "accepted", "rejected", "error", "timed out", "expired", "accepted"]
    for command, state in zip(commands, states, strict=True):
        command.state, command.sent_at, command.finished_at = state, now, now
        if state == "accepted":
            command.effect, command.effect_text = "seen", "The charge point has booted."
            command.answer = {"status": "Accepted"}
        if state == "rejected":
            command.answer = {"status": "Rejected"}
        if state == "error":
            command.error = f"InternalError: {EVIL}{LONG}"
        command.save()
    page.wait_for_selector("text=effect seen")
    page.wait_for_selector("text=Nothing is open any more")
    page.wait_for_function("document.getElementById('live').textContent === ''")
    _fits(visitor)


@WINDOWS
def test_five_hundred_follow_by_themselves_page_by_page(visitor: Visitor) -> None:
    rows = ChargePoint.objects.bulk_create(
        ChargePoint(identity=f"CP-{number:03}", connected=True) for number in range(500)
    )
    batch = batch_send(
        charge_points=rows, request=request_of("Reset", {"type": "Soft"}), by="admin: operator"
    )
    page = visitor.page
    visitor.open(show.change_url("commandbatch", batch.pk))
    page.click("text=Next")
    page.wait_for_selector("text=Page 2 of 5")
    shown = page.locator("tbody tr")
    assert "CP-100" in shown.first.inner_text()
    now = timezone.now()
    batch.commands.update(state="accepted", sent_at=now, effect="waiting")
    page.wait_for_selector("text=500 open")
    page.wait_for_selector("text=waiting for effect")
    batch.commands.update(effect="seen", effect_text="The charge point has booted.")
    page.wait_for_selector("text=Nothing is open any more")
    assert (shown.count(), "CP-100" in shown.first.inner_text()) == (100, True)
    assert page.locator("text=Page 2 of 5").count() == 1
    assert page.locator("tbody >> text=effect seen").count() == 100
    _fits(visitor)


@pytest.mark.parametrize("visitor", [(1280, False)], indirect=True, ids=["wide"])
def test_from_the_list_to_the_result(visitor: Visitor) -> None:
    _fleet()
    page = visitor.page
    visitor.open(show.list_url("chargepoint", site="Graz"))
    page.check("#action-toggle")
    page.select_option("select[name=action]", "send_selected")
    page.click("button[name=index]")
    page.wait_for_url("**/command/send/**")
    assert page.locator("text=To 5 charge points").count() == 1
    page.click("button[value=Reset]")
    page.wait_for_selector("[name=type]")
    page.select_option("[name=type]", "Soft")
    page.click("#send-now")
    page.wait_for_url("**/commandbatch/**")
    assert Command.objects.filter(state="queued").count() == 5
    page.click("#cancel-queued")
    page.wait_for_selector("text=Nothing is open any more")
    assert Command.objects.filter(state="cancelled").count() == 5
    _fits(visitor)


@pytest.mark.parametrize("visitor", [(1280, False)], indirect=True, ids=["wide"])
def test_all_matching_are_chosen_across_pages(visitor: Visitor) -> None:
    for number in range(60):
        factories.charge_point(identity=f"CP-{number:03}", connected=True, site="Graz")
        factories.charge_point(identity=f"XX-{number:03}", connected=True, site="Graz")
        factories.charge_point(identity=f"CP-X{number:03}", connected=True, site="Linz")
    page = visitor.page
    visitor.open(show.list_url("chargepoint", site="Graz", q="CP-", p=2))
    page.check("#action-toggle")
    page.click("text=Select all 60 charge points")
    page.select_option("select[name=action]", "send_selected")
    page.click("button[name=index]")
    page.wait_for_url("**/command/send/**")
    page.click("button[value=ClearCache]")
    page.click("text=Send to 60 charge points")
    page.wait_for_url("**/commandbatch/**")
    chosen = CommandBatch.objects.get().commands.values_list("charge_point__identity", flat=True)
    assert sorted(chosen) == [f"CP-{number:03}" for number in range(60)]


@WINDOWS
def test_lists_and_details_of_commands_fit(visitor: Visitor) -> None:
    rows = _fleet()
    batch = batch_send(
        charge_points=rows, request=request_of("Reset", {"type": "Soft"}), by=f"admin: {EVIL}"
    )
    row = factories.transaction(rows[0], state="open")
    command = batch.commands.order_by("id")[0]
    command.state, command.effect, command.transaction = "accepted", "missing", row
    command.effect_text = command.error = LONG
    command.save()
    for path in (show.list_url("commandbatch"), show.list_url("command")):
        visitor.open(path)
        _fits(visitor)
    visitor.open(show.change_url("chargepoint", rows[0].pk))
    visitor.open(show.change_url("command", command.pk))
    _fits(visitor)


def test_tags_are_offered_while_one_types(visitor: Visitor) -> None:
    for number in range(sending.PICKED + 1):
        factories.id_tag(f"A{number:03}")
    factories.id_tag("Zebra", name=EVIL)
    charger = factories.charge_point()
    visitor.open(sending.send_url(str(charger.pk), "RemoteStartTransaction"))
    page = visitor.page
    offered = page.locator("#pick-idTag option")
    assert offered.count() == sending.PICKED
    page.locator("[name=idTag]").press_sequentially("zeb")
    page.wait_for_function("document.querySelectorAll('#pick-idTag option').length === 1")
    assert offered.first.get_attribute("value") == "Zebra"
    assert offered.first.get_attribute("label") == EVIL
    _fits(visitor)


@pytest.fixture
def watching(system: "System") -> Iterator[None]:
    """Commands are delivered and effects looked for, as `manage.py serve` does."""
    from csms.services.clock import watch_effects

    system.deliver()
    task = asyncio.run_coroutine_threadsafe(watch_effects(), system.loop)
    yield
    task.cancel()


@pytest.mark.usefixtures("watching")
def test_a_reset_of_both_transports_is_watched_until_they_have_booted(
    visitor: Visitor, system: "System"
) -> None:
    """Everything is real but the charge points, which are simulated."""
    from tests.simulated import simulated

    rows = [
        factories.charge_point(identity="JSON-1", transport="json"),
        factories.charge_point(identity="SOAP-1", transport="soap"),
    ]
    page = visitor.page
    with simulated(system, rows[0], speed=50), simulated(system, rows[1], speed=50):
        visitor.open(show.list_url("chargepoint"))
        page.check("#action-toggle")
        page.select_option("select[name=action]", "send_selected")
        page.click("button[name=index]")
        page.click("button[value=Reset]")
        page.select_option("[name=type]", "Hard")
        page.click("#send-now")
        page.wait_for_url("**/commandbatch/**")
        page.wait_for_selector("text=Nothing is open any more")
    assert page.locator("tbody >> text=effect seen").count() == 2
    assert page.locator("tbody >> text=The charge point has booted.").count() == 2
    _fits(visitor)
