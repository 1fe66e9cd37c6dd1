"""Effects of what is uploaded and installed: diagnostics, logs, firmware."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from csms import conf
from csms.models import Command
from csms.ocpp import registry
from tests.operations.examples import payload_of

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded

pytestmark = pytest.mark.django_db

WAITING = ("waiting", "")
REPLACED = ("missing", "A later command has taken its place.")

NOTIFICATIONS = {
    "GetDiagnostics": "DiagnosticsStatusNotification",
    "UpdateFirmware": "FirmwareStatusNotification",
    "GetLog": "LogStatusNotification",
    "SignedUpdateFirmware": "SignedFirmwareStatusNotification",
}
REPLIES: dict[str, dict[str, Any]] = {
    "GetDiagnostics": {"fileName": "d.zip"},
    "UpdateFirmware": {},
    "GetLog": {"status": "Accepted"},
    "SignedUpdateFirmware": {"status": "Accepted"},
}


def begun(commanded: "Commanded", name: str, **fields: Any) -> Command:
    command = commanded.answer(commanded.send(name, **fields), **REPLIES[name])
    assert commanded.effect(command) == WAITING
    return command


def progress(commanded: "Commanded", name: str, *statuses: str, **fields: Any) -> None:
    """The charge point tells how far it is."""
    declaration = registry.ACTIONS[NOTIFICATIONS[name]]
    for status in statuses:
        commanded.later(seconds=1)
        commanded.say(msgspec.convert({"status": status, **fields}, declaration))


FIRMWARE = ["Downloading", "Downloaded", "Idle", "Installing"]


@pytest.mark.parametrize(
    ("name", "between", "end", "effect"),
    [
        ("GetDiagnostics", ["Idle", "Uploading"], "Uploaded", "seen"),
        ("GetDiagnostics", ["Uploading"], "UploadFailed", "missing"),
        ("UpdateFirmware", FIRMWARE, "Installed", "seen"),
        ("UpdateFirmware", [], "DownloadFailed", "missing"),
        ("UpdateFirmware", FIRMWARE, "InstallationFailed", "missing"),
        ("GetLog", ["Idle", "Uploading"], "Uploaded", "seen"),
        ("GetLog", [], "BadMessage", "missing"),
        ("GetLog", [], "NotSupportedOperation", "missing"),
        ("GetLog", ["Uploading"], "PermissionDenied", "missing"),
        ("GetLog", ["Uploading"], "UploadFailure", "missing"),
        (
            "SignedUpdateFirmware",
            [
                "DownloadScheduled",
                "DownloadPaused",
                *FIRMWARE,
                "SignatureVerified",
                "InstallScheduled",
                "InstallRebooting",
            ],
            "Installed",
            "seen",
        ),
        ("SignedUpdateFirmware", ["Downloading"], "DownloadFailed", "missing"),
        ("SignedUpdateFirmware", FIRMWARE, "InstallationFailed", "missing"),
        ("SignedUpdateFirmware", FIRMWARE, "InstallVerificationFailed", "missing"),
        ("SignedUpdateFirmware", ["Downloaded"], "InvalidSignature", "missing"),
    ],
)
def test_progress_and_end(
    commanded: "Commanded", name: str, between: list[str], end: str, effect: str
) -> None:
    command = begun(commanded, name)
    progress(commanded, name, *between)
    assert commanded.effect(command) == WAITING
    progress(commanded, name, end)
    assert commanded.effect(command) == (effect, end)


@pytest.mark.parametrize(
    ("name", "end"), [("GetDiagnostics", "Uploaded"), ("UpdateFirmware", "Installed")]
)
def test_what_ended_before_is_not_its_end(commanded: "Commanded", name: str, end: str) -> None:
    progress(commanded, name, end)
    commanded.later(seconds=1)
    begun(commanded, name)


def test_diagnostics_without_file_name(commanded: "Commanded") -> None:
    """§5.9: there is nothing to upload."""
    command = commanded.answer(commanded.send("GetDiagnostics"))
    assert commanded.effect(command) == ("seen", "The charge point has no diagnostics.")


def test_lost_answer_to_diagnostics_says_nothing_of_them(commanded: "Commanded") -> None:
    command = commanded.lost("GetDiagnostics")
    assert commanded.effect(command) == WAITING
    progress(commanded, "GetDiagnostics", "Uploaded")
    assert commanded.effect(command) == ("seen", "Uploaded")


@pytest.mark.parametrize(
    ("version", "effect"), [("1.1", ("seen", "Booted with firmware 1.1.")), ("1.0", WAITING)]
)
def test_boot_with_another_firmware(
    commanded: "Commanded", version: str, effect: tuple[str, str]
) -> None:
    commanded.boot("1.0")
    commanded.later(seconds=1)
    command = begun(commanded, "UpdateFirmware")
    commanded.later(minutes=5)
    commanded.boot(version)
    assert commanded.effect(command) == effect


def test_boot_after_a_later_update_is_that_ones(commanded: "Commanded") -> None:
    commanded.boot("1.0")
    first = begun(commanded, "UpdateFirmware")
    second = commanded.answer(commanded.send("UpdateFirmware"))
    commanded.later(minutes=5)
    commanded.boot("1.1")
    assert commanded.effect(first) == REPLACED
    assert commanded.effect(second) == ("seen", "Booted with firmware 1.1.")


def test_boot_tells_nothing_when_the_version_was_not_known(commanded: "Commanded") -> None:
    commanded.boot("")
    commanded.later(seconds=1)
    command = begun(commanded, "UpdateFirmware")
    commanded.later(minutes=5)
    commanded.boot("1.0")
    assert commanded.effect(command) == WAITING


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("UpdateFirmware", "retrieveDate"),
        ("SignedUpdateFirmware", "retrieveDateTime"),
        ("SignedUpdateFirmware", "installDateTime"),
    ],
)
def test_deadline_counts_from_when_it_is_to_begin(
    commanded: "Commanded", name: str, field: str
) -> None:
    begins = commanded.house.now + timedelta(days=7)
    fields: dict[str, Any] = {field: f"{begins:%Y-%m-%dT%H:%M:%SZ}"}
    if name == "SignedUpdateFirmware":
        fields = {"firmware": payload_of(name)["firmware"] | fields}
    command = begun(commanded, name, **fields)
    assert command.effect_until == begins + timedelta(seconds=conf.DEADLINES[name])


@pytest.mark.parametrize("moment", ["2010-01-01T00:00:00Z", "9998-01-01T00:00:00Z"])
def test_any_moment_to_begin_has_a_deadline(commanded: "Commanded", moment: str) -> None:
    command = begun(commanded, "UpdateFirmware", retrieveDate=moment)
    assert command.effect_until is not None
    assert command.effect_until > commanded.house.now


# ------------------------------------------------------------------------------- attempts


@pytest.mark.parametrize(
    ("name", "failure", "good"),
    [
        ("GetDiagnostics", "UploadFailed", "Uploaded"),
        ("UpdateFirmware", "DownloadFailed", "Installed"),
        ("GetLog", "UploadFailure", "Uploaded"),
    ],
)
def test_a_failed_attempt_is_not_the_end(
    commanded: "Commanded", name: str, failure: str, good: str
) -> None:
    """`retries`: "how many times Charge Point must try … before giving up"."""
    command = begun(commanded, name, retries=2)
    progress(commanded, name, failure)
    assert commanded.effect(command) == WAITING
    other = Command.objects.get(pk=command.pk)
    progress(commanded, name, failure)
    assert commanded.effect(command) == WAITING
    progress(commanded, name, good)
    assert commanded.effect(other) == ("seen", good)


def test_the_last_attempt_is_the_end(commanded: "Commanded") -> None:
    command = begun(commanded, "GetDiagnostics", retries=1)
    progress(commanded, "GetDiagnostics", "UploadFailed", "Uploading", "UploadFailed")
    assert commanded.effect(command) == ("missing", "UploadFailed")


def test_silence_after_a_failed_attempt(commanded: "Commanded") -> None:
    command = begun(commanded, "GetDiagnostics", retries=3)
    progress(commanded, "GetDiagnostics", "UploadFailed")
    assert commanded.effect(command) == WAITING
    commanded.later(hours=1)
    text = "UploadFailed, and no later attempt went better."
    assert commanded.effect(command) == ("missing", text)


# --------------------------------------------------------------------------- request ids


@pytest.mark.parametrize(("name", "end"), [("GetLog", "Uploaded"), ("SignedUpdateFirmware", "")])
def test_request_id_tells_whose_progress_it_is(commanded: "Commanded", name: str, end: str) -> None:
    end = end or "Installed"
    command = begun(commanded, name, requestId=7)
    progress(commanded, name, end, requestId=6)
    assert commanded.effect(command) == WAITING
    progress(commanded, name, end, requestId=7)
    assert commanded.effect(command) == ("seen", end)


def test_request_id_counts_more_than_a_later_command(commanded: "Commanded") -> None:
    """A notification with its id is of the first, though a second has begun."""
    first = begun(commanded, "GetLog", requestId=1)
    second = commanded.accepted("GetLog", requestId=2)
    progress(commanded, "GetLog", "Uploaded", requestId=1)
    assert commanded.effect(first) == ("seen", "Uploaded")
    assert commanded.effect(second) == WAITING


# ---------------------------------------------------------------------- one after another


@pytest.mark.parametrize("name", sorted(NOTIFICATIONS))
def test_later_command_takes_the_place(commanded: "Commanded", name: str) -> None:
    """Notifications without an id belong to the latest command."""
    fields = [{"requestId": number} for number in (1, 2)] if "requestId" in _fields(name) else [{}]
    first = begun(commanded, name, **fields[0])
    second = begun(commanded, name, **fields[-1])
    assert commanded.effect(first) == REPLACED
    end = "Installed" if "Firmware" in name else "Uploaded"
    progress(commanded, name, end)
    assert commanded.effect(second) == ("seen", end)


def _fields(name: str) -> tuple[str, ...]:
    return registry.ACTIONS[name].__struct_encode_fields__


def test_what_ended_before_the_later_command_did_end(commanded: "Commanded") -> None:
    first = begun(commanded, "GetDiagnostics")
    progress(commanded, "GetDiagnostics", "Uploaded")
    commanded.later(seconds=1)
    second = commanded.answer(commanded.send("GetDiagnostics"), fileName="d.zip")
    assert commanded.effect(first) == ("seen", "Uploaded")
    assert commanded.effect(second) == WAITING


def test_refused_command_takes_no_place(commanded: "Commanded") -> None:
    first = begun(commanded, "GetLog", requestId=1)
    commanded.accepted("GetLog", "Rejected", requestId=2)
    assert commanded.effect(first) == WAITING
    progress(commanded, "GetLog", "Uploaded", requestId=1)
    assert commanded.effect(first) == ("seen", "Uploaded")
