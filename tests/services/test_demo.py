"""The demo's fleet is locked out without the demo, and nobody else."""

import pytest

from csms import conf, demo
from csms.models import ChargePoint, IdTag
from tests import factories


@pytest.mark.django_db
def test_without_the_demo_only_its_own_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSMS_DEMO", "1")
    conf.settings.cache_clear()
    try:
        assert demo.demo_wanted()
    finally:
        monkeypatch.undo()
        conf.settings.cache_clear()
    mine = factories.charge_point(identity="DEMO-JSON-9")
    demo.demo_rests()
    rejected = set(ChargePoint.objects.filter(registration="Rejected").values_list("identity"))
    assert len(rejected) == 4
    mine.refresh_from_db()
    assert mine.registration == "Accepted"
    assert IdTag.objects.get().blocked


@pytest.mark.django_db
def test_an_id_tag_of_somebody_else_is_not_blocked() -> None:
    factories.id_tag("DEMO-TAG", name="Mine")
    factories.charge_point(identity="DEMO-JSON-1")
    demo.demo_rests()
    assert not IdTag.objects.get().blocked
    assert ChargePoint.objects.get().registration == "Accepted"
