"""The list of unknown vendor messages in a browser: it fits, empty and full."""

import pytest

from csms.models import UnknownTransfer
from tests import factories
from tests.browser.conftest import WINDOWS, Visitor
from tests.reservations.test_browser import fits, hidden

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/csms/unknowntransfer/"


@WINDOWS
def test_the_list_fits(visitor: Visitor) -> None:
    visitor.open(LIST)
    fits(visitor)
    for number, vendor in enumerate(("com.example", "W" * 255, "org.example.charging.vendor")):
        UnknownTransfer.objects.create(
            vendor_id=vendor,
            message_id="M" * 50 if number == 1 else "GetSomething",
            identity=f"DEPOT-WEST-{number:05}" + "W" * 30 * (number == 1),
            example='{"celsius": 70, "what": "' + "long " * 60,
            count=10**number,
            first_at=factories.now(),
            last_at=factories.now(),
        )
    visitor.open(LIST)
    fits(visitor)
    if visitor.page.viewport_size["width"] > 1_000:
        UnknownTransfer.objects.filter(vendor_id__startswith="W").delete()
        visitor.open(LIST)
        assert hidden(visitor) == 0
