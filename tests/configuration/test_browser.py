"""Configuration in a browser: templates, the list, a charge point's keys; the pages fit."""

import pytest

from csms.admin import show
from csms.models import Command, ConfigurationTemplate
from csms.services.configuration_templates import template_add
from tests import factories
from tests.browser.conftest import Visitor
from tests.configuration.rows import told

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WINDOWS = pytest.mark.parametrize(
    "visitor",
    [(1280, False), (390, False), (1280, True)],
    indirect=True,
    ids=["wide", "phone", "dark"],
)
LONG = "x" * 40 + "-of-a-very-long-name-" * 3


def fits(visitor: Visitor) -> None:
    assert visitor.overflow() == 0, visitor.page.url
    assert visitor.problems == []
    assert visitor.foreign == []


@WINDOWS
def test_a_template_is_made(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/admin/csms/configurationtemplate/add/")
    page.fill("[name=name]", LONG[:100])
    page.fill("[name=values]", "HeartbeatInterval = soon\nResetRetries = 1")
    page.click("[name=_save]")
    page.wait_for_selector("text=Line 1: HeartbeatInterval is a whole number of seconds")
    fits(visitor)
    page.fill("[name=values]", "HeartbeatInterval = 60\nResetRetries = 1")
    page.click("[name=_save]")
    page.wait_for_url("**/configurationtemplate/")
    assert ConfigurationTemplate.objects.count() == 1
    fits(visitor)


@WINDOWS
def test_the_list_and_a_charge_point(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/admin/csms/chargepointconfiguration/")
    fits(visitor)
    template_add(
        name=LONG[:100],
        values=[
            ["HeartbeatInterval", "60"],
            ["NumberOfConnectors", "1"],
            ["MeterValuesSampledData", "Energy.Active.Import.Register,Power.Active.Import,SoC"],
            ["ResetRetries", "2"],
        ],
    )
    row = factories.charge_point(identity=f"CP-{LONG}", name=LONG, site="Depot", connected=True)
    long = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Temperature"
    told(
        row,
        HeartbeatInterval="300",
        NumberOfConnectors="2",
        MeterValuesSampledData=long,
        SimPIN="",
        BlinkRepeat=None,
        VendorsOwnKeyWithALongName="y" * 400,
    )
    factories.charge_point(identity="CP-2")
    visitor.open("/admin/csms/chargepointconfiguration/")
    assert "2 differs" in page.locator("#result_list").inner_text()
    fits(visitor)
    visitor.open(show.change_url("chargepointconfiguration", row.pk))
    fits(visitor)
    page.click("#repair")
    page.wait_for_selector("text=2 commands on the way.")
    assert Command.objects.filter(action="ChangeConfiguration").count() == 2
    fits(visitor)
