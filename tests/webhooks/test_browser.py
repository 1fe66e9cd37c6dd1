"""The pages of webhooks in a browser: they fit, empty and full, with names of any length."""

from datetime import timedelta

import pytest

from csms.admin import show
from csms.models.webhooks import WebhookKind
from tests import factories
from tests.browser.conftest import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WINDOWS = pytest.mark.parametrize(
    "visitor",
    [(1280, False), (390, False), (1280, True)],
    indirect=True,
    ids=["wide", "phone", "dark"],
)
LISTS = ("webhooksubscription", "webhookevent", "unknowntransfer")


def fits(visitor: Visitor) -> None:
    assert visitor.overflow() == 0, visitor.page.url
    assert visitor.problems == []
    assert visitor.foreign == []


@WINDOWS
def test_a_webhook_is_made_in_the_browser(visitor: Visitor) -> None:
    for model in LISTS:
        visitor.open(show.list_url(model))
        fits(visitor)
    visitor.open("/admin/csms/webhooksubscription/add/")
    fits(visitor)
    page = visitor.page
    page.fill("[name=name]", "Billing")
    page.fill("[name=url]", "https://198.51.100.7/events")
    page.check("[name=kinds][value='transaction.stopped']")
    page.click("[name=_save]")
    assert page.locator("#new-key").inner_text().startswith("whsec_")
    fits(visitor)


@WINDOWS
def test_full_lists_fit(visitor: Visitor) -> None:
    long, later = "W" * 90, factories.now() + timedelta(minutes=5)
    url = "https://billing.example.com/" + "events-" * 60
    row = factories.webhook(name=long, url=url, kinds=WebhookKind.values[:7])
    factories.webhook(name="Off", active=False)
    factories.webhook(name="Down", failures=5, paused_until=later, last_error="Answered 503.")
    error = "No connection: ConnectError All connection attempts failed " * 4
    for state in ("waiting", "delivered", "dead"):
        factories.webhook_event(row, state=state, identity="C" * 200, error=error[:255])
    event = factories.webhook_event(row, state="dead", error=error[:255], attempts=41)
    factories.unknown_transfer(vendor_id="v" * 255, message_id="m" * 50, example="d" * 500)
    for model in LISTS:
        visitor.open(show.list_url(model))
        fits(visitor)
    visitor.open(show.change_url("webhooksubscription", row.pk))
    fits(visitor)
    page = visitor.page
    page.click("#test")  # its secret cannot be read: nothing leaves this machine
    page.get_by_text("The test event was not taken.").wait_for()
    assert "give it a new one" in page.inner_text("#standing")
    fits(visitor)
    page.click("#pause")
    page.locator("#resume").wait_for()
    assert page.locator("#pause").count() == 0
    fits(visitor)
    page.click("#resume")
    page.locator("#pause").wait_for()
    visitor.open(show.change_url("webhookevent", event.pk))
    fits(visitor)
