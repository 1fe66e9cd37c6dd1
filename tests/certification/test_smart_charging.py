"""Smart charging; limits in A for each of three phases of 230 V."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.certification.case import Case


def _profile(number: int, purpose: str, limit: float, **more: Any) -> dict[str, Any]:
    kind = "Absolute" if purpose == "ChargePointMaxProfile" else "Relative"
    return {
        "chargingProfileId": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
    } | more


def _set(case: "Case", connector_id: int, profile: dict[str, Any]) -> str:
    return case.asked("SetChargingProfile", connectorId=connector_id, csChargingProfiles=profile)


def test_tc_056_tx_default_profile(case: "Case") -> None:
    assert _set(case, 1, _profile(1, "TxDefaultProfile", 10.6)) == "Accepted"
    assert case.profiles() == {1: "TxDefaultProfile"}
    assert case.effect("SetChargingProfile").effect == "assumed"
    (installed,) = case.charge_point.connectors[1].profiles.values()
    (period,) = installed.charging_schedule.charging_schedule_period
    assert str(period.limit) == "10.6"


def test_tc_057_tx_profile(case: "Case") -> None:
    running = case.charge()
    profile = _profile(1, "TxProfile", 6, transactionId=running.transaction_id)
    assert _set(case, 1, profile) == "Accepted"
    assert case.profiles() == {1: "TxProfile"}
    (installed,) = case.charge_point.connectors[1].profiles.values()
    assert installed.transaction_id == running.transaction_id


def test_tc_059_remote_start_with_profile(case: "Case") -> None:
    profile = _profile(1, "TxProfile", 6)
    sent = {"idTag": "TAG", "connectorId": 1, "chargingProfile": profile}
    assert case.asked("RemoteStartTransaction", **sent) == "Accepted"
    row = case.started()
    case.wait_connector("Charging")
    assert case.effect("RemoteStartTransaction").transaction == row
    assert list(case.charge_point.connectors[1].profiles) == [1]


def test_tc_066_composite_schedule(case: "Case") -> None:
    assert _set(case, 0, _profile(1, "ChargePointMaxProfile", 10)) == "Accepted"
    assert _set(case, 1, _profile(2, "TxDefaultProfile", 8)) == "Accepted"
    case.charge()
    assert _set(case, 1, _profile(3, "TxProfile", 6)) == "Accepted"
    assert set(case.profiles()) == {1, 2, 3}
    asked = {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}
    answer = case.answer("GetCompositeSchedule", **asked)
    assert (answer["status"], answer["connectorId"]) == ("Accepted", 1)
    schedule = answer["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "A"
    assert [float(p["limit"]) for p in schedule["chargingSchedulePeriod"]] == [6.0]


def test_tc_067_clear_charging_profile(case: "Case") -> None:
    assert _set(case, 1, _profile(1, "TxDefaultProfile", 10)) == "Accepted"
    assert _set(case, 2, _profile(2, "TxDefaultProfile", 12)) == "Accepted"
    assert case.asked("ClearChargingProfile", id=1) == "Accepted"
    assert case.profiles() == {2: "TxDefaultProfile"}
    assert case.asked("ClearChargingProfile", connectorId=2, stackLevel=0) == "Accepted"
    assert case.profiles() == {}
    assert case.asked("ClearChargingProfile", id=1) == "Unknown"
