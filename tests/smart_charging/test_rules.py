"""Which charging profiles make sense (OCPP 1.6 §3.13, §7.8–§7.14)."""

from typing import Any

import msgspec
import pytest

from csms.ocpp.types import ChargingProfile, ChargingProfilePurposeType
from csms.services.profile_limits import ProfileLimits, limits_problem
from csms.services.profile_rules import connector_problem, profile_problems
from tests.smart_charging.profiles import DAY, DEFAULT, MAX, TX, wire

DAILY = {"kind": "Recurring", "recurrencyKind": "Daily", "startSchedule": "2026-01-01T00:00:00Z"}
PERIODS = "chargingSchedule.chargingSchedulePeriod"


def profile(purpose: str = DEFAULT, *periods: Any, **fields: Any) -> ChargingProfile:
    return msgspec.convert(wire(purpose, *periods, **fields), ChargingProfile)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kind": "Relative", "duration": 60},
        DAILY,
        DAILY | {"recurrencyKind": "Weekly", "duration": 7 * DAY},
        {"validFrom": "2026-01-01T00:00:00Z", "validTo": "2026-01-02T00:00:00Z"},
        {"minChargingRate": 6},
    ],
)
def test_what_makes_sense(fields: dict[str, Any]) -> None:
    assert profile_problems(profile(DEFAULT, (0, 16, 1), (30, 0), **fields)) == []


@pytest.mark.parametrize(
    ("periods", "fields", "path"),
    [
        ([], {"kind": "Recurring", "startSchedule": "2026-01-01T00:00:00Z"}, "recurrencyKind"),
        ([], {"recurrencyKind": "Daily"}, "recurrencyKind"),
        ([], {"transactionId": 1}, "transactionId"),
        ([], {"level": -1}, "stackLevel"),
        (
            [],
            {"validFrom": "2026-01-02T00:00:00Z", "validTo": "2026-01-02T00:00:00Z"},
            "validTo",
        ),
        (
            [],
            {"kind": "Recurring", "recurrencyKind": "Daily"},
            "chargingSchedule.startSchedule",
        ),
        (
            [],
            {"kind": "Relative", "startSchedule": "2026-01-01T00:00:00Z"},
            "chargingSchedule.startSchedule",
        ),
        ([], {"duration": 0}, "chargingSchedule.duration"),
        ([], DAILY | {"duration": DAY + 1}, "chargingSchedule.duration"),
        ([], {"minChargingRate": -0.1}, "chargingSchedule.minChargingRate"),
        ([(1, 16)], {}, f"{PERIODS}[0].startPeriod"),
        ([(0, 16), (9, 8), (9, 7)], {}, f"{PERIODS}[2].startPeriod"),
        ([(0, 16), (60, 8)], {"duration": 60}, f"{PERIODS}[1].startPeriod"),
        ([(0, 16), (DAY, 8)], DAILY, f"{PERIODS}[1].startPeriod"),
        ([(0, -0.1)], {}, f"{PERIODS}[0].limit"),
        ([(0, 16, 4)], {}, f"{PERIODS}[0].numberPhases"),
        ([(0, 16, 0)], {}, f"{PERIODS}[0].numberPhases"),
    ],
)
def test_bad_combinations_get_one_sentence(
    periods: list[Any], fields: dict[str, Any], path: str
) -> None:
    (problem,) = profile_problems(profile(DEFAULT, *periods, **fields))
    assert problem.path == path
    assert problem.text.endswith(".")


@pytest.mark.parametrize(
    ("purpose", "connector", "fine"),
    [(MAX, 0, True), (MAX, 1, False), (TX, 0, False), (TX, 1, True), (DEFAULT, 0, True)],
)
def test_n35_where_a_purpose_belongs(purpose: str, connector: int, fine: bool) -> None:
    assert (connector_problem(ChargingProfilePurposeType(purpose), connector) == "") == fine


@pytest.mark.parametrize(
    ("limits", "fine"),
    [
        (ProfileLimits(), True),
        (ProfileLimits(3, frozenset({"current"}), 2, 1), True),
        (ProfileLimits(max_stack_level=2), False),
        (ProfileLimits(units=frozenset({"power"})), False),
        (ProfileLimits(max_periods=1), False),
        (ProfileLimits(max_installed=0), False),
    ],
)
def test_n35_what_a_charge_point_can_take(limits: ProfileLimits, fine: bool) -> None:
    given = profile(DEFAULT, (0, 16), (60, 8), level=3)
    problem = limits_problem(limits, given, connector_id=1, present=[])
    assert (problem == "") == fine
