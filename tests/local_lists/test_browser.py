"""Local lists in a browser: their list, and bringing all up to date; the pages fit."""

import pytest

from csms.models import Command
from tests import factories
from tests.browser.conftest import Visitor
from tests.configuration.test_browser import LONG, WINDOWS, fits
from tests.local_lists.rows import current, limits

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/csms/chargepointlocallist/"


@WINDOWS
def test_the_list(visitor: Visitor) -> None:
    visitor.open(LIST)
    fits(visitor)
    factories.id_tag("TAG")
    for number, problem in enumerate(("", "SendLocalList: Failed.", LONG)):
        row = factories.charge_point(identity=f"CP-{number}{LONG * (number == 2)}", name="Depot")
        own = current(row, version=1000 + number)
        own.problem = problem
        own.save()
    limits(factories.charge_point(identity="CP-8"), LocalAuthListEnabled="false")
    factories.charge_point(identity="CP-9", version="1.2", transport="soap")
    factories.charge_point(identity="CP-7")
    visitor.open(LIST)
    assert "1002" in visitor.page.locator("#result_list").inner_text()
    fits(visitor)


@WINDOWS
def test_all_are_brought_up_to_date(visitor: Visitor) -> None:
    for _ in range(3):
        factories.charge_point()
    page = visitor.page
    visitor.open(LIST)
    page.evaluate(
        "document.querySelector('a[href$=\"/update_all/\"]').click()"
    )  # in a menu on phones
    page.wait_for_selector("#update-all")
    fits(visitor)
    page.click("#update-all")
    page.wait_for_selector("text=3 updates begun.")
    assert Command.objects.count() == 3
    fits(visitor)
