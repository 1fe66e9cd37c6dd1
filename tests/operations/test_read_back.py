"""What was set is read back: the version of a local list, the value of a configuration key."""

from typing import TYPE_CHECKING, Any

import pytest

from csms.models import Command
from csms.services.commands import command_send
from csms.services.outbox import CallFailed, NoAnswer
from tests.operations.examples import request

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded

pytestmark = pytest.mark.django_db

WAITING = ("waiting", "")


def reader(commanded: "Commanded", command: Command, name: str) -> Command:
    """The command that reads back, on its way."""
    assert commanded.effect(command) == WAITING
    follower = commanded.claimed()
    assert (follower.action, follower.follows) == (name, command)
    assert follower.requested_by == f"effect of command {command.pk}"
    return follower


# -------------------------------------------------------------------------- the local list


@pytest.mark.parametrize(
    ("found", "effect"),
    [
        (4, ("seen", "The list has version 4.")),
        (3, ("missing", "The list has version 3 instead of 4.")),
        (0, ("missing", "The list has version 0 instead of 4.")),
        (-1, ("missing", "The list has version -1 instead of 4.")),
    ],
)
def test_list_version(commanded: "Commanded", found: int, effect: tuple[str, str]) -> None:
    command = commanded.accepted("SendLocalList", listVersion=4)
    commanded.answer(reader(commanded, command, "GetLocalListVersion"), listVersion=found)
    assert commanded.effect(command) == effect


@pytest.mark.parametrize("status", ["NotSupported", "Failed", "VersionMismatch"])
def test_list_that_was_refused_is_not_read_back(commanded: "Commanded", status: str) -> None:
    command = commanded.accepted("SendLocalList", status)
    assert (command.state, commanded.effect(command)) == ("rejected", ("", ""))
    assert Command.objects.count() == 1


@pytest.mark.parametrize(
    "answer", [CallFailed("NotSupported", "No."), NoAnswer("NotSupported: No.")], ids=["error", "-"]
)
@pytest.mark.parametrize(("lost", "effect"), [(False, "assumed"), (True, "missing")])
def test_version_that_cannot_be_read(
    commanded: "Commanded", answer: Any, lost: bool, effect: str
) -> None:
    """What was accepted is believed; what nobody answered is not."""
    command = (commanded.lost if lost else commanded.accepted)("SendLocalList")
    commanded.complete(reader(commanded, command, "GetLocalListVersion"), answer)
    text = "It could not be read back: NotSupported: No."
    assert commanded.effect(command) == (effect, text)


def test_list_that_was_sent_anew_before_it_was_read(commanded: "Commanded") -> None:
    first = commanded.accepted("SendLocalList", listVersion=4)
    follower = Command.objects.get(follows=first)
    Command.objects.filter(pk=follower.pk).update(state="cancelled")  # steps aside
    second = commanded.accepted("SendLocalList", listVersion=5)
    Command.objects.filter(pk=follower.pk).update(state="queued")
    commanded.answer(commanded.claimed(), listVersion=5)
    assert commanded.effect(first) == ("assumed", "A later command has sent another list.")
    commanded.answer(commanded.claimed(), listVersion=5)
    assert commanded.effect(second) == ("seen", "The list has version 5.")


# ----------------------------------------------------------------------- configuration keys


def item(key: str, **fields: Any) -> dict[str, Any]:
    return {"configurationKey": [{"key": key, "readonly": False, **fields}]}


@pytest.mark.parametrize(
    ("status", "reply", "effect"),
    [
        ("Accepted", item("Colour", value="Red"), ("seen", "Colour is Red.")),
        ("Accepted", item("colour", value=" red"), ("seen", "Colour is  red.")),
        ("Accepted", item("Colour", value="Blue"), ("missing", "Colour is Blue instead of Red.")),
        ("Accepted", item("Colour", value=""), ("missing", "Colour is  instead of Red.")),
        ("Accepted", item("Colour"), ("assumed", "Colour cannot be read back.")),
        ("Accepted", {"unknownKey": ["Colour"]}, ("assumed", "Colour cannot be read back.")),
        ("Accepted", {}, ("assumed", "Colour cannot be read back.")),
        (
            "RebootRequired",
            item("Colour", value="Red"),
            ("seen", "Colour is Red. A reboot is required."),
        ),
        (
            "RebootRequired",
            {},
            ("assumed", "Colour cannot be read back. A reboot is required."),
        ),
    ],
)
def test_value(
    commanded: "Commanded", status: str, reply: dict[str, Any], effect: tuple[str, str]
) -> None:
    command = commanded.accepted("ChangeConfiguration", status, key="Colour", value="Red")
    follower = reader(commanded, command, "GetConfiguration")
    assert follower.payload == {"key": ["Colour"]}
    commanded.answer(follower, **reply)
    assert commanded.effect(command) == effect


def test_value_that_comes_with_the_reboot(commanded: "Commanded") -> None:
    """RebootRequired: read back at once, and again after the boot."""
    command = commanded.accepted("ChangeConfiguration", "RebootRequired", key="Colour", value="Red")
    commanded.answer(reader(commanded, command, "GetConfiguration"), **item("Colour", value="Blue"))
    assert commanded.effect(command) == ("waiting", "")
    commanded.later(seconds=1)
    commanded.boot()
    assert commanded.effect(command) == ("waiting", "")
    again = commanded.claimed()
    assert (again.action, again.follows_id) == ("GetConfiguration", command.pk)
    assert commanded.effect(command) == ("waiting", "")  # it is asked for once
    commanded.answer(again, **item("Colour", value="Red"))
    assert commanded.effect(command) == ("seen", "Colour is Red. A reboot is required.")


def test_value_of_who_does_not_reboot(commanded: "Commanded") -> None:
    command = commanded.accepted("ChangeConfiguration", "RebootRequired", key="Colour", value="Red")
    commanded.answer(reader(commanded, command, "GetConfiguration"), **item("Colour", value="Blue"))
    commanded.later(hours=1)
    text = "Colour is Blue until the charge point has rebooted."
    assert commanded.effect(command) == ("assumed", text)


@pytest.mark.parametrize("reply", [item("Colour"), item("Colour", value="")])
def test_value_that_was_emptied(commanded: "Commanded", reply: dict[str, Any]) -> None:
    command = commanded.accepted("ChangeConfiguration", key="Colour", value="")
    commanded.answer(reader(commanded, command, "GetConfiguration"), **reply)
    assert commanded.effect(command)[0] == "seen"


def test_value_that_was_set_again_before_it_was_read(commanded: "Commanded") -> None:
    """Two changes in a row: the first is not missing since the second has come."""
    first, second = (
        command_send(
            charge_point=commanded.cp.row,
            request=request("ChangeConfiguration", key=key, value=value),
        )
        for key, value in (("Colour", "Red"), ("colour", "Blue"))
    )
    for command in (first, second):
        assert commanded.claimed() == command
        commanded.answer(command, status="Accepted")
    for _ in range(2):
        commanded.answer(commanded.claimed(), **item("Colour", value="Blue"))
    assert commanded.effect(first) == ("assumed", "A later command has set Colour again.")
    assert commanded.effect(second) == ("seen", "colour is Blue.")


def test_lists_are_compared_without_their_blanks(commanded: "Commanded") -> None:
    command = commanded.accepted("ChangeConfiguration", key="Data", value="Voltage, Power")
    commanded.answer(
        reader(commanded, command, "GetConfiguration"), **item("Data", value="Voltage,Power ")
    )
    assert commanded.effect(command)[0] == "seen"


def test_secret_is_not_read_back(commanded: "Commanded") -> None:
    """It would come in clear, and could not be compared: what was set is not kept."""
    command = commanded.accepted("ChangeConfiguration", key="SimPIN", value="1234")
    assert commanded.effect(command) == ("assumed", "SimPIN is a secret: it is not read back.")
    assert not command.followers.exists()
    assert "1234" not in str(list(Command.objects.values("payload", "answer", "sealed")))


def test_key_of_the_charge_point_is_never_read_back(commanded: "Commanded") -> None:
    command = commanded.accepted("ChangeConfiguration", key="AuthorizationKey", value="rotate")
    assert commanded.effect(command) == ("assumed", "It cannot be read back.")
    assert Command.objects.count() == 1


# --------------------------------------------------------------------- unknown outcomes (F15)


@pytest.mark.parametrize(("found", "effect"), [("Red", "seen"), ("Blue", "missing")])
def test_unknown_outcome_is_read(commanded: "Commanded", found: str, effect: str) -> None:
    """F15: not sent again, but read."""
    command = commanded.lost("ChangeConfiguration", key="Colour", value="Red")
    follower = reader(commanded, command, "GetConfiguration")
    commanded.answer(follower, **item("Colour", value=found))
    assert (commanded.effect(command)[0], command.state) == (effect, "timed out")


def test_late_answer_reads_no_second_time(commanded: "Commanded") -> None:
    command = commanded.lost("SendLocalList", listVersion=4)
    follower = reader(commanded, command, "GetLocalListVersion")
    commanded.answer(command, status="Accepted")
    commanded.answer(follower, listVersion=4)
    assert commanded.effect(command) == ("seen", "The list has version 4.")
    assert Command.objects.count() == 2


def test_late_answer_makes_good_what_was_missing(commanded: "Commanded") -> None:
    """Nobody had answered, and it could not be read back: missing. Then it was accepted."""
    command = commanded.lost("ChangeConfiguration", key="Colour", value="Red")
    follower = reader(commanded, command, "GetConfiguration")
    commanded.complete(follower, CallFailed("NotSupported", "No."))
    assert commanded.effect(command)[0] == "missing"
    commanded.answer(command, status="Accepted")
    assert command.effect == "waiting"
    assert commanded.effect(command)[0] == "assumed"
