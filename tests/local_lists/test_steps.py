"""Updates step by step, at the door of the services: answers that are late, lost or errors."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import Command
from csms.services.local_list_states import ListState, State, list_states
from csms.services.local_lists import LAST_VERSION, lists_update
from csms.services.outbox import CallFailed, NoAnswer, commands_expire
from tests import factories
from tests.local_lists.rows import current, limits

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded

pytestmark = pytest.mark.django_db(transaction=True)

LOST = NoAnswer("No answer within 30 s.")


def begun(commanded: "Commanded", **options: Any) -> Command:
    """An update of a charge point whose limits are known; its first step, sent."""
    lists_update(charge_points=[commanded.cp.row], by="me", **options)
    return commanded.claimed()


def state(commanded: "Commanded") -> ListState:
    return list_states([commanded.cp.row])[commanded.cp.row.pk]


def sending(commanded: "Commanded", version: int = 0) -> Command:
    """The first SendLocalList, on its way."""
    factories.id_tag("TAG")
    limits(commanded.cp.row)
    commanded.answer(begun(commanded), listVersion=version)
    command = commanded.claimed()
    assert command.action == "SendLocalList"
    return command


@pytest.mark.parametrize("arrived", [True, False])
def test_f15_a_lost_answer_is_found_out_by_the_version(
    commanded: "Commanded", arrived: bool
) -> None:
    """Nobody knows whether it was carried out; GetLocalListVersion tells, then it goes on."""
    command = commanded.complete(sending(commanded), LOST)
    question = commanded.claimed()
    assert (question.action, question.follows) == ("GetLocalListVersion", command)
    commanded.answer(question, listVersion=1 if arrived else 0)
    if not arrived:
        commanded.answer(commanded.claimed(), listVersion=0)
        again = commanded.claimed()
        assert again.payload["updateType"] == "Full"
        commanded.answer(again, status="Accepted")
    assert state(commanded)[:3] == (State.CURRENT, "", 1)


def test_f10_a_late_answer_goes_on_with_the_update(commanded: "Commanded") -> None:
    command = commanded.complete(sending(commanded), LOST)
    assert state(commanded).state is State.FAILED
    commanded.answer(command, status="Accepted")
    assert state(commanded)[:3] == (State.CURRENT, "", 1)
    commanded.answer(commanded.claimed(), listVersion=1)
    assert state(commanded)[:3] == (State.CURRENT, "", 1)


def test_n34_an_error_stops_and_the_next_update_begins_anew(commanded: "Commanded") -> None:
    commanded.complete(sending(commanded), CallFailed("InternalError", "disk full"))
    assert state(commanded)[:2] == (
        State.FAILED,
        "SendLocalList: error. InternalError: disk full",
    )
    commanded.answer(begun(commanded), listVersion=0)
    commanded.answer(commanded.claimed(), status="Accepted")
    assert state(commanded).state is State.CURRENT


@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported"])
def test_n34_one_that_knows_no_lists_is_not_supported(commanded: "Commanded", code: str) -> None:
    limits(commanded.cp.row)
    commanded.complete(begun(commanded), CallFailed(code, ""))
    assert state(commanded).state is State.UNSUPPORTED


def test_n34_an_update_cut_halfway_sends_the_whole_list(commanded: "Commanded") -> None:
    """A part of a Differential was accepted: what the charge point has is not known."""
    row = commanded.cp.row
    current(row, version=4)
    limits(row, SendLocalListMaxLength="1")
    for _ in range(3):
        factories.id_tag()
    commanded.answer(begun(commanded), listVersion=4)
    first = commanded.claimed()
    assert (first.payload["updateType"], first.payload["listVersion"]) == ("Differential", 5)
    commanded.answer(first, status="Accepted")
    commanded.answer(commanded.claimed(), listVersion=5)  # what reads it back
    commands_expire(now=commanded.house.now + timedelta(days=1))
    assert "expired" in state(commanded).why
    commanded.answer(begun(commanded), listVersion=5)
    whole = commanded.claimed()
    assert (whole.payload["updateType"], whole.payload["listVersion"]) == ("Full", 6)


def test_n34_versions_never_run_out(commanded: "Commanded") -> None:
    command = sending(commanded, version=LAST_VERSION)
    assert (command.payload["updateType"], command.payload["listVersion"]) == ("Full", 1)


def test_n34_an_empty_list_is_sent_whole(commanded: "Commanded") -> None:
    limits(commanded.cp.row)
    commanded.answer(begun(commanded), listVersion=3)
    command = commanded.claimed()
    assert command.payload == {"listVersion": 4, "updateType": "Full"}
    commanded.answer(command, status="Accepted")
    assert state(commanded)[:4] == (State.CURRENT, "", 4, 0)


def test_n36_limits_are_asked_for_as_many_at_a_time_as_it_takes(commanded: "Commanded") -> None:
    row = commanded.cp.row
    limits(row)
    row.configuration_keys.all().delete()
    from tests.configuration.rows import told

    told(row, GetConfigurationMaxKeys="2")
    step = begun(commanded)
    assert step.payload == {"key": ["LocalAuthListEnabled", "LocalAuthListMaxLength"]}
    commanded.answer(step)
    step = commanded.claimed()
    assert step.payload == {"key": ["SendLocalListMaxLength"]}
    item = {"key": "SendLocalListMaxLength", "readonly": True, "value": "5"}
    commanded.answer(step, configurationKey=[item])
    assert commanded.claimed().action == "GetLocalListVersion"


def test_a_list_that_lost_its_entries_is_noticed(commanded: "Commanded") -> None:
    """Somebody asks for the version, and it is another one than that of the last update."""
    current(commanded.cp.row, version=4)
    assert state(commanded).state is State.CURRENT
    commanded.answer(commanded.send("GetLocalListVersion"), listVersion=4)
    assert state(commanded).state is State.CURRENT
    commanded.answer(commanded.send("GetLocalListVersion"), listVersion=0)
    assert state(commanded)[:3] == (State.NONE, "", 0)


def test_only_what_needs_it_is_updated(commanded: "Commanded") -> None:
    row = commanded.cp.row
    current(row)
    stale, old = factories.charge_point(), factories.charge_point(feature_profiles="Core")
    current(stale)
    factories.id_tag("OWN").charge_points.set([stale])
    done = lists_update(charge_points=[row, stale, old])
    assert (done.current, [who for who, _ in done.left]) == (1, [old.identity])
    assert [command.charge_point for command in Command.objects.all()] == [stale]
    again = lists_update(charge_points=[row, stale, old])
    assert (again.current, again.batches) == (2, [])
