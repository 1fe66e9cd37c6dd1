"""The pages of firmware, roll-outs and diagnostics: what they take, show, refuse."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from csms import conf
from csms.admin import show
from csms.models import AuditEntry, ChargePoint, Command, FirmwareImage, RollOut, Upload
from csms.models.uploads import UploadKind
from csms.services.roll_out_waves import roll_outs_advance
from csms.services.storage import Incoming
from csms.services.uploads import upload_request
from tests import factories
from tests.access.people import somebody
from tests.files.images import image, signature_of
from tests.files.site import CONTENT, digest
from tests.tls.certificates import Authority

pytestmark = pytest.mark.django_db

ADD = "/admin/csms/firmwareimage/add/"


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(conf, "_changed", {"file_urls": ("http://files.test",)})
    conf.settings.cache_clear()
    yield
    monkeypatch.undo()
    conf.settings.cache_clear()


def add(client: Client, content: bytes = CONTENT, **columns: str) -> Any:
    file = SimpleUploadedFile("../fw 1.5.bin", content)
    return client.post(ADD, {"version": "1.5.0", "content": file} | columns)


def received(**columns: Any) -> Upload:
    """An upload whose file is here."""
    charger = factories.charge_point(**columns)
    upload = upload_request(charge_point=charger, kind=UploadKind.DIAGNOSTICS)
    incoming = Incoming(most=1000)
    incoming.write(b"<script>alert(1)</script>")
    incoming.hand_over(upload.file)
    incoming.close()
    upload.state, upload.size, upload.file_name = "received", 25, "diag.html"
    upload.save()
    return upload


def body(response: Any) -> bytes:
    """What a streamed answer holds."""
    import asyncio

    async def read() -> bytes:
        return b"".join([part async for part in response.streaming_content])

    return asyncio.run(read())


def test_an_image_is_added_and_shown(admin_client: Client) -> None:
    response = add(admin_client, vendor="Example", notes="For the new meter")
    assert response.status_code == 302, response.content.decode()
    row = FirmwareImage.objects.get()
    assert (row.size, row.sha256, row.file_name) == (300_000, digest(CONTENT), "fw-1.5.bin")
    assert row.created_by == "admin: admin"
    page = admin_client.get(show.change_url("firmwareimage", row.pk)).content.decode()
    assert digest(CONTENT) in page
    assert "293.0 KiB" in page
    assert "For the new meter" in admin_client.get(show.list_url("firmwareimage")).content.decode()
    assert AuditEntry.objects.filter(kind="csms.firmwareimage", action="added").exists()


def test_its_notes_change_and_its_file_never(admin_client: Client) -> None:
    row = image()
    url = show.change_url("firmwareimage", row.pk)
    entered = {"notes": "new", "version": "9", "content": SimpleUploadedFile("x", b"other")}
    assert admin_client.post(url, entered).status_code == 302
    row.refresh_from_db()
    assert (row.notes, row.version, row.sha256) == ("new", "1.5.0", digest(CONTENT))


@pytest.mark.parametrize(
    ("content", "columns", "said"),
    [
        (b"", {}, "empty"),
        (CONTENT, {"version": ""}, "required"),
        (CONTENT, {"signature": "AAAA"}, "no X.509 certificate"),
        (CONTENT, {"signing_certificate": "x"}, "signature is needed"),
        (bytes(1024 * 1024 + 1), {}, "At most 1 MiB"),
    ],
)
def test_what_is_refused(
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    columns: dict[str, str],
    said: str,
) -> None:
    monkeypatch.setitem(conf._changed, "firmware_max_mb", 1)
    conf.settings.cache_clear()
    response = add(admin_client, content, **columns)
    assert response.status_code == 200
    assert said.casefold() in response.content.decode().casefold()
    assert not FirmwareImage.objects.exists()


def test_the_same_version_twice(admin_client: Client) -> None:
    add(admin_client)
    assert "There is an image" in add(admin_client, b"other").content.decode()


def test_a_signature_is_verified_over_the_file(admin_client: Client) -> None:
    """WP L01.FR.11: a bad one is refused before anything is sent."""
    issued = Authority("Manufacturer").issue("Signer")
    certificate = issued.pem.decode()
    bad = signature_of(issued.key, b"another file")
    refused = add(admin_client, signing_certificate=certificate, signature=bad)
    assert "not one of this file" in refused.content.decode()
    good = signature_of(issued.key)
    assert add(admin_client, signing_certificate=certificate, signature=good).status_code == 302


def test_an_image_is_downloaded_as_an_attachment(admin_client: Client) -> None:
    row = image()
    response = admin_client.get(reverse("admin:csms_firmwareimage_file", args=(row.pk,)))
    assert response["Content-Disposition"] == 'attachment; filename="fw-1.5.bin"'
    assert body(response) == CONTENT


def test_one_that_was_rolled_out_is_kept(
    admin_client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    row, unused = image(), image(version="2")
    begun(admin_client, row)
    for each in (row, unused):
        url = reverse("admin:csms_firmwareimage_delete", args=(each.pk,))
        with django_capture_on_commit_callbacks(execute=True):
            admin_client.post(url, {"post": "yes"})
    assert list(FirmwareImage.objects.all()) == [row]
    assert not unused.file.storage.exists(str(unused.file.name))


# ------------------------------------------------------------------------------ roll-outs


def entered(row: FirmwareImage, **more: Any) -> dict[str, Any]:
    return {
        "image": row.pk,
        "first_wave": 1,
        "wave_size": 1,
        "max_failures": 0,
        "patience": 60,
        "rest": 0,
        "expires_hours": 24,
        "retries": 3,
        "retry_interval": 300,
    } | more


def begun(client: Client, row: FirmwareImage, number: int = 2, **more: Any) -> RollOut:
    chargers = [factories.charge_point(connected=True) for _ in range(number)]
    names = "\n".join(charger.identity for charger in chargers)
    form = entered(row, identities=names, begin_now="1", **more)
    response = client.post(reverse("admin:csms_rollout_begin"), form)
    assert response.status_code == 302, response.content.decode()
    return RollOut.objects.get()


def test_the_plan_is_shown_before_anything_happens(admin_client: Client) -> None:
    row = image(vendor="Example")
    other = factories.charge_point(vendor="Foreign <b>", identity="CP-OTHER")
    mine = factories.charge_point()
    form = entered(row, send_to=f"{other.pk},{mine.pk}", look="1")
    page = admin_client.post(reverse("admin:csms_rollout_begin"), form).content.decode()
    assert "1 charge point in 1 wave" in page
    assert "Foreign &lt;b&gt;" in page
    assert not RollOut.objects.exists()


def test_from_the_list_of_charge_points(admin_client: Client) -> None:
    rows = [factories.charge_point() for _ in range(2)]
    chosen = {"action": "roll_out_selected", "_selected_action": [row.pk for row in rows]}
    response = admin_client.post(show.list_url("chargepoint"), chosen, follow=True)
    page = response.content.decode()
    assert "To 2 charge points" in page
    assert rows[0].identity in page


def test_a_roll_out_is_followed_paused_resumed_and_cancelled(admin_client: Client) -> None:
    from django.utils import timezone

    row = begun(admin_client, image())
    roll_outs_advance(now=timezone.now())
    page = admin_client.get(show.change_url("rollout", row.pk)).content.decode()
    assert "0 of 2 installed" in page
    assert 'id="pause"' in page
    assert "Wave 2" in page
    for step, state in (
        ("pause", "paused"),
        ("resume", "running"),
        ("cancel", "cancelled"),
    ):
        url = reverse(f"admin:csms_rollout_{step}", args=(row.pk,))
        assert admin_client.get(url).status_code == 405
        assert admin_client.post(url).status_code == 302
        row.refresh_from_db()
        assert row.state == state
        part = admin_client.get(reverse("admin:csms_rollout_progress", args=(row.pk,)))
        assert part.status_code == 200
        assert "0 of 2 installed" in part.content.decode()
    assert "0 of 2" in admin_client.get(show.list_url("rollout")).content.decode()
    again = admin_client.post(reverse("admin:csms_rollout_pause", args=(row.pk,)), follow=True)
    assert "Only a running roll-out" in again.content.decode()
    assert "2" in admin_client.get(show.list_url("rollout")).content.decode()


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", False), ("operator", False), ("manager", True)]
)
def test_who_may(client: Client, admin_client: Client, role: str, may: bool) -> None:
    row = begun(admin_client, image())
    client.force_login(somebody(role))
    assert client.get(show.change_url("rollout", row.pk)).status_code == 200
    assert client.get(show.list_url("firmwareimage")).status_code == 200
    assert (client.get(ADD).status_code == 200) == may
    assert (client.get(reverse("admin:csms_rollout_begin")).status_code == 200) == may
    url = reverse("admin:csms_rollout_pause", args=(row.pk,))
    assert client.post(url).status_code == (302 if may else 403)


# ---------------------------------------------------------------------------- diagnostics


def test_diagnostics_are_asked_for(admin_client: Client) -> None:
    charger = factories.charge_point()
    url = reverse("admin:csms_upload_ask", args=(charger.pk,))
    assert "Get diagnostics" in admin_client.get(url).content.decode()
    form = {
        "kind": "diagnostics",
        "retries": 3,
        "retry_interval": 60,
        "expires_minutes": 60,
        "oldest": "2026-01-01T00:00:00",
    }
    page = admin_client.post(url, form, follow=True).content.decode()
    assert charger.identity in page
    command = Command.objects.get()
    assert command.payload["startTime"] == "2026-01-01T00:00:00Z"
    assert command.payload["location"].endswith("/•••/")
    assert Upload.objects.get().command == command
    shown = admin_client.get(show.change_url("chargepoint", charger.pk)).content.decode()
    assert "Waiting for the file" in shown


def test_its_list_is_called_as_in_the_navigation(admin_client: Client) -> None:
    page = admin_client.get(show.list_url("upload"))
    assert page.context["opts"].verbose_name_plural == "diagnostics"


def test_beside_one_that_waits_stands_what_was_told_of_it(admin_client: Client) -> None:
    """Not what was told of the one before."""
    upload = received()
    charger = upload.charge_point
    ChargePoint.objects.update(diagnostics_status="Uploaded")
    second = upload_request(charge_point=charger, kind=UploadKind.DIAGNOSTICS)
    sent = {"state": "accepted", "effect": "waiting", "sent_at": factories.now()}
    Command.objects.filter(uploads=second).update(**sent)
    pages = [show.list_url("upload"), show.change_url("upload", second.pk)]
    pages.append(show.change_url("chargepoint", charger.pk))
    told = [False, False, True]  # a charge point's page has its latest status above
    for page, status in zip(pages, told, strict=True):
        assert ("Uploaded" in admin_client.get(page).content.decode()) is status
    factories.transfer(charger, kind="diagnostics", status="Uploading")
    for page in pages:
        assert "Uploading" in admin_client.get(page).content.decode()


def test_a_log_of_a_soap_charge_point_is_refused_in_words(admin_client: Client) -> None:
    charger = factories.charge_point(transport="soap")
    form = {"kind": "SecurityLog", "retries": 0, "retry_interval": 0, "expires_minutes": 5}
    url = reverse("admin:csms_upload_ask", args=(charger.pk,))
    assert "does not exist over SOAP" in admin_client.post(url, form).content.decode()
    assert not Upload.objects.exists()


def test_a_file_is_only_ever_an_attachment(admin_client: Client) -> None:
    upload = received(identity="CP <i>" + "x" * 60)
    assert "diag.html" in admin_client.get(show.list_url("upload")).content.decode()
    assert admin_client.get(show.change_url("upload", upload.pk)).status_code == 200
    response = admin_client.get(reverse("admin:csms_upload_file", args=(upload.pk,)))
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"] == 'attachment; filename="diag.html"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert body(response) == b"<script>alert(1)</script>"


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("operator", 200)])
def test_who_may_download(client: Client, role: str, status: int) -> None:
    upload = received()
    client.force_login(somebody(role))
    url = reverse("admin:csms_upload_file", args=(upload.pk,))
    response = client.get(url)
    assert response.status_code == status
    if status == 200:
        body(response)


def test_a_file_that_is_gone_is_said(admin_client: Client) -> None:
    upload = received()
    upload.file.storage.delete(str(upload.file.name))
    url = reverse("admin:csms_upload_file", args=(upload.pk,))
    assert "not in the storage" in admin_client.get(url, follow=True).content.decode()


def test_files_go_with_their_charge_point(
    admin_client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    upload = received()
    url = reverse("admin:csms_chargepoint_delete", args=(upload.charge_point_id,))
    with django_capture_on_commit_callbacks(execute=True):
        assert admin_client.post(url, {"post": "yes"}).status_code == 302
    assert not Upload.objects.exists()
    assert not upload.file.storage.exists(str(upload.file.name))


def test_another_version_than_that_of_the_image_is_marked(admin_client: Client) -> None:
    row = begun(admin_client, image(version="2.0.0"))
    page = show.change_url("rollout", row.pk)
    row.items.update(state="done")
    ChargePoint.objects.update(firmware_version="2.0.0")
    assert "the image is" not in admin_client.get(page).content.decode()
    ChargePoint.objects.filter(roll_out_items=row.items.first()).update(firmware_version="1.0.1")
    text = admin_client.get(page).content.decode()
    assert text.count("It says 1.0.1, the image is 2.0.0.") == 1
