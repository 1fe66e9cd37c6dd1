"""What is assumed to be installed ends with its transaction (N35); ours beside what was told."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from csms.models import InstalledProfile
from csms.models.transactions import TransactionState
from csms.services.effects import effects_check
from csms.services.smart_charging import composite_of, composite_reported
from tests import factories
from tests.smart_charging.profiles import DEFAULT, TX, A, W, short, wire
from tests.smart_charging.rows import answered, present

if TYPE_CHECKING:
    from csms.models import ChargePoint
    from tests.operations.commanded import Commanded

pytestmark = pytest.mark.django_db


def accepted(commanded: "Commanded", connector: int, profile: dict[str, Any]) -> InstalledProfile:
    commanded.accepted("SetChargingProfile", connectorId=connector, csChargingProfiles=profile)
    return InstalledProfile.objects.get(charging_profile_id=profile["chargingProfileId"])


@pytest.mark.parametrize("named", [True, False])
def test_n35_a_txprofile_ends_with_its_own_transaction(commanded: "Commanded", named: bool) -> None:
    """Another one that began on the connector meanwhile does not keep it."""
    row = factories.transaction(commanded.cp.row, state="open")
    more = {"transactionId": row.transaction_id} if named else {}
    kept = accepted(commanded, 1, wire(DEFAULT, number=1))
    assert kept.transaction is None
    assert accepted(commanded, 1, wire(TX, number=2) | more).transaction == row
    effects_check(now=commanded.house.now)
    assert InstalledProfile.objects.count() == 2
    row.state = TransactionState.STOPPED
    row.save()
    factories.transaction(commanded.cp.row, state="open")
    effects_check(now=commanded.house.now)
    assert InstalledProfile.objects.get() == kept


def test_ours_follows_from_the_rows(charger: "ChargePoint") -> None:
    present(charger, 0, wire("ChargePointMaxProfile", (0, 20), number=1))
    present(charger, 1, wire(DEFAULT, (0, 32), number=2))
    row = factories.transaction(charger, state="open")
    mine = wire(TX, (0, 3450, 1), number=3, unit="W", transactionId=row.transaction_id)
    present(charger, 1, mine)
    start = timezone.now()

    def ours(connector: int) -> list[tuple[int, str]]:
        schedule = composite_of(
            charge_point=charger, connector_id=connector, start=start, duration=60, unit=A
        )
        return short(schedule)

    assert ours(1) == [(0, "15.0")]
    assert ours(2) == [(0, "20.0")]
    assert ours(0) == [(0, "20.0")]


def test_what_a_charge_point_told_is_read_with_its_unit(charger: "ChargePoint") -> None:
    assert composite_reported(charge_point=charger, connector_id=1, unit=A) is None
    answered(charger, 1, (0, 6900), unit="W")
    answered(charger, 2, (0, 1))
    report = composite_reported(charge_point=charger, connector_id=1, unit=A)
    assert report is not None
    assert report.schedule is not None
    assert short(report.schedule) == [(0, "10.0")]
    report = composite_reported(charge_point=charger, connector_id=2, unit=W)
    assert report is not None
    assert report.schedule is not None
    assert short(report.schedule) == [(0, "690.0")]


def test_an_answer_without_a_schedule_is_said_to_be_one(charger: "ChargePoint") -> None:
    answered(charger, 1)
    report = composite_reported(charge_point=charger, connector_id=1, unit=A)
    assert report is not None
    assert report.schedule is None


def test_an_answer_is_outdated_by_what_happened_since(charger: "ChargePoint") -> None:
    def outdated() -> bool:
        report = composite_reported(charge_point=charger, connector_id=1, unit=A)
        assert report is not None
        return report.outdated

    row = factories.transaction(charger, state="open")
    answered(charger, 1, (0, 16))
    assert not outdated()
    later = timezone.now() + timedelta(seconds=5)
    cleared = factories.command(
        charger, action="ClearChargingProfile", state="accepted", finished_at=later
    )
    assert outdated()
    cleared.delete()
    assert not outdated()
    row.stop_received_at = later
    row.save()
    assert outdated()
