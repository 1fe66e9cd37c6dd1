"""The pages of files in a browser: nothing overflows, and a roll-out's page follows by itself."""

from typing import Any

import pytest
from django.utils import timezone

from csms import conf
from csms.models import Command, RollOutItem
from csms.models.uploads import UploadKind
from csms.services.roll_out_waves import roll_outs_advance
from csms.services.roll_outs import roll_out_create
from csms.services.uploads import upload_request
from tests import factories
from tests.files.images import image, signed_image

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "firmware with a long name that nobody shortened " * 2


@pytest.fixture
def rolled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A roll-out under way, with all kinds of ends, long names, waves."""
    monkeypatch.setattr(conf, "_changed", {"file_urls": ("http://files.test",)})
    conf.settings.cache_clear()
    picture = image(vendor="Example", version="1.5.0-" + "long" * 20, notes=LONG)
    chargers = [factories.charge_point(connected=True) for _ in range(12)]
    chargers.append(factories.charge_point(identity="CP-" + "verylong" * 25, connected=True))
    chargers.append(factories.charge_point(vendor="Other"))
    row = roll_out_create(
        image=picture, charge_points=chargers, first_wave=5, wave_size=4, max_failures=9
    )
    roll_outs_advance(now=timezone.now())
    items = list(row.items.filter(wave=1)[:4])
    ends = (("seen", ""), ("seen", ""), ("missing", "InstallationFailed"), ("waiting", ""))
    for item, (effect, text) in zip(items, ends, strict=True):
        Command.objects.filter(roll_out_items=item).update(
            state="accepted", effect=effect, effect_text=text
        )
    roll_outs_advance(now=timezone.now())
    upload_request(charge_point=chargers[0], kind=UploadKind.DIAGNOSTICS)
    upload_request(charge_point=chargers[-2], kind=UploadKind.SECURITY_LOG)
    signed_image(version="2")
    yield row
    monkeypatch.undo()
    conf.settings.cache_clear()


def paths(row: Any) -> dict[str, str]:
    return {
        "roll_out": f"/admin/csms/rollout/{row.pk}/change/",
        "roll_outs": "/admin/csms/rollout/",
        "begin": "/admin/csms/rollout/begin/",
        "images": "/admin/csms/firmwareimage/",
        "add": "/admin/csms/firmwareimage/add/",
        "image": f"/admin/csms/firmwareimage/{row.image_id}/change/",
        "uploads": "/admin/csms/upload/",
        "ask": f"/admin/csms/upload/ask/{row.items.first().charge_point_id}/",
        "charger": f"/admin/csms/chargepoint/{row.items.first().charge_point_id}/change/",
    }


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overflows(visitor: Any, rolled: Any, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    for name, path in paths(rolled).items():
        visitor.open(path)
        assert visitor.overflow() <= 0, name


def test_the_page_follows_by_itself(visitor: Any, rolled: Any) -> None:
    visitor.open(paths(rolled)["roll_out"])
    visitor.page.wait_for_selector("text=2 of 13 installed")
    for item in RollOutItem.objects.filter(state="open"):
        Command.objects.filter(roll_out_items=item).update(state="accepted", effect="seen")
    roll_outs_advance(now=timezone.now())
    visitor.page.wait_for_selector("text=4 of 13 installed", timeout=10_000)
