"""From the roll-out to the installed firmware, from the question to the stored file: over both
transports, with a simulated charge point that really fetches and delivers."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from csms.models import Message, RollOut, RollOutItem, SecurityEvent, TransferStatus, Upload
from csms.models.uploads import UploadKind
from csms.services.roll_out_waves import roll_outs_advance
from csms.services.roll_outs import roll_out_create
from csms.services.storage import deleted
from csms.services.uploads import upload_request, uploads_settle
from tests import factories
from tests.files.images import image, location_of, signed_image
from tests.files.site import stored
from tests.running import wait_for
from tests.simulated import simulated

if TYPE_CHECKING:
    from tests.files.site import Site

pytestmark = pytest.mark.django_db(transaction=True)

EACH = [(transport, scheme) for transport in ("json", "soap") for scheme in ("http", "ftp", "ftps")]


@pytest.fixture
def watched(site: "Site") -> "Iterator[Site]":
    """Commands are delivered and effects looked for, as `manage.py serve` does."""
    from csms.services.clock import watch_effects

    site.system.deliver()
    task = asyncio.run_coroutine_threadsafe(watch_effects(), site.system.loop)
    yield site
    task.cancel()


def advanced(state: str) -> bool:
    from django.utils import timezone

    roll_outs_advance(now=timezone.now())
    return RollOutItem.objects.get().state == state


@pytest.mark.parametrize(("transport", "scheme"), EACH)
def test_rolled_out_and_installed(watched: "Site", transport: str, scheme: str) -> None:
    """§5.19: it fetches the image from us, installs it, and tells each step."""
    row = factories.charge_point(transport=transport)
    with simulated(watched.system, row, speed=20):
        roll_out_create(image=image(name="fw-1.5.0.bin"), charge_points=[row], scheme=scheme)
        wait_for(lambda: advanced("open"))
        location = location_of(RollOutItem.objects.get().command)
        wait_for(lambda: advanced("done"), 30)
    told = TransferStatus.objects.order_by("id").values_list("status", flat=True)
    assert list(told)[:3] == ["Downloading", "Downloaded", "Installing"]
    row.refresh_from_db()
    assert row.firmware_version == "1.5.0"
    assert location.startswith(f"{scheme}://")
    secret = location.split("/")[6] if scheme == "http" else location.split(":")[2].split("@")[0]
    watched.system.written()
    log = "".join(Message.objects.values_list("request", flat=True))
    assert "UpdateFirmware" in log or transport == "soap"
    assert secret not in log


def test_signed(watched: "Site") -> None:
    """WP L01, over JSON only."""
    row = factories.charge_point()
    with simulated(watched.system, row, speed=20):
        roll_out_create(image=signed_image(), charge_points=[row], scheme="http", method="signed")
        wait_for(lambda: advanced("done"), 30)
    told = list(TransferStatus.objects.order_by("id").values_list("status", flat=True))
    assert told[:3] == ["Downloading", "Downloaded", "SignatureVerified"]
    assert told[-1] == "Installed"


def test_an_image_that_was_changed_is_not_installed(watched: "Site") -> None:
    """WP L01: the charge point verifies the file; that it refuses it stops the roll-out."""
    row, picture = factories.charge_point(), signed_image()
    with picture.file.storage.open(str(picture.file.name), "r+b") as content:
        content.write(b"another")
    with simulated(watched.system, row, speed=20) as charger:
        version = charger.firmware_version
        roll_out_create(image=picture, charge_points=[row], scheme="http", method="signed")
        wait_for(lambda: advanced("failed"), 30)
        wait_for(lambda: SecurityEvent.objects.filter(kind="InvalidFirmwareSignature").exists())
        assert charger.firmware_version == version
    assert RollOutItem.objects.get().reason == "InvalidSignature"
    assert RollOut.objects.get().state == "stopped"


def test_an_image_that_is_gone_is_a_failure(watched: "Site") -> None:
    row, picture = factories.charge_point(), image()
    deleted(picture.file)
    with simulated(watched.system, row, speed=50):
        roll_out_create(image=picture, charge_points=[row], scheme="http", retries=0)
        wait_for(lambda: advanced("failed"), 30)
    assert RollOutItem.objects.get().reason.startswith("DownloadFailed")


@pytest.mark.parametrize(("transport", "scheme"), EACH)
def test_diagnostics_delivered(watched: "Site", transport: str, scheme: str) -> None:
    """§5.9, §4.4"""
    row = factories.charge_point(transport=transport)
    with simulated(watched.system, row, speed=20):
        upload = upload_request(
            charge_point=row, kind=UploadKind.DIAGNOSTICS, scheme=scheme, retries=0
        )
        wait_for(lambda: Upload.objects.get().state == "received", 20)
        wait_for(lambda: TransferStatus.objects.filter(status="Uploaded").exists())
    assert b"BootNotification" in stored(upload)
    assert upload.file_name == f"{row.identity}-diagnostics.log"
    command = upload.command
    assert command is not None
    wait_for(lambda: type(command).objects.get(pk=command.pk).effect == "seen")


@pytest.mark.parametrize("kind", [UploadKind.DIAGNOSTICS_LOG, UploadKind.SECURITY_LOG])
def test_logs_delivered(watched: "Site", kind: UploadKind) -> None:
    """WP N01"""
    row = factories.charge_point()
    with simulated(watched.system, row, speed=20):
        upload = upload_request(charge_point=row, kind=kind, scheme="http")
        wait_for(lambda: Upload.objects.get().state == "received", 20)
    assert b"BootNotification" in stored(upload)
    assert upload.file_name == f"{row.identity}-{kind.value}.log"


def test_what_is_refused_ends_the_upload(watched: "Site") -> None:
    from django.utils import timezone

    from csms.ocpp.security import GetLogResponse, LogStatus
    from csms.simulator.misbehaviour import Misbehaviour

    row = factories.charge_point()
    with simulated(watched.system, row, speed=20) as charge_point:
        no = Misbehaviour(reply=GetLogResponse(status=LogStatus.REJECTED))
        charge_point.misbehave("GetLog", no)
        upload_request(charge_point=row, kind=UploadKind.SECURITY_LOG, scheme="http")

        def ended() -> bool:
            uploads_settle(now=timezone.now())
            return Upload.objects.get().state == "ended"

        wait_for(ended)
    assert Upload.objects.get().reason == "Rejected"
