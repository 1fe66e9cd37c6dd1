"""A RemoteStart's TxProfile: assumed from the start of its transaction to its end (N35)."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.models import Command, InstalledProfile, Transaction
from csms.models.commands import CommandState, Effect
from csms.models.transactions import TransactionState
from csms.services.effects import effects_check
from tests import factories

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROFILE = {
    "chargingProfileId": 7,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
    },
}


@pytest.mark.django_db
def test_n35_a_remote_starts_profile_lasts_as_long_as_its_transaction() -> None:
    charge_point = factories.charge_point()
    Command.objects.create(
        charge_point=charge_point,
        action="RemoteStartTransaction",
        payload={"idTag": "TAG", "chargingProfile": PROFILE},
        state=CommandState.ACCEPTED,
        sent_at=NOW,
        expires_at=NOW,
        effect=Effect.WAITING,
        effect_until=NOW + timedelta(hours=1),
    )
    assert effects_check(now=NOW) == 0
    assert not InstalledProfile.objects.exists()
    row = Transaction.objects.create(
        transaction_id=1,
        charge_point=charge_point,
        connector_id=2,
        id_tag="TAG",
        id_tag_key="tag",
        start_timestamp="x",
        started_at=NOW,
        start_received_at=NOW,
        meter_start=0,
    )
    assert effects_check(now=NOW) == 1
    profile = InstalledProfile.objects.get()
    assert (profile.connector_id, profile.charging_profile_id) == (2, 7)
    effects_check(now=NOW)
    assert InstalledProfile.objects.exists()
    row.state = TransactionState.STOPPED
    row.save()
    effects_check(now=NOW)
    assert not InstalledProfile.objects.exists()
