"""Profiles set and cleared, and composite schedules, with a simulated charge point of either
transport: what we calculate is what it reports."""

from typing import TYPE_CHECKING, Any

import pytest

from csms.models import ChargePoint, Command, InstalledProfile
from csms.ocpp.types import ChargingRateUnitType
from csms.services.commands import command_send, request_of
from csms.services.composite import differences
from csms.services.profile_templates import template_send
from csms.services.smart_charging import composite_of, composite_reported
from csms.simulator.plan import Plan
from tests import factories
from tests.running import wait_for
from tests.simulated import simulated
from tests.smart_charging.profiles import DAY, DEFAULT, HOUR, MAX, TX, A, W
from tests.smart_charging.rows import daily, template

if TYPE_CHECKING:
    from tests.running import System

pytestmark = pytest.mark.django_db(transaction=True)

STRONG = Plan(watts=100_000)
"""Its own maximum lies above all limits."""


def finished(command: Command, state: str = "accepted") -> Command:
    wait_for(lambda: Command.objects.get(pk=command.pk).finished_at is not None)
    command.refresh_from_db()
    assert command.state == state, (command.error, command.answer)
    return command


def sent(template: Any, row: ChargePoint, connector: int, state: str = "accepted") -> Command:
    done = template_send(template=template, charge_points=[row], connector_id=connector)
    assert done.refused == []
    return finished(done.commands[0] if done.batch is None else done.batch.commands.get(), state)


def asked(row: ChargePoint, name: str, payload: dict[str, Any], state: str = "accepted") -> Command:
    return finished(command_send(charge_point=row, request=request_of(name, payload)), state)


def agree(row: ChargePoint, connector: int, unit: ChargingRateUnitType) -> list[Any]:
    """What the charge point reports is what we say; our limits."""
    question = {"connectorId": connector, "duration": DAY, "chargingRateUnit": unit.value}
    asked(row, "GetCompositeSchedule", question)
    report = composite_reported(charge_point=row, connector_id=connector, unit=unit)
    assert report is not None
    assert report.schedule is not None
    theirs = report.schedule
    ours = composite_of(
        charge_point=row,
        connector_id=connector,
        start=theirs.start,
        duration=theirs.duration,
        unit=unit,
    )
    assert differences(ours, theirs) == []
    return [period.limit for period in ours.periods]


@pytest.mark.parametrize("transport", ["json", "soap"])
def test_n35_ours_is_what_the_charge_point_reports(system: "System", transport: str) -> None:
    factories.id_tag("TAG")
    row = factories.charge_point(transport=transport, last_seen=None)
    system.deliver()
    with simulated(system, row, plan=STRONG) as charger:
        assert agree(row, 1, A) == [None]
        sent(template("Site", MAX, (0, 30), startSchedule="2026-01-01T00:00:00Z"), row, 0)
        sent(daily(), row, 1)
        assert {str(limit) for limit in agree(row, 1, A)} == {"16.0", "30.0"}
        system.run(charger.start(1, "TAG"))
        slow = template("Slow", TX, (0, "6.5"), (2 * HOUR, 20), kind="Relative", duration=5 * HOUR)
        sent(slow, row, 1)
        limits = [str(limit) for limit in agree(row, 1, A)]
        assert limits[:2] == ["6.5", "20.0"]
        agree(row, 1, W)
        assert InstalledProfile.objects.count() == 3
        asked(row, "ClearChargingProfile", {"chargingProfilePurpose": TX})
        assert {str(limit) for limit in agree(row, 1, A)} == {"16.0", "30.0"}
        asked(row, "ClearChargingProfile", {})
        assert not InstalledProfile.objects.exists()
        assert agree(row, 1, A) == [None]
        asked(row, "ClearChargingProfile", {}, "rejected")


def test_n35_what_is_refused_is_not_assumed(system: "System") -> None:
    row = factories.charge_point(last_seen=None)
    system.deliver()
    with simulated(system, row):
        sent(template("Deep", DEFAULT, level=99), row, 1, "rejected")
    assert not InstalledProfile.objects.exists()
