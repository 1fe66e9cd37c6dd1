"""Templates: kept, checked, sent with the ids that belong to a charge point."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from csms.models import AuditEntry, ChargingProfileTemplate, Command
from csms.ocpp.base import encode_json
from csms.services.commands import CommandRefused, PayloadRefused
from csms.services.profile_templates import (
    TemplateInvalid,
    template_add,
    template_change,
    template_request,
    template_send,
    wire_of,
)
from tests import factories
from tests.configuration.rows import told
from tests.smart_charging.profiles import DEFAULT, HOUR, MAX, TX, wire
from tests.smart_charging.rows import daily, present, template

if TYPE_CHECKING:
    from csms.models import ChargePoint

pytestmark = pytest.mark.django_db


def test_a_template_keeps_all_of_a_profile_exactly() -> None:
    given = wire(
        DEFAULT,
        (0, "16.1", 1),
        (HOUR, "999999999999.9"),
        number=77,
        level=4,
        kind="Recurring",
        recurrencyKind="Weekly",
        validFrom="2026-01-01T00:00:00Z",
        validTo="2027-01-01T00:00:00Z",
        startSchedule="2026-01-05T06:00:00Z",
        duration=2 * HOUR,
        minChargingRate="6.3",
    )
    made = template_add(name="All", profile=given)
    row = ChargingProfileTemplate.objects.get(pk=made.pk)
    assert row.min_charging_rate == Decimal("6.3")
    assert wire_of(row) == given
    sent = encode_json(template_request(row, 1)).decode()
    assert '"limit":16.1,' in sent
    assert '"limit":999999999999.9}' in sent


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"stackLevel": "high"}, "stackLevel"),
        ({"chargingProfileKind": "Sometimes"}, "chargingProfileKind"),
        ({"chargingProfileKind": "Recurring"}, "recurrencyKind"),
        ({"transactionId": 5, "chargingProfilePurpose": TX}, "transactionId"),
        ({"transactionId": 0, "chargingProfilePurpose": TX}, "transactionId"),
        ({"chargingProfileId": -1}, "chargingProfileId"),
        ({"validFrom": "0001-01-01T00:00:00+14:00"}, "validFrom"),
        ({"validTo": "9999-12-31T23:59:59-05:00"}, "validTo"),
        ({"unknown": 1}, "unknown"),
        ({"chargingSchedule": {}}, "chargingSchedule.chargingRateUnit"),
    ],
)
def test_what_the_declaration_or_the_rules_refuse(change: dict[str, Any], path: str) -> None:
    with pytest.raises(TemplateInvalid) as refused:
        template_add(name="Bad", profile=wire() | change)
    assert refused.value.problems[0].path == path
    assert not ChargingProfileTemplate.objects.exists()


def test_a_limit_has_one_decimal() -> None:
    with pytest.raises(TemplateInvalid, match="one decimal"):
        template(DEFAULT, DEFAULT, (0, "16.05"))


def test_names_are_unique() -> None:
    template("Nights")
    with pytest.raises(TemplateInvalid) as refused:
        template("Nights")
    assert refused.value.problems[0].path == "name"


def test_a_change_is_audited() -> None:
    row = template("Nights")
    template_change(template=row, name="Days")
    entry = AuditEntry.objects.order_by("-id")[0]
    assert (entry.kind, entry.changes) == (
        "csms.chargingprofiletemplate",
        {"name": ["Nights", "Days"]},
    )


def test_ids_differ_between_connectors_and_stay_the_same(charger: "ChargePoint") -> None:
    """N35: chargingProfileId is unique for a charger; the same id replaces."""
    row = daily()
    numbers = []
    for connector in (1, 2, 1):
        sent = template_send(template=row, charge_points=[charger], connector_id=connector)
        assert sent.batch is not None
        command = sent.batch.commands.get()
        numbers.append(command.payload["csChargingProfiles"]["chargingProfileId"])
    assert numbers[0] == numbers[2] != numbers[1]


def test_n35_a_purpose_goes_only_where_it_belongs(charger: "ChargePoint") -> None:
    for purpose, connector in ((MAX, 1), (TX, 0)):
        row = template(f"For {purpose}", purpose)
        with pytest.raises(PayloadRefused) as refused:
            template_send(template=row, charge_points=[charger], connector_id=connector)
        assert refused.value.path == "connectorId"
    assert not Command.objects.exists()


def test_n35_a_txprofile_goes_to_the_transaction_that_runs(charger: "ChargePoint") -> None:
    """§5.16.2: the transactionId is included."""
    other = factories.charge_point()
    running = factories.transaction(charger, state="open", connector_id=2)
    sent = template_send(
        template=template("Slow", TX, (0, 6), kind="Relative"),
        charge_points=[charger, other],
        connector_id=2,
    )
    (command,) = sent.commands
    assert command.payload["csChargingProfiles"]["transactionId"] == running.transaction_id
    assert sent.refused == [(other.identity, "No transaction runs on connector 2.")]


def test_without_any_transaction_a_txprofile_is_not_sent(charger: "ChargePoint") -> None:
    with pytest.raises(CommandRefused, match="No transaction runs"):
        template_send(template=template("S", TX), charge_points=[charger], connector_id=1)


def test_n35_what_a_charge_point_told_of_its_limits_counts(charger: "ChargePoint") -> None:
    keys = {
        "ChargeProfileMaxStackLevel": "5",
        "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
        "ChargingScheduleMaxPeriods": "2",
        "MaxChargingProfilesInstalled": "1",
    }
    told(charger, **keys)
    free = factories.charge_point()
    sent = template_send(template=daily(), charge_points=[charger, free], connector_id=1)
    assert sent.refused == [
        (charger.identity, "ChargingScheduleMaxPeriods is 2, and this has 3."),
    ]
    assert sent.batch is not None
    assert sent.batch.refused == [list(sent.refused[0])]
    assert sent.batch.commands.get().charge_point == free
    two = template("Two", DEFAULT, (0, 6), (9, 7))
    assert template_send(template=two, charge_points=[charger], connector_id=1).refused == []
    present(charger, 1, wire(DEFAULT, number=1))  # the same place: it is replaced
    assert template_send(template=two, charge_points=[charger], connector_id=1).refused == []
    refused = template_send(template=two, charge_points=[charger], connector_id=2).refused
    assert refused == [
        (charger.identity, "MaxChargingProfilesInstalled is 1, and it has that many.")
    ]
