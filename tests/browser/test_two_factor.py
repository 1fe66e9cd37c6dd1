"""The second factor in a browser: set up, log in, at every width; nobody else is asked."""

import re

import pytest
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.access.people import app_code, code_of_key
from tests.browser.conftest import WINDOWS, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def shows(visitor: Visitor, text: str) -> None:
    """The page says this, fits into the window, and asked nobody else for anything."""
    visitor.page.get_by_text(text).first.wait_for()
    assert visitor.overflow() == 0
    assert visitor.foreign == []
    assert visitor.problems == []


@WINDOWS
def test_it_is_set_up_and_asked_for(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/admin/two-factor/account/")
    shows(visitor, "has no second factor")
    page.get_by_role("link", name="Set it up").click()
    shows(visitor, "Scan this")
    picture = page.locator(".cs-qr svg")
    box = picture.bounding_box()
    assert box is not None
    assert 150 < box["width"] < 300
    assert abs(box["width"] - box["height"]) < 2
    page.get_by_text("Or type the key").click()
    page.fill("[name=code]", code_of_key(page.locator("#two-factor-key").inner_text()))
    page.get_by_role("button", name="Set up").click()
    shows(visitor, "Each of these lets you in once")
    codes = page.locator("#backup-codes li").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    page.wait_for_url(f"{visitor.root}/admin/")

    page.context.clear_cookies()
    visitor.open("/admin/csms/idtag/")
    page.fill("[name=username]", "operator")
    page.fill("[name=password]", "operator")
    page.click("button[type=submit]")
    shows(visitor, "Six digits of your authenticator app")
    page.fill("[name=code]", "000000")
    page.keyboard.press("Enter")
    shows(visitor, "This code is wrong")
    device = TOTPDevice.objects.get()
    device.throttle_reset()
    page.fill("[name=code]", app_code(device, 1))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/admin/csms/idtag/$"))

    visitor.open("/admin/two-factor/account/")
    shows(visitor, "Backup codes left: 10")
    page.fill("[name=code]", codes[0])
    page.get_by_role("button", name="Make new backup codes").click()
    shows(visitor, "Each of these lets you in once")


@pytest.mark.parametrize("visitor", [(390, False)], indirect=True, ids=["phone"])
def test_too_many_wrong_passwords_lead_to_a_plain_page(visitor: Visitor) -> None:
    visitor.page.context.clear_cookies()
    visitor.open("/admin/")
    for _ in range(5):
        visitor.page.fill("[name=username]", "operator")
        visitor.page.fill("[name=password]", "wrong")
        visitor.page.click("button[type=submit]")
    shows(visitor, "Try again in 15 minutes")
    visitor.page.get_by_role("link", name="Back to the login").click()
    visitor.page.wait_for_url("**/admin/login/**")


@WINDOWS
def test_changes_and_history_fit(visitor: Visitor) -> None:
    from csms.models import AuditEntry
    from tests import factories

    charger = factories.charge_point(identity="C" * 200)
    charger.site = "S" * 100
    charger.save()
    entry = AuditEntry.objects.filter(kind="csms.chargepoint").first()
    assert entry is not None
    for path in (
        "/admin/csms/auditentry/",
        f"/admin/csms/auditentry/{entry.pk}/change/",
        f"/admin/csms/chargepoint/{charger.pk}/history/",
        "/admin/auth/user/",
        "/admin/axes/accessattempt/",
        "/admin/csms/apitoken/",
    ):
        visitor.open(path)
        assert visitor.overflow() == 0, path
    assert visitor.problems == []
    assert visitor.foreign == []
