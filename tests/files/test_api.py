"""Firmware, roll-outs and uploads through the REST API."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from csms import conf
from csms.models import Command, FirmwareImage
from csms.models.commands import permission_of
from csms.services.roll_out_waves import roll_outs_advance
from csms.services.tokens import token_add
from tests import factories
from tests.api.caller import Caller
from tests.files.images import image
from tests.files.site import CONTENT, digest
from tests.files.test_admin import body, received

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(conf, "_changed", {"file_urls": ("http://files.test",)})
    conf.settings.cache_clear()
    yield
    monkeypatch.undo()
    conf.settings.cache_clear()


def add(api: "Caller", content: bytes = CONTENT, **fields: str) -> Any:
    file = SimpleUploadedFile("fw.bin", content)
    form = {"version": "1.5.0", "file": file} | fields
    response = api.client.post("/api/v1/firmware-images", form)
    api.status = response.status_code
    return json.loads(response.content)


def test_images(api: "Caller") -> None:
    made = add(api, vendor="Example")
    assert api.status == 201, made
    assert (made["sha256"], made["size"], made["signed"]) == (digest(CONTENT), 300_000, False)
    assert api.get("firmware-images?vendor=Example")["items"] == [made]
    path = f"firmware-images/{made['id']}"
    assert body(api.client.get(f"/api/v1/{path}/file")) == CONTENT
    assert api.patch(path, {"notes": "n"})["notes"] == "n"
    assert api.refused("PATCH", path, {"signature": "AAAA"})[0] == 422
    add(api, vendor="Example")
    assert api.status == 422
    add(api, b"", version="2")
    assert api.status == 422
    assert api.client.delete(f"/api/v1/{path}").status_code == 204
    assert not FirmwareImage.objects.exists()


def test_roll_outs(api: "Caller") -> None:
    row, charger = image(), factories.charge_point(connected=True)
    same = factories.charge_point(firmware_version="1.5.0")
    wanted = {"image": row.pk, "charge_points": [charger.identity, same.identity]}
    made = api.post("roll-outs", wanted)
    assert api.status == 201, made
    assert made["counts"] == {"waiting": 1, "left out": 1}
    path = f"roll-outs/{made['id']}"
    items = api.get(f"{path}/items?state=waiting")["items"]
    assert [item["charge_point"] for item in items] == [charger.identity]
    assert (items[0]["reported"], items[0]["firmware_version"]) == ("", "1.4.2")
    roll_outs_advance(now=timezone.now())
    Command.objects.update(sent_at=timezone.now(), state="accepted")
    factories.transfer(charger, status="Downloading", received_at=timezone.now())
    (item,) = api.get(f"{path}/items?state=open")["items"]
    assert item["reported"] == "Downloading"
    assert api.post(f"{path}/pause")["state"] == "paused"
    assert api.refused("POST", f"{path}/pause")[0] == 409
    assert api.post(f"{path}/resume")["state"] == "running"
    assert api.refused("POST", f"{path}/repeat", {})[0] == 409
    assert api.post(f"{path}/cancel")["counts"] == {"open": 1, "left out": 1}
    assert api.get("roll-outs?state=cancelled")["items"][0]["id"] == made["id"]
    assert api.refused("DELETE", f"firmware-images/{row.pk}")[0] == 409
    unknown = {"image": row.pk, "charge_points": ["nobody"]}
    assert api.refused("POST", "roll-outs", unknown) == (422, "charge_points")


def test_uploads(api: "Caller") -> None:
    charger = factories.charge_point()
    made = api.post(f"charge-points/{charger.identity}/uploads", {"kind": "SecurityLog"})
    assert api.status == 202, made
    assert (made["state"], made["scheme"], made["reported"]) == ("waiting", "http", "")
    assert api.get(f"uploads?charge_point={charger.identity}")["items"] == [made]
    assert api.refused("GET", f"uploads/{made['id']}/file")[0] == 409
    here = received()
    response = api.client.get(f"/api/v1/uploads/{here.pk}/file")
    assert response["Content-Disposition"] == 'attachment; filename="diag.html"'
    assert body(response) == b"<script>alert(1)</script>"


def test_a_reader_changes_and_downloads_nothing(reader: "Caller") -> None:
    row, upload = image(), received()
    for method, path, sent in (
        ("POST", "roll-outs", {"image": row.pk, "charge_points": ["CP"]}),
        ("DELETE", f"firmware-images/{row.pk}", None),
        ("POST", f"charge-points/{upload.charge_point.identity}/uploads", {}),
        ("GET", f"uploads/{upload.pk}/file", None),
    ):
        assert reader.refused(method, path, sent)[0] == 403, path
    add(reader)
    assert reader.status == 403
    assert reader.get("uploads")["items"]


@pytest.mark.parametrize("operation", ["UpdateFirmware", "SignedUpdateFirmware"])
def test_who_may_not_send_an_operation_rolls_nothing_out(
    operation: str, admin_client: Client
) -> None:
    """A roll-out would send it for him."""
    row, charger = image(), factories.charge_point(connected=True)
    user = User.objects.create_user("half", is_staff=True)
    names = ("add_rollout", "view_rollout", "view_firmwareimage", "view_chargepoint")
    codes = [*names, permission_of(operation)]
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    _, text = token_add(name="half", user=user)
    wanted = {"image": row.pk, "charge_points": [charger.identity]}
    assert Caller(text).refused("POST", "roll-outs", wanted)[0] == 403
    admin_client.force_login(user)
    assert admin_client.get(reverse("admin:csms_rollout_begin")).status_code == 403
    user.user_permissions.set(
        Permission.objects.filter(
            codename__in=[
                *names,
                *(permission_of(name) for name in ("UpdateFirmware", "SignedUpdateFirmware")),
            ]
        )
    )
    api = Caller(text)
    api.post("roll-outs", wanted)
    assert api.status == 201
