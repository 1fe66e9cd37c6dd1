"""Local authorization lists of simulated charge points of both transports, brought up to date."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import ChargePoint, Command, Connector, LocalList, LocalListContent
from csms.ocpp.types import ChargePointErrorCode, ChargePointStatus
from csms.services.authorization import id_tag_block, id_tag_change
from csms.services.commands import command_send, request_of
from csms.services.local_list_states import ListState, State, list_states
from csms.services.local_lists import conflicts_settle, lists_update
from tests import factories
from tests.running import wait_for
from tests.simulated import simulated

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint
    from tests.running import System

pytestmark = pytest.mark.django_db(transaction=True)

BOTH = pytest.mark.parametrize("transport", ["json", "soap"])


def charge_point(transport: str = "json", **columns: Any) -> ChargePoint:
    return factories.charge_point(transport=transport, last_seen=None, **columns)


def state(row: ChargePoint) -> ListState:
    return list_states([ChargePoint.objects.get(pk=row.pk)])[row.pk]


def quiet(row: ChargePoint) -> list[Command]:
    own = Command.objects.filter(charge_point=row)
    wait_for(lambda: own.exists() and not own.filter(state__in=["queued", "sent"]).exists())
    return list(own.order_by("id"))


def updated(row: ChargePoint, **options: Any) -> list[Command]:
    """Bring a list up to date; the SendLocalLists of this update."""
    before = Command.objects.filter(charge_point=row).count()
    lists_update(charge_points=[ChargePoint.objects.get(pk=row.pk)], by="test", **options)
    return [one for one in quiet(row)[before:] if one.action == "SendLocalList"]


def held(charger: "SimulatedChargePoint") -> dict[str, str]:
    return {key: info.status.value for key, info in charger.local_list.entries.items()}


@pytest.fixture
def tags(transactional_db: None) -> None:
    factories.id_tag("Anna", parent_id_tag="FAMILY")
    factories.id_tag("Bert", blocked=True)
    factories.id_tag("Cleo", expires_at=factories.now() - timedelta(days=1))
    factories.id_tag("Dora", expires_at=factories.now() + timedelta(days=1))
    factories.id_tag("x" * 21)


@BOTH
def test_n34_first_full_then_differential(system: "System", transport: str, tags: None) -> None:
    """Version 1 first; a Differential entry without idTagInfo deletes; parentIdTag is sent."""
    row, other = charge_point(transport), factories.charge_point()
    mine, theirs = factories.id_tag("Mine"), factories.id_tag("Theirs")
    mine.charge_points.set([row])
    theirs.charge_points.set([other])
    assert state(row).state is State.NONE
    system.deliver()
    with simulated(system, row) as charger:
        (first,) = updated(row)
        assert (first.payload["updateType"], first.payload["listVersion"]) == ("Full", 1)
        assert held(charger) == {
            "mine": "Accepted",
            "anna": "Accepted",
            "bert": "Blocked",
            "cleo": "Expired",
            "dora": "Accepted",
        }
        assert charger.local_list.entries["anna"].parent_id_tag == "FAMILY"
        assert state(row)[:4] == (State.CURRENT, "", 1, 5)
        assert updated(row) == []
        id_tag_block(id_tag="anna")
        id_tag_change(row=mine, charge_points=[other])
        factories.id_tag("Eve")
        assert state(row).state is State.STALE
        (second,) = updated(row)
        assert (second.payload["updateType"], second.payload["listVersion"]) == ("Differential", 2)
        assert {entry["idTag"] for entry in second.payload["localAuthorizationList"]} == {
            "Mine",
            "Anna",
            "Eve",
        }
        assert held(charger)["anna"] == "Blocked"
        assert "mine" not in held(charger)
        assert state(row)[:4] == (State.CURRENT, "", 2, 5)


@BOTH
def test_n34_in_chunks_first_full_then_differentials(system: "System", transport: str) -> None:
    for number in range(25):
        factories.id_tag(f"TAG{number:02}")
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        charger.configuration["SendLocalListMaxLength"] = "10"
        sent = updated(row)
        shape = [
            (
                one.payload["updateType"],
                one.payload["listVersion"],
                len(one.payload["localAuthorizationList"]),
            )
            for one in sent
        ]
        assert shape == [("Full", 1, 10), ("Differential", 2, 10), ("Differential", 3, 5)]
        assert (len(held(charger)), charger.local_list.version) == (25, 3)
        assert state(row)[:4] == (State.CURRENT, "", 3, 25)


@BOTH
def test_n34_a_list_that_is_too_short_has_the_most_important(
    system: "System", transport: str, tags: None
) -> None:
    mine = factories.id_tag("Zoe")
    row = charge_point(transport)
    mine.charge_points.set([row])
    system.deliver()
    with simulated(system, row) as charger:
        charger.configuration["LocalAuthListMaxLength"] = "2"
        updated(row)
        assert set(held(charger)) == {"zoe", "anna"}
        assert state(row)[:4] == (State.CURRENT, "Room for 2 of 5 idTags.", 1, 2)


@BOTH
def test_n34_a_charge_point_that_lost_its_list_gets_all_of_it(
    system: "System", transport: str, tags: None
) -> None:
    """§5.10 before each update: a Differential over an empty list would leave it half empty."""
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        updated(row)
        charger.local_list.entries, charger.local_list.version = {}, 0
        factories.id_tag("Eve")
        (sent,) = updated(row)
        assert sent.payload["updateType"] == "Full"
        assert len(held(charger)) == 5


@BOTH
def test_n34_version_mismatch_starts_full_again(
    system: "System", transport: str, tags: None
) -> None:
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        updated(row)
        charger.local_list.refuses = ["VersionMismatch"]
        factories.id_tag("Eve")
        sent = updated(row)
        assert [(one.payload["updateType"], one.state) for one in sent] == [
            ("Differential", "rejected"),
            ("Full", "accepted"),
        ]
        assert state(row).state is State.CURRENT


@BOTH
def test_n34_failed_is_tried_again_and_told_in_the_end(
    system: "System", transport: str, tags: None
) -> None:
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        charger.local_list.refuses = ["Failed"] * 3
        assert len(updated(row)) == 3
        assert state(row)[:2] == (State.FAILED, "SendLocalList: Failed.")
        updated(row)
        assert state(row)[:3] == (State.CURRENT, "", 1)


@BOTH
def test_n34_not_supported_and_switched_off(system: "System", transport: str, tags: None) -> None:
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        charger.local_list.refuses = ["NotSupported"]
        updated(row)
        assert state(row)[:2] == (State.UNSUPPORTED, "SendLocalList: NotSupported.")
        charger.configuration["LocalAuthListEnabled"] = "false"
        updated(row)
        assert state(row)[:2] == (
            State.UNSUPPORTED,
            "It says that it has no local list (version -1).",
        )
        asked = request_of("GetConfiguration", {"key": ["LocalAuthListEnabled"]})
        command_send(charge_point=row, request=asked)
        quiet(row)
        assert state(row).state is State.OFF
        assert "LocalAuthListEnabled is false" in state(row).why
        done = lists_update(charge_points=[ChargePoint.objects.get(pk=row.pk)])
        assert (done.batches, done.left[0][0]) == ([], row.identity)


@BOTH
def test_n34_a_list_sent_by_hand_is_not_ours(system: "System", transport: str, tags: None) -> None:
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row):
        updated(row)
        other = {"listVersion": 7, "updateType": "Full"}
        command_send(charge_point=row, request=request_of("SendLocalList", other))
        quiet(row)
        assert state(row)[:3] == (State.STALE, "What it has did not come from here.", 7)
        (sent,) = updated(row)
        assert (sent.payload["updateType"], sent.payload["listVersion"]) == ("Full", 8)


@BOTH
def test_n34_a_conflict_starts_a_full_update(system: "System", transport: str, tags: None) -> None:
    row = charge_point(transport)
    system.deliver()
    with simulated(system, row) as charger:
        updated(row)
        conflict = ChargePointErrorCode.LOCAL_LIST_CONFLICT
        system.run(charger.status(0, ChargePointStatus.FAULTED, conflict))
        system.run(charger.status(0, ChargePointStatus.AVAILABLE))
        system.written()
        assert Connector.objects.get(charge_point=row, connector_id=0).list_conflict_at
        assert conflicts_settle(now=factories.now()) == 0  # so soon after the last update
        later = factories.now() + timedelta(minutes=11)
        assert conflicts_settle(now=later) == 1
        assert conflicts_settle(now=later) == 0
        sent = [one for one in quiet(row) if one.action == "SendLocalList"]
        assert [one.payload["updateType"] for one in sent] == ["Full", "Full"]
        assert sent[1].requested_by == "clock: LocalListConflict"
        assert state(row)[:3] == (State.CURRENT, "", 2)
        assert conflicts_settle(now=later + timedelta(hours=1)) == 0


@BOTH
def test_an_update_waits_for_who_is_offline_and_goes_on(
    system: "System", transport: str, tags: None
) -> None:
    """Each step is a command in the database: nothing of an update lives in a process."""
    row = charge_point(transport)
    lists_update(charge_points=[row], by="test")
    assert state(row)[:2] == (State.UPDATING, "GetConfiguration is queued")
    system.deliver()
    with simulated(system, row) as charger:
        quiet(row)
        assert len(held(charger)) == 4
    assert LocalListContent.objects.count() == 2  # what holds everywhere, and the list of it
    assert LocalList.objects.get().target is None
