"""`manage.py send` to many: what it prints is what became of each."""

import getpass
import io
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from csms.management.commands import send
from csms.models import Command
from csms.models.commands import CommandState
from tests import factories

pytestmark = pytest.mark.django_db


def sent(*words: str, **options: object) -> tuple[str, int]:
    """What it printed, and its exit status."""
    output, status = io.StringIO(), 0
    try:
        call_command("send", *words, stdout=output, **options)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return output.getvalue(), status


def test_no_wait_only_queues() -> None:
    factories.charge_point(identity="CP1")
    assert sent("CP1", "ClearCache", no_wait=True) == ("1 queued.\n", 0)
    assert Command.objects.get().state == CommandState.QUEUED


def test_all_and_filter_choose() -> None:
    for number in range(4):
        factories.charge_point(identity=f"CP{number}", site="Graz" if number < 2 else "Linz")
    assert sent("ClearCache", no_wait=True, all=True) == ("4 queued.\n", 0)
    assert sent("ClearCache", no_wait=True, filter=["site=Graz"]) == ("2 queued.\n", 0)
    with pytest.raises(CommandError, match="no such charge point"):
        sent("ClearCache", filter=["site=Wien"])


def test_refused_by_all_is_said_by_the_exit_status() -> None:
    factories.charge_point(identity="OLD", transport="soap")
    printed, status = sent(
        "GetInstalledCertificateIds",
        '{"certificateType": "ManufacturerRootCertificate"}',
        no_wait=True,
        all=True,
    )
    assert status == 1
    assert "not sent" in printed
    assert "0 queued." in printed


def test_refused_by_some_is_said_by_the_exit_status() -> None:
    factories.charge_point(identity="OLD", transport="soap")
    factories.charge_point(identity="NEW")
    payload = '{"certificateType": "ManufacturerRootCertificate"}'
    printed, status = sent("GetInstalledCertificateIds", payload, no_wait=True, all=True)
    assert status == 1
    assert "1 queued." in printed


def test_what_ended_meanwhile_is_not_printed_as_queued() -> None:
    """The first one uses up the time; the others have long been answered."""
    rows = [factories.charge_point(identity=f"CP{number}") for number in range(3)]
    factories.command(rows[0])
    command = factories.command(rows[1], state="queued", answer=None)
    stale = Command.objects.get(pk=command.pk)
    Command.objects.filter(pk=command.pk).update(
        state=CommandState.ACCEPTED, finished_at=datetime.now(UTC), answer={"status": "Accepted"}
    )
    output = io.StringIO()
    shell = send.Command(stdout=output)
    assert shell._outcome(stale, deadline=0, effect=False) == 0
    assert "Accepted" in output.getvalue()


@pytest.mark.parametrize("seconds", [0, 999_999_999_999_999])
def test_expiry_has_bounds(seconds: int) -> None:
    factories.charge_point(identity="CP1")
    with pytest.raises(CommandError, match="30 days"):
        sent("CP1", "ClearCache", expires_in=seconds)


def test_expiry_is_kept() -> None:
    factories.charge_point(identity="CP1")
    sent("CP1", "ClearCache", no_wait=True, expires_in=60)
    command = Command.objects.get()
    assert command.expires_at - command.created_at == timedelta(seconds=60)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("CP1", "Reset", "{}", "--colour", "red"),
        ("CP1",),
        ("CP1", "Explode"),
        ("CP1", "Reset", "{"),
        ("CP1", "Reset", '{"type": "Gentle"}'),
        ("CP1", "ClearCache", "{}", "--expires-in=0"),
        ("ClearCache", "--filter=colour=red"),
        ("ClearCache", "--filter=site"),
        ("CP1", "UnlockConnector", '{"connectorId": 0}'),
        ("UnlockConnector", '{"connectorId": 0}', "--all"),
    ],
    ids=" ".join,
)
def test_wrong_words_have_a_status_of_their_own(words: tuple[str, ...]) -> None:
    """Which no outcome has; argparse ends with it as well."""
    factories.charge_point(identity="CP1")
    with pytest.raises(SystemExit) as ended:
        send.Command().run_from_argv(["manage.py", "send", *words])
    assert ended.value.code == send.USAGE


def test_the_process_ends_with_it() -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "send", "CP1", "Reset", "{"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (ended.returncode, "no JSON" in ended.stderr) == (send.USAGE, True)


def test_statuses_are_distinct_and_said() -> None:
    statuses = [send.REFUSED, send.USAGE, send.FAILED, send.WAITING, send.REJECTED]
    assert statuses == [1, 2, 3, 4, 5]
    said = send.Command().help
    for status, word in enumerate(["accepted", "not sent", "wrong", "failed", "still", "rejected"]):
        assert f"{status} {word}" in said


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({"state": "accepted", "answer": {"status": "Accepted"}}, 0),
        ({"state": "error", "error": "NotSupported: No."}, 3),
        ({"state": "timed out"}, 3),
        ({"state": "expired"}, 3),
        ({"state": "cancelled"}, 3),
        ({"state": "accepted", "effect": "missing"}, 3),
        ({"state": "accepted", "effect": "assumed"}, 0),
        ({"state": "queued"}, 4),
        ({"state": "rejected", "answer": {"status": "Rejected"}}, 5),
    ],
)
def test_each_outcome_has_its_status(columns: dict[str, Any], status: int) -> None:
    command = factories.command(factories.charge_point(identity="CP1"), **columns)
    assert send.Command(stdout=io.StringIO())._outcome(command, 0, effect=True) == status


def test_who_cannot_take_it_is_refused() -> None:
    factories.charge_point(identity="CP1", registration="Rejected")
    with pytest.raises(CommandError) as refused:
        sent("CP1", "ClearCache")
    assert refused.value.returncode == send.REFUSED
    with pytest.raises(CommandError) as refused:
        sent("CP2", "ClearCache")
    assert refused.value.returncode == send.REFUSED


def test_who_stops_waiting_leaves_it_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with the status of what still waits, and with no traceback."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    factories.charge_point(identity="CP1")
    monkeypatch.setattr(time, "sleep", interrupted)
    printed, status = sent("CP1", "ClearCache")
    assert (status, Command.objects.get().state) == (send.WAITING, CommandState.QUEUED)
    assert "stays queued" in printed


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("No username set")])
def test_an_account_without_a_name_sends_too(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container it may have none; Python 3.13 says so with another error than before."""

    def nobody() -> str:
        raise error

    factories.charge_point(identity="CP1")
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert sent("CP1", "ClearCache", no_wait=True) == ("1 queued.\n", 0)
    assert Command.objects.get().requested_by == f"shell: user {os.getuid()}"
