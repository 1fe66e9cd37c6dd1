"""Firmware management: updates and diagnostics.

Hosts but this machine are not asked by the simulated charge point: it takes them to give and take
everything; port 1 of this machine refuses.
"""

from typing import TYPE_CHECKING

from csms.models import TransferStatus
from csms.ocpp.firmware_management import (
    FirmwareStatus,
    FirmwareStatusNotification,
    UpdateFirmwareResponse,
)

if TYPE_CHECKING:
    from tests.certification.case import Case

SERVER = "http://files.example.com/"
CLOSED = "http://127.0.0.1:1/"


def _progress(case: "Case", kind: str) -> list[str]:
    rows = TransferStatus.objects.filter(charge_point=case.row, kind=kind).order_by("id")
    return [row.status for row in rows]


def _update(case: "Case", location: str) -> None:
    from tests.certification.case import in_future

    command = case.send("UpdateFirmware", location=location, retrieveDate=in_future(0))
    assert (command.state, command.answer) == ("accepted", {})


def test_tc_044_1_firmware_update(case: "Case") -> None:
    _update(case, SERVER)
    case.wait(lambda: "Installed" in _progress(case, "firmware"))
    steps = ["Downloading", "Downloaded", "Installing", "Installed"]
    assert _progress(case, "firmware") == steps
    case.row.refresh_from_db()
    assert (case.row.firmware_version, case.row.firmware_status) == ("1.0.1", "Installed")
    assert case.effect("UpdateFirmware").effect == "seen"


def test_tc_044_2_firmware_download_failed(case: "Case") -> None:
    _update(case, CLOSED)
    case.wait(lambda: "DownloadFailed" in _progress(case, "firmware"))
    assert _progress(case, "firmware") == ["Downloading", "DownloadFailed"]
    command = case.effect("UpdateFirmware")
    assert (command.effect, command.effect_text) == ("missing", "DownloadFailed")


def test_tc_044_3_firmware_installation_failed(case: "Case") -> None:
    case.answers("UpdateFirmware", UpdateFirmwareResponse())
    _update(case, SERVER)
    steps = ["Downloading", "Downloaded", "Installing", "InstallationFailed"]
    for step in steps:
        case.call(FirmwareStatusNotification(status=FirmwareStatus(step)))
    assert _progress(case, "firmware") == steps
    command = case.effect("UpdateFirmware")
    assert (command.effect, command.effect_text) == ("missing", "InstallationFailed")


def test_tc_045_1_get_diagnostics(case: "Case") -> None:
    command = case.send("GetDiagnostics", location=SERVER)
    assert command.answer == {"fileName": f"{case.row.identity}-diagnostics.log"}
    case.wait(lambda: "Uploaded" in _progress(case, "diagnostics"))
    assert _progress(case, "diagnostics") == ["Uploading", "Uploaded"]
    assert case.effect("GetDiagnostics").effect == "seen"


def test_tc_045_2_get_diagnostics_upload_failed(case: "Case") -> None:
    assert case.send("GetDiagnostics", location=CLOSED).state == "accepted"
    case.wait(lambda: "UploadFailed" in _progress(case, "diagnostics"))
    assert _progress(case, "diagnostics") == ["Uploading", "UploadFailed"]
    command = case.effect("GetDiagnostics")
    assert (command.effect, command.effect_text) == ("missing", "UploadFailed")
