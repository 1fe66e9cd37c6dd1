"""Which transaction a TxProfile belongs to, and that it ends with it, whenever its answer comes
(N35, §3.13.1, §5.16.2)."""

from typing import TYPE_CHECKING, Any

import pytest

from csms.models import Command, InstalledProfile, Transaction
from csms.services.profile_templates import template_send
from csms.services.smart_charging import composite_of, profiles_assumed
from tests import factories
from tests.configuration.rows import told
from tests.operations.commanded import known_tag
from tests.smart_charging.profiles import DEFAULT, TX, A, short, wire
from tests.smart_charging.rows import present, template

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded

pytestmark = pytest.mark.django_db

SLOW = wire(TX, (0, 6), number=5, kind="Relative")


def begun(commanded: "Commanded", **fields: Any) -> Transaction:
    """A transaction of TAG that runs from now on."""
    commanded.later(seconds=1)
    return Transaction.objects.get(transaction_id=commanded.begin(**fields))


def stopped(commanded: "Commanded", row: Transaction) -> None:
    commanded.later(seconds=1)
    commanded.say(commanded.cp.stop(row.transaction_id))
    commanded.later(seconds=1)


def limit(commanded: "Commanded", connector: int = 1) -> str:
    """Which limit holds now."""
    schedule = composite_of(
        charge_point=commanded.cp.row,
        connector_id=connector,
        start=commanded.house.now,
        duration=60,
        unit=A,
    )
    return short(schedule)[0][1]


def sent(commanded: "Commanded", profile: dict[str, Any], connector: int = 1) -> Command:
    """A SetChargingProfile that was not answered in time."""
    return commanded.lost("SetChargingProfile", connectorId=connector, csChargingProfiles=profile)


def numbers() -> list[int]:
    rows = InstalledProfile.objects.order_by("charging_profile_id")
    return list(rows.values_list("charging_profile_id", flat=True))


@pytest.fixture(autouse=True)
def _tag(db: None) -> None:
    known_tag()


def test_a_late_yes_installs(commanded: "Commanded") -> None:
    """F10: the charge point answers after all."""
    command = sent(commanded, wire(DEFAULT, (0, 10)))
    assert (limit(commanded), numbers()) == ("none", [])
    commanded.later(minutes=3)
    commanded.answer(command, status="Accepted")
    assert (limit(commanded), numbers()) == ("10.0", [1])
    assert InstalledProfile.objects.get().installed_at == commanded.house.now


@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
def test_a_late_no_changes_nothing(commanded: "Commanded", status: str) -> None:
    commanded.accepted(
        "SetChargingProfile", connectorId=1, csChargingProfiles=wire(DEFAULT, (0, 10))
    )
    command = sent(commanded, wire(DEFAULT, (0, 20)))
    commanded.answer(command, status=status)
    assert (limit(commanded), numbers()) == ("10.0", [1])


@pytest.mark.parametrize("status", ["Accepted", "Unknown"])
def test_a_late_answer_to_a_clearing(commanded: "Commanded", status: str) -> None:
    commanded.accepted(
        "SetChargingProfile", connectorId=1, csChargingProfiles=wire(DEFAULT, (0, 10))
    )
    command = commanded.lost("ClearChargingProfile", id=1)
    assert numbers() == [1], "nobody knows what became of it"
    commanded.answer(command, status=status)
    assert numbers() == []


def test_a_late_yes_after_the_transaction_has_ended(commanded: "Commanded") -> None:
    """It ended with it, and is not that of the next one."""
    first = begun(commanded)
    command = sent(commanded, SLOW)
    stopped(commanded, first)
    begun(commanded)
    commanded.answer(command, status="Accepted")
    assert (limit(commanded), numbers()) == ("none", [])


def test_a_late_yes_while_the_transaction_runs(commanded: "Commanded") -> None:
    stopped(commanded, begun(commanded))
    second = begun(commanded)
    command = sent(commanded, SLOW)
    commanded.later(minutes=3)
    commanded.answer(command, status="Accepted")
    assert InstalledProfile.objects.get().transaction == second
    assert limit(commanded) == "6.0"


def test_a_start_that_was_told_late(commanded: "Commanded") -> None:
    """The charge point knew of the transaction sooner than we."""
    command = sent(commanded, SLOW)
    row = begun(commanded)
    commanded.answer(command, status="Accepted")
    assert InstalledProfile.objects.get().transaction == row


def test_without_any_transaction_nothing_is_assumed(commanded: "Commanded") -> None:
    commanded.accepted("SetChargingProfile", connectorId=1, csChargingProfiles=SLOW)
    begun(commanded)
    assert (limit(commanded), numbers()) == ("none", [])


def test_what_replaced_a_profile_has_replaced_it_though_it_ended(commanded: "Commanded") -> None:
    """§5.16.4: the same chargingProfileId."""
    commanded.accepted(
        "SetChargingProfile", connectorId=1, csChargingProfiles=wire(DEFAULT, (0, 10), number=5)
    )
    row = begun(commanded)
    named = SLOW | {"transactionId": row.transaction_id}
    command = sent(commanded, named)
    stopped(commanded, row)
    commanded.answer(command, status="Accepted")
    assert numbers() == []


def test_an_ended_transaction_takes_its_profile_along_at_once(commanded: "Commanded") -> None:
    """Before anything is deleted: in the composite, in what is installed, in what counts."""
    row = begun(commanded)
    commanded.accepted("SetChargingProfile", connectorId=1, csChargingProfiles=SLOW)
    assert limit(commanded) == "6.0"
    stopped(commanded, row)
    begun(commanded)
    assert numbers() == [5], "nothing has looked yet"
    assert not profiles_assumed().exists()
    assert limit(commanded) == "none"
    told(commanded.cp.row, MaxChargingProfilesInstalled="1")
    one = template("Nights", DEFAULT)
    sent_now = template_send(template=one, charge_points=[commanded.cp.row], connector_id=2)
    assert sent_now.refused == []


def test_a_reboot_forgets_no_profile(commanded: "Commanded") -> None:
    """Errata 3.37 of §5.16: they "SHALL be persistent across reboots/power cycles"; what ran may
    go on after a power cut."""
    running = begun(commanded)
    commanded.accepted(
        "SetChargingProfile", connectorId=0, csChargingProfiles=wire(DEFAULT, (0, 16), number=4)
    )
    commanded.accepted("SetChargingProfile", connectorId=1, csChargingProfiles=SLOW)
    commanded.accepted("Reset", type="Hard")
    commanded.later(minutes=1)
    commanded.boot()
    assert limit(commanded) == "6.0"
    stopped(commanded, running)
    assert limit(commanded) == "16.0"


def started_with_profile(commanded: "Commanded", connector: int = 1) -> Command:
    profile = {name: value for name, value in SLOW.items() if name != "transactionId"}
    fields: dict[str, Any] = {"idTag": "TAG", "connectorId": connector, "chargingProfile": profile}
    return commanded.accepted("RemoteStartTransaction", **fields)


def test_a_remote_starts_profile_begins_with_its_transaction(commanded: "Commanded") -> None:
    """§5.16.2."""
    command = started_with_profile(commanded)
    assert numbers() == []
    row = begun(commanded)
    assert commanded.effect(command)[0] == "seen"
    installed = InstalledProfile.objects.get()
    assert (installed.transaction, installed.connector_id) == (row, 1)
    assert limit(commanded) == "6.0"
    stopped(commanded, row)
    begun(commanded)
    assert limit(commanded) == "none"


def test_a_remote_starts_profile_is_not_that_of_the_next_transaction(
    commanded: "Commanded",
) -> None:
    """Its own was over before anybody looked."""
    command = started_with_profile(commanded)
    stopped(commanded, begun(commanded))
    begun(commanded)
    assert commanded.effect(command)[0] == "seen"
    assert (limit(commanded), numbers()) == ("none", [])


def test_a_profile_set_since_replaces_that_of_the_remote_start(commanded: "Commanded") -> None:
    """§5.16.2: of the same stackLevel, with the transactionId; though its start is seen later."""
    command = started_with_profile(commanded)
    row = begun(commanded)
    newer = wire(TX, (0, 20), number=9, kind="Relative", transactionId=row.transaction_id)
    commanded.accepted("SetChargingProfile", connectorId=1, csChargingProfiles=newer)
    assert commanded.effect(command)[0] == "seen"
    assert (limit(commanded), numbers()) == ("20.0", [9])


def test_a_profile_of_another_connector_stays(commanded: "Commanded") -> None:
    """§3.13.2 on each connector; the same id is one profile wherever it is."""
    factories.transaction(commanded.cp.row, connector_id=2, state="open")
    present(commanded.cp.row, 2, wire(TX, number=8))
    started = started_with_profile(commanded)
    begun(commanded)
    assert commanded.effect(started)[0] == "seen"
    assert numbers() == [5, 8]
