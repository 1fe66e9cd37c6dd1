"""Effects of what is uploaded and installed: diagnostics, logs, firmware."""

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from csms.models import Command
from csms.ocpp import registry

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


# --------------------------------------------------------------------------- request ids


@pytest.mark.parametrize(("name", "end"), [("GetLog", "Uploaded"), ("SignedUpdateFirmware", "")])
def test_request_id_tells_whose_progress_it_is(commanded: "Commanded", name: str, end: str) -> None:
    end = end or "Installed"
    command = begun(commanded, name, requestId=7)
    progress(commanded, name, end, requestId=6)
    assert commanded.effect(command) == WAITING
    progress(commanded, name, end, requestId=7)
    assert commanded.effect(command) == ("seen", end)


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
