"""Templates of configuration values: what is refused, which counts, where charge points drift."""

from typing import Any

import pytest

from csms.models import ChargePoint, Command, ConfigurationTemplate
from csms.services.configuration_templates import (
    TemplateInvalid,
    Templates,
    Why,
    drift_repair,
    drifts_of,
    template_add,
    template_change,
)
from tests import factories
from tests.configuration.rows import told

pytestmark = pytest.mark.django_db

INTERVAL = "HeartbeatInterval"


def template(name: str, value: str, **conditions: str) -> ConfigurationTemplate:
    made: ConfigurationTemplate = template_add(name=name, values=[[INTERVAL, value]], **conditions)
    return made


def wish(row: ChargePoint) -> str:
    return Templates().wishes(row)[INTERVAL.casefold()].value


@pytest.mark.parametrize(
    ("values", "text", "place"),
    [
        ([], "at least one key", None),
        ([[" ", "1"]], "has a name", 0),
        ([["k" * 51, "1"]], "k", 0),
        ([["Colour", "x" * 501]], "Colour", 0),
        ([["Colour", "red"], ["colour", "blue"]], "more than once", 1),
        ([[INTERVAL, "soon"]], "whole number of seconds", 0),
        ([["AuthorizationKey", "00" * 20]], "looks like a secret", 0),
        ([["SimPIN", "1234"]], "looks like a secret", 0),
        ([["Backend", "ftp://me:word@host/"]], "holds a password", 0),
        ([["Colour", "\0"]], "Colour", 0),
    ],
)
def test_what_no_template_keeps(values: Any, text: str, place: int | None) -> None:
    """WP A01.FR.09 among others: no secret, no password in an address."""
    with pytest.raises(TemplateInvalid, match=text) as refused:
        template_add(name="T", values=values)
    assert refused.value.place == place
    assert not ConfigurationTemplate.objects.exists()


def test_a_name_is_taken_once() -> None:
    row = template("T", "1")
    with pytest.raises(TemplateInvalid) as refused:
        template("T", "2")
    assert refused.value.field == "name"
    assert template_change(template=row, name="U").values == [[INTERVAL, "1"]]


def test_the_more_specific_counts_then_the_later() -> None:
    row = factories.charge_point(site="Depot")
    template("site", "5", site="Depot")
    template("other site", "9", site="Elsewhere")
    template("model", "4", model=row.model, vendor=row.vendor)
    assert wish(row) == "5"
    template("site again", "6", site="Depot")
    assert wish(row) == "6"
    template("site and vendor", "7", site="Depot", vendor=row.vendor)
    template("all", "1")
    assert wish(row) == "7"
    assert wish(factories.charge_point()) == "4"
    assert wish(factories.charge_point(vendor="Other")) == "1"
    assert wish(factories.charge_point(vendor=row.vendor, model="x")) == "1"


def test_each_reason_of_drift() -> None:
    keys = [INTERVAL, "NumberOfConnectors", "BlinkRepeat", "Colour", "ResetRetries"]
    template_add(name="T", values=[[key, "7"] for key in keys])
    row = factories.charge_point()
    assert [drift.why for drift in drifts_of([row])[row.pk]] == [Why.UNREAD] * 5
    told(row, HeartbeatInterval="300", NumberOfConnectors="2", BlinkRepeat=None, ResetRetries="07")
    assert [drift.why for drift in drifts_of([row])[row.pk]] == [
        Why.DIFFERS,
        Why.READ_ONLY,
        Why.UNKNOWN,
        Why.UNKNOWN,
    ]


def test_the_fleet_is_filtered_by_the_database() -> None:
    """The same as `drifts_of` finds, but for what was never told."""
    for name, value in (("all", "300"), ("depot", "60")):
        template(name, value, site="" if name == "all" else "Depot")
    rows = {
        name: factories.charge_point(identity=name, site=site)
        for name, site in (
            ("right", ""),
            ("wrong", ""),
            ("right depot", "Depot"),
            ("wrong depot", "Depot"),
            ("unknown", ""),
            ("unread", ""),
        )
    }
    told(rows["right"], HeartbeatInterval=" 300")
    told(rows["wrong"], HeartbeatInterval="60")
    told(rows["right depot"], HeartbeatInterval="60")
    told(rows["wrong depot"], HeartbeatInterval="300")
    told(rows["unknown"], HeartbeatInterval=None)
    found = ChargePoint.objects.filter(Templates().drifting())
    assert {row.identity for row in found} == {"wrong", "wrong depot", "unknown"}
    drifts = drifts_of(rows.values())
    listed = {name for name, row in rows.items() if drifts[row.pk]}
    assert listed == {"wrong", "wrong depot", "unknown", "unread"}
    ConfigurationTemplate.objects.all().delete()
    assert not ChargePoint.objects.filter(Templates().drifting()).exists()


def test_repair_sends_one_batch_for_each_value_in_order() -> None:
    template_add(name="all", values=[["ResetRetries", "2"], [INTERVAL, "300"]])
    template("depot", "60", site="Depot")
    one, two = factories.charge_point(), factories.charge_point(site="Depot")
    old = factories.charge_point(site="Depot", transport="soap", version="1.2")
    rejected = factories.charge_point(registration="Rejected")
    for row in (one, two, old, rejected):
        told(row, HeartbeatInterval="1", ResetRetries="1")
    done = drift_repair(charge_points=[one, two, old, rejected], by="me")
    sent = [(batch.payload["key"], batch.payload["value"]) for batch in done.batches]
    assert sent == [("ResetRetries", "2"), (INTERVAL, "300"), (INTERVAL, "60")]
    own = Command.objects.filter(charge_point=two).order_by("id")
    assert [command.payload["key"] for command in own] == ["ResetRetries", INTERVAL]
    assert [identity for identity, _ in done.left] == [rejected.identity] * 2
    assert "is Rejected" in done.left[0][1]
    again = drift_repair(charge_points=[one])
    assert again.batches == []
    assert again.left[0][1] == "ResetRetries: It is being set already."
