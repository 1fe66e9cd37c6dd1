"""The admin in a browser: it fits, runs no script of a charge point, and asks nobody else."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from csms.admin import show
from csms.models import ChargePoint
from tests import factories
from tests.browser.conftest import WINDOWS, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
LONG = "A-very-long-name-without-any-blank-" * 7


def _fleet() -> list[str]:
    """A fleet with everything odd; the addresses of all its pages."""
    charger = factories.charge_point(
        identity=EVIL, name=LONG, vendor=LONG, model=EVIL, firmware_version=LONG, transport="soap",
        callback_url="http://192.0.2.1:8080/", callback_proposed=f"http://192.0.2.1/{LONG}",
    )  # fmt: skip
    for number in range(8):
        factories.connector(charger, number, status="Faulted", info=EVIL)
    factories.deviation(charger, example=EVIL)
    row = factories.transaction(charger, state="open", id_tag=LONG, flags=[EVIL, LONG])
    for minute in range(30):
        at = row.started_at + timedelta(minutes=minute)
        factories.meter_value(charger, transaction=row, bucket_at=at, energy=1000.0 + minute * 200)
    rows = {
        "chargepoint": charger,
        "transaction": row,
        "idtag": factories.id_tag(LONG, name=EVIL),
        "message": factories.message(
            charger, request=f'["{EVIL}","{LONG}"]', error=LONG, notes=[EVIL], message_id=LONG
        ),
        "quarantinedmessage": factories.quarantined(charger, reason=EVIL, raw=LONG),
        "securityevent": factories.security_event(charger, kind=LONG, tech_info=EVIL),
        "unknownchargepoint": factories.unknown(EVIL, vendor=LONG, model=LONG),
        "command": factories.command(charger, payload={"key": LONG}, error=EVIL),
        "transferstatus": factories.transfer(charger),
        "certificatesigningrequest": factories.signing_request(charger),
    }
    pages = ["/admin/", show.list_url("connector"), show.list_url("metervalue")]
    pages += ["/admin/auth/user/add/", "/admin/auth/group/add/"]
    pages.append(f"/admin/auth/user/{User.objects.get().pk}/change/")
    for model, instance in rows.items():
        pages += [show.list_url(model), show.change_url(model, instance.pk)]
    return pages


@WINDOWS
def test_every_page_fits_and_runs_nothing_of_a_charge_point(visitor: Visitor) -> None:
    for path in _fleet():
        visitor.open(path)
        assert visitor.overflow() == 0, path
    assert visitor.problems == []
    assert visitor.foreign == []


def test_the_theme_and_its_symbols_come_from_here(visitor: Visitor) -> None:
    visitor.open("/admin/")
    symbols = "document.fonts.check('16px \"Material Symbols Outlined\"')"
    ours = "[...document.styleSheets].some(sheet => sheet.href.includes('csms/admin'))"
    assert visitor.page.evaluate(f"document.fonts.ready.then(() => {symbols})")
    assert visitor.page.evaluate(ours)
    assert visitor.foreign == []


@pytest.mark.parametrize("visitor", [(390, False)], indirect=True, ids=["phone"])
def test_a_charge_point_is_added_and_found_on_a_phone(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/admin/csms/chargepoint/add/")
    page.fill("[name=identity]", "CP-1")
    page.fill("[name=new_password]", "a long password")
    page.click("[name=_save]")
    page.wait_for_url("**/admin/csms/chargepoint/")
    assert ChargePoint.objects.get().identity == "CP-1"
    page.fill("[name=q]", "CP")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=CP*")
    assert page.locator("#result_list tr.data-row").count() == 1


def test_a_pending_charge_point_is_accepted_with_its_button(visitor: Visitor) -> None:
    charger = factories.charge_point(registration="Pending")
    visitor.open(show.change_url("chargepoint", charger.pk))
    visitor.page.click("[name=csms_chargepoint_accept]")
    visitor.page.wait_for_url("**/admin/csms/chargepoint/")
    charger.refresh_from_db()
    assert charger.registration == "Accepted"


def test_filters_open_and_apply(visitor: Visitor) -> None:
    factories.charge_point(identity="here", connected=True)
    factories.charge_point(identity="gone", connected=False)
    visitor.open(show.list_url("chargepoint"))
    page = visitor.page
    page.locator("#changelist a", has_text="Filters").first.click()
    page.select_option("#changelist-filter select[name=online]", "1", force=True)
    page.get_by_role("button", name="Apply Filters").click()
    page.wait_for_url("**online=1*")
    assert page.locator("#result_list tr.data-row").count() == 1
    assert "here" in page.locator("#result_list").inner_text()
