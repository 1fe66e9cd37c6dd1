"""Charging profiles that are assumed to be installed (§3.13, §5.5, §5.16)."""

from typing import TYPE_CHECKING, Any

import pytest

from csms.models import InstalledProfile
from csms.services.effects import effects_check
from tests import factories
from tests.operations.commanded import known_tag
from tests.simulator.calls import PROFILE

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded

pytestmark = pytest.mark.django_db

MAX, DEFAULT, TX = "ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"


def install(
    commanded: "Commanded",
    number: int,
    connector: int,
    purpose: str = DEFAULT,
    level: int = 0,
    status: str = "Accepted",
) -> None:
    charger = commanded.cp.row
    if purpose == TX and not charger.transactions.filter(connector_id=connector).exists():
        factories.transaction(charger, connector_id=connector, state="open")  # it ends with it
    profile = PROFILE | {
        "chargingProfileId": number,
        "chargingProfilePurpose": purpose,
        "stackLevel": level,
    }
    command = commanded.accepted(
        "SetChargingProfile", status, connectorId=connector, csChargingProfiles=profile
    )
    wanted = "assumed" if status == "Accepted" else ""
    assert commanded.effect(command)[0] == wanted


def installed() -> list[int]:
    rows = InstalledProfile.objects.order_by("charging_profile_id")
    return list(rows.values_list("charging_profile_id", flat=True))


def test_what_is_kept(commanded: "Commanded") -> None:
    install(commanded, 5, 2, level=3)
    row = InstalledProfile.objects.get()
    assert (row.charging_profile_id, row.connector_id, row.stack_level) == (5, 2, 3)
    assert (row.purpose, row.installed_at) == (DEFAULT, commanded.house.now)
    assert row.profile == PROFILE | {"chargingProfileId": 5, "stackLevel": 3}


@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
def test_refused_profile_is_not_installed(commanded: "Commanded", status: str) -> None:
    install(commanded, 1, 1, status=status)
    assert installed() == []


def test_same_id_replaces(commanded: "Commanded") -> None:
    install(commanded, 1, 1)
    install(commanded, 1, 2, purpose=TX, level=4)
    row = InstalledProfile.objects.get()
    assert (row.connector_id, row.purpose, row.stack_level) == (2, TX, 4)


def test_same_place_replaces(commanded: "Commanded") -> None:
    """§3.13.2: the same purpose and stackLevel on a connector."""
    install(commanded, 1, 1, level=2)
    install(commanded, 2, 1, level=2)
    assert installed() == [2]


@pytest.mark.parametrize(
    ("connector", "purpose", "level"), [(2, DEFAULT, 2), (1, TX, 2), (1, DEFAULT, 3)]
)
def test_other_places_stay(
    commanded: "Commanded", connector: int, purpose: str, level: int
) -> None:
    install(commanded, 1, 1, level=2)
    install(commanded, 2, connector, purpose, level)
    assert installed() == [1, 2]


def test_other_charge_points_keep_theirs(commanded: "Commanded") -> None:
    install(commanded, 1, 1)
    mine = commanded.cp
    commanded.cp = commanded.house.charger(connected=True, owner="gateway")
    install(commanded, 1, 1)
    assert installed() == [1, 1]
    commanded.accepted("ClearChargingProfile", id=1)
    assert InstalledProfile.objects.get().charge_point_id == mine.pk


@pytest.mark.parametrize("status", ["Accepted", "Unknown"])
@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        ({"id": 2}, [1, 3, 4, 5]),
        ({"id": 2, "connectorId": 9}, [1, 3, 4, 5]),  # §5.5: with an id nothing else counts
        ({"connectorId": 1}, [1, 4, 5]),
        ({"connectorId": 0}, [2, 3, 4, 5]),
        ({"chargingProfilePurpose": TX}, [1, 2, 4]),
        ({"stackLevel": 1}, [1, 2]),
        ({"connectorId": 2, "stackLevel": 1}, [1, 2, 3]),
        ({"connectorId": 2, "chargingProfilePurpose": TX, "stackLevel": 1}, [1, 2, 3, 4]),
        ({"stackLevel": 9}, [1, 2, 3, 4, 5]),
        ({}, []),
    ],
    ids=str,
)
def test_clear(
    commanded: "Commanded", status: str, criteria: dict[str, Any], left: list[int]
) -> None:
    """Unknown says that it has none that fit: what was assumed is not so."""
    install(commanded, 1, 0, MAX, 0)
    install(commanded, 2, 1, DEFAULT, 0)
    install(commanded, 3, 1, TX, 1)
    install(commanded, 4, 2, DEFAULT, 1)
    install(commanded, 5, 2, TX, 1)
    commanded.clear(status, **criteria)
    assert installed() == left


def test_a_profile_of_an_ended_transaction_is_not_that_of_the_next(
    commanded: "Commanded",
) -> None:
    """§3.13.1: a TxProfile ends with its transaction, though another begins at once."""
    known_tag()
    running = commanded.begin()
    install(commanded, 1, 1, TX)
    assert installed() == [1]
    commanded.later(seconds=1)
    commanded.say(commanded.cp.stop(running))
    commanded.later(seconds=1)
    commanded.begin(meter_start=6000)
    effects_check(now=commanded.house.now)
    assert installed() == []
