"""What was set is read back: the version of a local list, the value of a configuration key."""

from typing import TYPE_CHECKING, Any

import pytest

from csms.models import Command
from csms.services.outbox import CallFailed, NoAnswer

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
def test_version_that_cannot_be_read(commanded: "Commanded", answer: Any) -> None:
    command = commanded.accepted("SendLocalList")
    commanded.complete(reader(commanded, command, "GetLocalListVersion"), answer)
    assert commanded.effect(command) == (
        "missing",
        "It could not be read back: NotSupported: No.",
    )


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
            item("Colour", value="Blue"),
            ("assumed", "Colour is Blue until the charge point has rebooted."),
        ),
        ("RebootRequired", {}, ("assumed", "Colour cannot be read back.")),
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


@pytest.mark.parametrize("reply", [item("Colour"), item("Colour", value="")])
def test_value_that_was_emptied(commanded: "Commanded", reply: dict[str, Any]) -> None:
    command = commanded.accepted("ChangeConfiguration", key="Colour", value="")
    commanded.answer(reader(commanded, command, "GetConfiguration"), **reply)
    assert commanded.effect(command)[0] == "seen"


@pytest.mark.parametrize("reply", [item("SimPIN", value="1234"), item("SimPIN", value="4711")])
def test_secret_is_not_compared(commanded: "Commanded", reply: dict[str, Any]) -> None:
    """Neither the value that was set nor the one that is found is kept."""
    command = commanded.accepted("ChangeConfiguration", key="SimPIN", value="1234")
    commanded.answer(reader(commanded, command, "GetConfiguration"), **reply)
    effect, text = commanded.effect(command)
    assert (effect, "secret" in text) == ("assumed", True)
    assert "1234" not in str(list(Command.objects.values()))


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
